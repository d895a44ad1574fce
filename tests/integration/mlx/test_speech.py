"""Models whose calls have a syntax of their own, as mlx-lm's parsers read them."""

import json

import pytest
from models import make_model

from agent_memory.adapters.mlx.loading import load_model
from agent_memory.application.replies import CallArguments, CallBegun, Delta
from agent_memory.application.utterance import Calling, Utterance
from agent_memory.domain.chat import Tool
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.speech import JSON_CALL

pytestmark = pytest.mark.integration

LOOK = Tool("look", '{"type": "object", "properties": {"at": {"type": "string"}, "far": {"type": "integer"}}}')
SAID = {
    "qwen3_coder": "<tool_call>\n<function=look>\n<parameter=at>\nsea\n</parameter>\n<parameter=far>\n2\n</parameter>\n"
    "</function>\n</tool_call>",
    "mistral": '[TOOL_CALLS]look[ARGS]{"at": "sea", "far": 2}',
    "pythonic": '<|tool_call_start|>[look(at="sea", far=2)]<|tool_call_end|>',
    "longcat": '<longcat_tool_call>{"name": "look", "arguments": {"at": "sea", "far": 2}}</longcat_tool_call>',
}


@pytest.fixture
def speech(tmp_path):
    def of(parser):
        folder = make_model(tmp_path / parser, "llama")
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"tool_parser_type": parser}))
        return load_model(folder, Precision(16), tmp_path).tokenizer.speech

    return of


@pytest.mark.parametrize("parser", SAID)
def test_a_models_own_syntax_is_understood(parser, speech):
    own = speech(parser)
    utterance = Utterance(None, Calling(own.call, own.parse, (LOOK,)))
    text, begun, arguments = [*utterance.add("Wait.\n" + SAID[parser]), *utterance.finish()]
    assert (text, begun.name) == (Delta("Wait."), "look")
    assert isinstance(begun, CallBegun)
    assert isinstance(arguments, CallArguments)
    assert json.loads(arguments.text) == {"at": "sea", "far": 2}


@pytest.mark.parametrize("parser", SAID)
def test_what_is_no_call_is_text(parser, speech):
    own = speech(parser)
    wrong = f"{own.call.begin} nonsense {own.call.end}"
    utterance = Utterance(None, Calling(own.call, own.parse, (LOOK,)))
    assert [*utterance.add(wrong), *utterance.finish()] == [Delta(wrong)]


def test_a_model_that_calls_in_json_is_held_to_it(speech):
    assert speech("json_tools").parse is None
    assert speech("json_tools").call == JSON_CALL
