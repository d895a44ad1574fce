"""OpenAI's dialect: its structs, and pure functions between them and ours."""

from agent_memory.entrypoints.http.wire.openai.answers import (
    AnswerMessage,
    CacheReport,
    ChatCompletion,
    Choice,
    Chunk,
    ChunkChoice,
    DeltaMessage,
    Usage,
    choice_of,
    delta_of,
    report_of,
    usage_of,
)
from agent_memory.entrypoints.http.wire.openai.chat import ChatRequest, choices_of, to_prompt
from agent_memory.entrypoints.http.wire.openai.errors import ErrorAnswer, ErrorBody
from agent_memory.entrypoints.http.wire.openai.logprobs import ChoiceLogprobs, logprobs_of
from agent_memory.entrypoints.http.wire.openai.messages import ChatMessage
from agent_memory.entrypoints.http.wire.openai.tools import FunctionTool

__all__ = [
    "AnswerMessage",
    "CacheReport",
    "ChatCompletion",
    "ChatMessage",
    "ChatRequest",
    "Choice",
    "ChoiceLogprobs",
    "Chunk",
    "ChunkChoice",
    "DeltaMessage",
    "ErrorAnswer",
    "ErrorBody",
    "FunctionTool",
    "Usage",
    "choice_of",
    "choices_of",
    "delta_of",
    "logprobs_of",
    "report_of",
    "to_prompt",
    "usage_of",
]
