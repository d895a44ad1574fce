"""How a model marks what is no answer: what it thinks before it, and which tools it calls.

Models that were trained for tools have markers of their own. All others are told about theirs in plain words, and are
held to one form: `<tool_call>`, a line of JSON with `name` and `arguments`, `</tool_call>`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent_memory.domain.chat import Message, Tool, ToolCall

CallParser = Callable[[str, Sequence[Tool]], list[tuple[str, str]]]
"""What stands between two markers -> names, and arguments as JSON. Raises ValueError when it is no call."""


@dataclass(frozen=True, slots=True)
class Markers:
    begin: str
    end: str


JSON_CALL = Markers("<tool_call>", "</tool_call>")


@dataclass(frozen=True, slots=True)
class Speech:
    """`thought` is None for a model that does not think. Between the markers of a `call` stands JSON, or what `parse`
    understands.
    """

    thought: Markers | None = None
    call: Markers = JSON_CALL
    parse: CallParser | None = None


_INSTRUCTIONS = """\
You can call these functions. Each line describes one of them in JSON: its name, what it does, and the JSON schema of \
its arguments.
<tools>
{tools}
</tools>
To call one, say nothing but its name and its arguments between these markers, and again for each further call:
<tool_call>
{{"name": "<name>", "arguments": {{<arguments as JSON>}}}}
</tool_call>
What it answered then comes between <tool_response> and </tool_response>."""


def told(messages: Sequence[Message], tools: Sequence[Tool], *, system: bool = True) -> list[Message]:
    """The same conversation for a chat template that knows nothing of tools: what they are is said in the system
    prompt, or where there can be none, before all else; calls and answers are plain text. A longer conversation begins
    with the text of the shorter one.
    """
    plain: list[Message] = []
    for message in messages:
        if message.role != "tool":
            plain.append(_with_calls(message, tools))
            continue
        answer = f"<tool_response>\n{message.content}\n</tool_response>"
        if plain and plain[-1].role == "user" and plain[-1].call_id is not None:
            plain[-1] = replace(plain[-1], content=f"{plain[-1].content}\n{answer}")
        else:
            plain.append(Message("user", answer, call_id=message.call_id or ""))
    if not tools:
        return plain
    lines = "\n".join(_line(tool) for tool in tools)
    instructions = _INSTRUCTIONS.format(tools=lines)
    if plain and (plain[0].role == "system" or not system):
        first = [instructions, plain[0].content] if plain[0].role != "system" else [plain[0].content, instructions]
        return [replace(plain[0], content="\n\n".join(first)), *plain[1:]]
    return [Message("system", instructions), *plain]


def _with_calls(message: Message, tools: Sequence[Tool]) -> Message:
    calls = [f"{JSON_CALL.begin}\n{_spell(call)}\n{JSON_CALL.end}" for call in in_form(message.calls, tools)]
    return replace(message, content="\n".join([message.content, *calls] if message.content else calls), calls=())


def _spell(call: ToolCall) -> str:
    name = json.dumps(call.name, ensure_ascii=False)
    return f'{{"name": {name}, "arguments": {call.arguments}}}'


def _line(tool: Tool) -> str:
    described = {"name": tool.name, "description": tool.description, "arguments": json.loads(tool.parameters)}
    return json.dumps({key: value for key, value in described.items() if value}, ensure_ascii=False)


def in_form(calls: Sequence[ToolCall], tools: Sequence[Tool]) -> tuple[ToolCall, ...]:
    """The same calls with their arguments as a model says them that is held to the tools' schemas: however a client
    spaces or orders them when it sends them back, they are the same tokens. What is no JSON, or is too deep, stays as
    it is.
    """
    schemas = {tool.name: json.loads(tool.parameters) for tool in tools}
    formed = []
    for call in calls:
        try:
            arguments = json.dumps(in_order(json.loads(call.arguments), schemas.get(call.name)), ensure_ascii=False)
        except (ValueError, RecursionError):
            arguments = call.arguments
        formed.append(replace(call, arguments=arguments))
    return tuple(formed)


def in_order(value: Any, schema: Any) -> Any:
    """Properties in the order of the schema's, others behind them in their own."""
    if isinstance(schema, Mapping) and isinstance(value, dict):
        known = schema.get("properties")
        known = known if isinstance(known, Mapping) else {}
        names = [*(name for name in known if name in value), *(name for name in value if name not in known)]
        return {name: in_order(value[name], known.get(name)) for name in names}
    if isinstance(schema, Mapping) and isinstance(value, list):
        return [in_order(item, schema.get("items")) for item in value]
    return value


def parse_json(text: str, tools: Sequence[Tool]) -> list[tuple[str, str]]:
    """The form between `JSON_CALL`'s markers, of a model that was not held to it."""
    call = json.loads(text)
    names = {tool.name for tool in tools}
    if not (isinstance(call, dict) and call.get("name") in names and isinstance(call.get("arguments"), dict)):
        raise ValueError("neither a name nor arguments")
    return [(call["name"], json.dumps(call["arguments"], ensure_ascii=False))]
