"""JSON of a request that is handed on as text."""

import json

import pytest
from msgspec import convert

from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.wire.anthropic import MessagesRequest
from agent_memory.entrypoints.http.wire.anthropic import to_prompt as of_anthropic
from agent_memory.entrypoints.http.wire.openai import ChatRequest
from agent_memory.entrypoints.http.wire.openai import to_prompt as of_openai
from agent_memory.entrypoints.http.wire.responses import ResponsesRequest
from agent_memory.entrypoints.http.wire.responses import to_prompt as of_responses
from agent_memory.entrypoints.http.wire.written import written
from agent_memory.settings import Machine, ModelSettings, Settings, plan_model

PLAN = plan_model(Settings(model=ModelSettings(id="a/b")), (), Machine(apple_silicon=False, memory=0))


def nested(levels):
    return {"a": nested(levels - 1)} if levels > 1 else {}


def listed(levels):
    return {"a": json.loads("[" * (levels - 1) + "]" * (levels - 1))}


@pytest.mark.parametrize("make", [nested, listed])
def test_what_is_deep_is_written_and_what_is_too_deep_is_named(make):
    assert json.loads(written("x", make(64))) == make(64)
    with pytest.raises(InvalidInput, match="x: is nested more than 64 levels deep"):
        written("x", make(65))


DEEP = nested(400)
SAID = [{"role": "user", "content": "x"}]
USED = [*SAID, {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": DEEP}]}, *SAID]


def openai(**fields):
    return of_openai(convert({"messages": SAID} | fields, ChatRequest), PLAN)


def anthropic(**fields):
    request = convert({"model": "m", "max_tokens": 5, "messages": SAID} | fields, MessagesRequest)
    return of_anthropic(request, PLAN, "default")


def responses(**fields):
    return of_responses(convert({"input": "x"} | fields, ResponsesRequest), (), PLAN, "default")


@pytest.mark.parametrize(
    ("ask", "fields", "named"),
    [
        (openai, {"tools": [{"type": "function", "function": {"name": "f", "parameters": DEEP}}]},
         r"tools\[0\].function.parameters"),
        (openai, {"response_format": {"type": "json_schema", "json_schema": {"name": "f", "schema": DEEP}}},
         "response_format.json_schema.schema"),
        (anthropic, {"tools": [{"name": "f", "input_schema": DEEP}]}, r"tools\[0\].input_schema"),
        (anthropic, {"tools": [{"name": "f", "input_schema": {}, "input_examples": [DEEP]}]},
         r"tools\[0\].input_examples\[0\]"),
        (anthropic, {"output_config": {"format": {"type": "json_schema", "schema": DEEP}}},
         "output_config.format.schema"),
        (anthropic, {"messages": USED}, r"messages\[1\].content\[0\].input"),
        (responses, {"tools": [{"type": "function", "name": "f", "parameters": DEEP}]}, r"tools\[0\].parameters"),
        (responses, {"text": {"format": {"type": "json_schema", "name": "f", "schema": DEEP}}}, "text.format.schema"),
    ],
)  # fmt: skip
def test_wherever_it_comes_it_is_refused_by_its_field(ask, fields, named):
    with pytest.raises(InvalidInput, match=f"^{named}: is nested"):
        ask(**fields)
