"""How a model that mlx-lm knows thinks and calls tools, and how its template wants to be told of calls."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from mlx_lm.tool_parsers import json_tools

from agent_memory.domain.chat import Message, Tool
from agent_memory.domain.speech import CallParser, Markers, Speech, in_form


def speech_of(tokenizer: Any) -> Speech:
    """`tokenizer` is mlx-lm's wrapper."""
    thought = Markers(tokenizer.think_start, tokenizer.think_end) if tokenizer.has_thinking else None
    if not tokenizer.has_tool_calling or tokenizer.tool_parser is json_tools.parse_tool_call:
        return Speech(thought)
    return Speech(thought, Markers(tokenizer.tool_call_start, tokenizer.tool_call_end), _parser(tokenizer.tool_parser))


def _parser(parse: Callable[..., Any]) -> CallParser:
    """One of mlx-lm's, which return one call or several, and raise whatever they like for what is none."""

    def understand(text: str, tools: Sequence[Tool]) -> list[tuple[str, str]]:
        try:
            found = parse(text, [_function(tool) for tool in tools])
            calls = found if isinstance(found, list) else [found]
            return [(str(call["name"]), json.dumps(dict(call["arguments"]), ensure_ascii=False)) for call in calls]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, SyntaxError) as error:
            raise ValueError(f"no call: {error}") from error

    return understand


def as_template_reads(
    messages: Sequence[Message], tools: Sequence[Tool]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Messages and tools in the shape that chat templates have agreed upon."""
    return [_message(message, tools) for message in messages], [_function(tool) for tool in tools]


def _message(message: Message, tools: Sequence[Tool]) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning:
        plain["reasoning_content"] = message.reasoning
    if message.calls:
        calls = in_form(message.calls, tools)
        plain["tool_calls"] = [
            {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": _object(call.arguments)}}
            for call in calls
        ]
    if message.role == "tool" and message.call_id is not None:
        plain["tool_call_id"] = message.call_id
    return plain


def _object(arguments: str) -> Any:
    """Templates write it as JSON themselves; what is none, or too deep, they get as it is."""
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _function(tool: Tool) -> dict[str, Any]:
    described = {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)}
    return {"type": "function", "function": described}
