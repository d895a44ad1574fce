"""What is said in a conversation, free of any vendor's dialect."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Tool:
    """`parameters` is a JSON schema, as text, that a call's arguments keep to. What of it cannot be kept to is passed
    over, or where it is `strict`, an error.
    """

    name: str
    parameters: str = '{"type": "object"}'
    description: str = ""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is a JSON object, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """`role` is system, user, assistant or tool. An assistant's may hold what it thought before and which tools it
    called after `content`; a tool's says which call it answers.
    """

    role: str
    content: str
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Which tools a model may call. `choice` is how freely: not at all, as it likes, some one at least, or the one of
    this name; several calls in one answer only where `parallel`.
    """

    tools: tuple[Tool, ...] = ()
    choice: Literal["none", "auto", "required"] | Tool = "auto"
    parallel: bool = True


NO_TOOLS = ToolUse()
