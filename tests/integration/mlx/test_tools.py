"""Tools and thoughts on models of random weights, with chat templates that know of them and that do not."""

import asyncio
import json
from dataclasses import replace

import pytest
from benchmarks.schemas import QUESTION, Desk, Prompt, Sampling, run
from models import make_model, make_thinking_model

from agent_memory.adapters.mlx.loading import load_model
from agent_memory.application.replies import CallArguments, CallBegun, whole
from agent_memory.domain.chat import Message, Tool, ToolCall, ToolUse
from agent_memory.domain.kv.precision import Precision
from agent_memory.ports.language import Grammar

pytestmark = pytest.mark.integration

SCHEMA = {"type": "object", "properties": {"b": {"type": "boolean"}, "a": {"enum": ["x", "y"]}}, "required": ["b", "a"]}
LOOK, SAY = Tool("look", json.dumps(SCHEMA), "Looks."), Tool("say", '{"type": "object", "properties": {}}')


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"plain": make_model(folder / "plain", "llama"), "thinking": make_thinking_model(folder / "thinking")}


@pytest.fixture(params=["plain", "thinking"])
async def conversation(request, folders):
    async with Desk(folders[request.param]) as conversation:
        yield conversation


@pytest.fixture
def tokenizer(folders, tmp_path):
    return load_model(folders["thinking"], Precision(16), tmp_path).tokenizer


def asked(seed=1, max_tokens=1500, **options):
    return Prompt(QUESTION, Sampling(1.0, seed=seed), max_tokens, **options)


async def test_calls_keep_to_any_schema(folders):
    figures = await run(8, folders["plain"])
    for kind in ("tool calls", "strict JSON"):
        assert figures[kind]["valid"] == figures[kind]["trials"] == 8, figures[kind]["complaints"]


@pytest.mark.parametrize("choice", ["required", LOOK])
async def test_a_forced_call_comes_and_is_valid(conversation, choice):
    for seed in range(3):
        prompt = asked(seed, use=ToolUse((LOOK, SAY), choice, parallel=False), thinking=False)
        answer = await whole(conversation.reply(prompt))
        assert (answer.ended.reason, answer.text) == ("tool_calls", "")
        [call] = answer.calls
        assert call.name in (("look",) if choice is LOOK else ("look", "say"))
        assert json.loads(call.arguments).keys() == ({"b", "a"} if call.name == "look" else set())
        assert call.id.startswith("call_")
        assert len(call.id) == 29


async def test_a_call_comes_in_pieces(conversation):
    pieces = [piece async for piece in conversation.reply(asked(use=ToolUse((LOOK,), LOOK), thinking=False))]
    assert isinstance(pieces[0], CallBegun)
    assert sum(isinstance(piece, CallArguments) for piece in pieces) > 10


async def test_a_call_that_is_cut_off_ended_by_length(conversation):
    prompt = asked(max_tokens=45, use=ToolUse((LOOK,), LOOK), thinking=False)
    assert (await whole(conversation.reply(prompt))).ended.reason == "length"


async def test_text_or_calls_are_told_as_the_model_likes(conversation):
    for seed in range(4):
        answer = await whole(conversation.reply(asked(seed, 120, use=ToolUse((LOOK, SAY)))))
        assert "<tool_call>" not in answer.text
        assert (answer.ended.reason == "tool_calls") <= bool(answer.calls)


async def test_without_a_choice_nothing_is_called(conversation):
    for seed in range(4):
        answer = await whole(conversation.reply(asked(seed, 60, use=ToolUse((LOOK, SAY), "none"))))
        assert answer.calls == []
        assert "<tool_call>" not in answer.text


async def test_a_grammar_holds_behind_the_thought(folders):
    grammar = Grammar("json_schema", json.dumps(SCHEMA))
    async with Desk(folders["thinking"]) as conversation:
        thought = 0
        for seed in range(12):
            answer = await whole(conversation.reply(asked(seed, 4000, grammar=grammar)))
            if answer.ended.reason == "stop":
                assert json.loads(answer.text).keys() == {"b", "a"}
                thought += bool(answer.reasoning)
                assert bool(answer.reasoning) <= bool(answer.ended.reasoning_tokens)
                assert "</think>" not in answer.reasoning + answer.text
        assert thought
        silent = await whole(conversation.reply(asked(grammar=grammar, thinking=False)))
        assert not silent.reasoning
        assert json.loads(silent.text).keys() == {"b", "a"}


CALL = ToolCall("call_1", "look", '{"a":"x","b":true}')
TALK = (
    Message("user", "Look."),
    Message("assistant", "Wait.", "Hm.", (CALL,)),
    Message("tool", "a tree", call_id="call_1"),
)


def text(tokenizer, tokens):
    return "".join(map(tokenizer.text_of, tokens))


def test_a_template_that_knows_tools_is_given_them(tokenizer):
    rendered = tokenizer.render(TALK, [LOOK])
    told = text(tokenizer, rendered.tokens)
    assert '{"type": "function", "function": {"name": "look", "description": "Looks."' in told
    assert 'Wait.\n<tool_call>\n{"name": "look", "arguments": {"b": true, "a": "x"}}\n</tool_call><|im_end|>' in told
    assert "<think>\nHm.\n</think>" in told
    [(start, end)] = rendered.answers
    assert told.index("<think>") == len(text(tokenizer, rendered.tokens[:start]))
    assert text(tokenizer, rendered.tokens[start:end]).endswith("</tool_call>")


def test_calls_are_the_same_tokens_however_a_client_writes_them(tokenizer):
    spaced = replace(CALL, arguments='{ "b": true,\n "a": "x"}')
    again = (TALK[0], replace(TALK[1], calls=(spaced,)), TALK[2])
    assert tokenizer.render(again, [LOOK]) == tokenizer.render(TALK, [LOOK])


def test_arguments_too_deep_to_be_read_are_given_to_a_template_as_text(tokenizer):
    deep = '{"a": ' * 100_000 + "1" + "}" * 100_000
    talk = (TALK[0], replace(TALK[1], calls=(ToolCall("1", "look", deep),)), TALK[2])
    assert len(tokenizer.render(talk, (LOOK, SAY)).tokens) > 100_000


def test_thinking_is_switched_off_in_the_template(tokenizer):
    assert text(tokenizer, tokenizer.render(TALK, thinking=False).tokens).endswith("<think>\n\n</think>\n\n")
    assert not tokenizer.render(TALK).thinking


async def called(conversation, **options):
    """A question whose random answer called, and the answer."""
    for seed in range(40):
        prompt = asked(seed, 3000, use=ToolUse((LOOK, SAY), LOOK), **options)
        answer = await whole(conversation.reply(prompt))
        if answer.ended.reason == "tool_calls" and (answer.reasoning or not conversation.thinks):
            return prompt, answer
    raise AssertionError("no answer ever ended")


async def test_a_turn_is_found_with_its_thought_and_without(folders):
    async with Desk(folders["thinking"]) as conversation:
        prompt, answer = await called(conversation)
        [call] = answer.calls
        again = replace(call, arguments=json.dumps(json.loads(call.arguments), indent=1, sort_keys=True))
        for reasoning in ("", answer.reasoning):
            said = Message("assistant", answer.text, reasoning, (again,))
            talk = (*prompt.messages, said, Message("tool", "a tree", call_id=call.id))
            following = replace(prompt, messages=talk, max_tokens=3, use=ToolUse(prompt.use.tools))
            rendered = conversation._tokenizer.render(talk, prompt.use.tools)
            finish = (await whole(conversation.reply(following))).ended
            assert finish.cached_tokens >= rendered.answers[-1][1]


async def test_older_thoughts_that_the_template_leaves_out_cost_nothing(folders):
    grammar = Grammar("json_schema", json.dumps(SCHEMA))
    async with Desk(folders["thinking"]) as conversation:
        for seed in range(40):
            prompt = asked(seed, 4000, grammar=grammar)
            answer = await whole(conversation.reply(prompt))
            if answer.ended.reason == "stop" and answer.reasoning:
                break
        said = Message("assistant", answer.text, answer.reasoning)
        talk = (*prompt.messages, said, Message("user", "And now?"))
        finish = (await whole(conversation.reply(replace(prompt, messages=talk, max_tokens=3, grammar=None)))).ended
        [(_, end)] = conversation._tokenizer.render(talk).answers
        assert finish.cached_tokens >= end


async def test_without_thinking_the_empty_thought_costs_nothing(folders):
    async with Desk(folders["thinking"]) as conversation:
        prompt = asked(max_tokens=200, use=ToolUse((LOOK,), LOOK, parallel=False), thinking=False)
        answer = await whole(conversation.reply(prompt))
        [call] = answer.calls
        said = Message("assistant", answer.text, calls=(call,))
        talk = (*prompt.messages, said, Message("tool", "a tree", call_id=call.id))
        following = replace(prompt, messages=talk, max_tokens=3)
        [(_, end)] = conversation._tokenizer.render(talk, prompt.use.tools, thinking=False).answers or [(0, 0)]
        assert (await whole(conversation.reply(following))).ended.cached_tokens >= max(end, 100)


async def test_a_rehearsal_gives_way_and_is_taken_up_again(folders):
    async with Desk(folders["thinking"]) as conversation:
        await called(conversation)
        other = asked(5, 30)
        await whole(conversation.reply(other))
        for _ in range(500):
            if not conversation.stats().turns_running:
                break
            await asyncio.sleep(0.01)
        assert not conversation._engine._engine.scheduler.queue.later
        conversation._engine._engine.check()
