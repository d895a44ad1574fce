"""Conversation and engine thread, on the toy model: text in, text out, and every way in which a turn can end."""

import asyncio
import itertools
import threading
import time
from dataclasses import replace

import pytest

from agent_memory.adapters.in_memory.blocks import InMemoryBlockStore
from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.conversation import Conversation, Grammar, Message, Prompt
from agent_memory.application.engine import Engine
from agent_memory.application.engine_thread import EngineThread
from agent_memory.application.replies import Begun, Delta, Finish, Reuse
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.errors import (
    DeadlineExceeded,
    GenerationFailed,
    InvalidInput,
    Misconfigured,
    Overloaded,
    Unavailable,
)
from agent_memory.domain.kv.block import pack
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.turn import Sampling
from agent_memory.domain.speech import Speech
from agent_memory.ports.language import Rendered


class Letters:
    """A tokenizer of one token a letter: tokens 0 to 4 are the letters a to e."""

    stop_tokens = frozenset({4})
    speech = Speech()
    vocabulary = 5
    beginning = ()

    def encode(self, text):
        return [ord(letter) % 4 for letter in text]

    def render(self, messages, tools=(), *, thinking=True):
        return Rendered([ord(letter) % 4 for message in messages for letter in message.content])

    def message_of(self, messages, token, tools=(), *, thinking=True):
        ends = itertools.accumulate(len(message.content) for message in messages)
        return next((number for number, end in enumerate(ends) if token < end), None)

    def stream(self):
        return self

    def add(self, token):
        return "abcde"[token]

    def finish(self):
        return ""


class FailingRuntime(ToyRuntime):
    """It fails, or waits, when told to."""

    failing = False

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.free = threading.Event()
        self.free.set()

    def decode(self, feeds):
        assert self.free.wait(10)
        if self.failing:
            raise RuntimeError("the device is lost")
        return super().decode(feeds)


@pytest.fixture
async def desk():
    """A conversation, its runtime and its thread."""
    runtime = FailingRuntime(vocabulary=5)
    spec = runtime.spec

    def open_engine(wake):
        store = InMemoryBlockStore()
        writer = WriteBehind(store, wake)
        writer.start()
        scheduler = Scheduler(spec, Ledger(spec, 1 << 20), max_turns=2, max_waiting=4)
        return Engine(runtime, TieredBlocks(store, writer), scheduler)

    thread = EngineThread(open_engine)
    await thread.start()
    conversation = Conversation(thread, Letters(), model_id="toy", created=0, max_context=5000)
    yield conversation, runtime, thread
    await thread.close(grace=0.1)
    conversation.close()


def prompt(content, max_tokens=30, stop=(), **sampling):
    return Prompt((Message("user", content),), Sampling(**({"temperature": 0} | sampling)), max_tokens, stop)


async def collect(conversation, a_prompt):
    text, finish = "", None
    async for piece in conversation.reply(a_prompt):
        match piece:
            case Delta(more):
                text += more
            case Finish():
                finish = piece
    return text, finish


async def at_rest(conversation):
    for _ in range(500):
        if not conversation.stats().turns_running:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("a turn runs on")


async def test_an_answer_comes_with_its_count(desk):
    text, finish = await collect(desk[0], prompt("hello"))
    assert finish.prompt_tokens == 5
    assert finish.completion_tokens == len(text) + (finish.reason == "stop")


async def test_the_second_time_the_prompt_is_known(desk):
    first, _ = await collect(desk[0], prompt("a longer beginning"))
    again, finish = await collect(desk[0], prompt("a longer beginning"))
    assert again == first
    assert finish.cached_tokens == len("a longer beginning") - 1


async def test_a_miss_is_explained(desk):
    await collect(desk[0], prompt("a longer beginning"))
    messages = (Message("user", "a longer "), Message("user", "bxginning"))
    _, finish = await collect(desk[0], Prompt(messages, Sampling(0), 3, explain=True))
    assert finish.reuse == Reuse(10, 0, known_tokens=10, different_token=10, different_message=1)
    _, finish = await collect(desk[0], Prompt(messages, Sampling(0), 3, explain=True))
    assert finish.reuse == Reuse(17, 0, known_tokens=17)
    assert finish.reuse.memory_tokens == finish.cached_tokens


async def test_an_answer_that_takes_too_long_fails(desk):
    conversation, runtime, _ = desk
    slow = runtime.advance
    runtime.advance = lambda *asked: (time.sleep(0.05), slow(*asked))[1]
    for one in (prompt("tell me a long story"), prompt("another one")):
        with pytest.raises(DeadlineExceeded, match="in the time that the request"):
            await collect(conversation, replace(one, seconds=0.01))
    await at_rest(conversation)


async def test_length_is_the_reason_when_the_tokens_run_out(desk):
    for content in "abcdefgh":
        text, finish = await collect(desk[0], prompt(content, max_tokens=1))
        assert finish.reason == ("length" if text else "stop")


async def test_a_stop_string_ends_the_answer_and_is_not_shown(desk):
    for beginning in "abcdefghijklm":
        whole, _ = await collect(desk[0], prompt(beginning, max_tokens=60))
        if len(whole) > 6:
            break
    stop = whole[3:5]
    text, finish = await collect(desk[0], prompt(beginning, max_tokens=60, stop=(stop,)))
    assert text == whole[: whole.index(stop)]
    assert finish.reason == "stop"


async def test_an_answer_that_a_stop_string_ended_is_kept(desk):
    conversation, _, _ = desk
    for beginning in "abcdefghijklm":
        whole, _ = await collect(conversation, prompt(beginning, max_tokens=60))
        if len(whole) > 8 and whole.index(whole[4]) == 4:
            break
    stopped = replace(prompt(beginning, max_tokens=60, stop=(whole[4],)), tenant="another")
    text, _ = await collect(conversation, stopped)
    assert text == whole[:4]
    await at_rest(conversation)
    root = conversation._engine.namespace("another").root
    said = [ord(beginning) % 4, *map("abcde".index, text)]
    index = conversation._engine._engine.scheduler.ledger.index
    assert index.match(root, pack([*said, 0, 0]), len(said) + 1).length >= len(said)


async def test_a_prompt_beyond_the_context_is_refused_with_the_numbers(desk):
    with pytest.raises(InvalidInput, match=r"6000 prompt tokens and 30 for the answer exceed .* 5000 tokens"):
        await collect(desk[0], prompt("x" * 6000))


async def test_what_is_far_beyond_the_context_is_not_read(desk, monkeypatch):
    monkeypatch.setattr(Letters, "render", lambda *_, **__: pytest.fail("it was rendered"))
    monkeypatch.setattr(Letters, "encode", lambda *_: pytest.fail("it was encoded"))
    many = replace(prompt(""), messages=(Message("user", "x"),) * 5001)
    for endless in (prompt("x" * 32 * 5001), many, replace(prompt(""), given="x" * 32 * 5001)):
        with pytest.raises(InvalidInput, match="at least 5001 prompt tokens and 30 for the answer exceed"):
            await collect(desk[0], endless)
        with pytest.raises(InvalidInput, match="at least 5001 prompt tokens"):
            await desk[0].foresee(endless)
        with pytest.raises(InvalidInput, match="prompt is too long: at least 5001 tokens > 4999 maximum"):
            await collect(desk[0], replace(endless, at_most=True))


async def test_the_choices_of_a_request_are_read_once(desk, monkeypatch):
    render, rendered = Letters.render, []
    monkeypatch.setattr(Letters, "render", lambda *asked, **more: rendered.append(1) or render(*asked, **more))
    one = prompt("tell me")
    choices = [replace(one, sampling=Sampling(1, seed=seed)) for seed in range(2)]
    told = await asyncio.gather(*(collect(desk[0], choice) for choice in choices))
    assert len(rendered) == 1
    for choice, answer in zip(choices, told, strict=True):
        assert (await collect(desk[0], replace(choice, messages=(*choice.messages,))))[0] == answer[0]
        assert (await collect(desk[0], prompt("another")))[1].prompt_tokens == len("another")
        assert (await collect(desk[0], choice))[0] == answer[0]


async def test_a_request_whose_time_is_up_is_neither_read_nor_asked(desk, monkeypatch):
    conversation, free, rendered = desk[0], threading.Event(), []
    monkeypatch.setattr(Letters, "render", lambda *_, **__: rendered.append(free.wait(10)) or Rendered([1]))
    first = asyncio.create_task(collect(conversation, replace(prompt("one"), seconds=5)))
    await asyncio.sleep(0.05)
    for late in (prompt("two"), prompt("three")):
        with pytest.raises(DeadlineExceeded, match="in the time that the request"):
            await collect(conversation, replace(late, seconds=0.05))
    free.set()
    await first
    assert rendered == [True]
    await at_rest(conversation)


async def test_a_prompt_beyond_the_context_has_no_grammar_compiled(desk):
    class Never:
        def compile(self, form):
            pytest.fail(f"{form} was compiled")

    held = Conversation(desk[2], Letters(), model_id="toy", created=0, max_context=50, grammars=Never())
    with pytest.raises(InvalidInput, match="60 prompt tokens"):
        await collect(held, replace(prompt("x" * 60), grammar=Grammar("regex", "a")))
    held.close()


async def test_an_answer_may_be_cut_to_what_the_context_has_room_for(desk):
    cut = replace(prompt("x" * 4998, max_tokens=100_000), at_most=True)
    _, finish = await collect(desk[0], cut)
    assert finish.completion_tokens <= 2
    with pytest.raises(InvalidInput, match="prompt is too long: 5000 tokens > 4999 maximum"):
        await collect(desk[0], replace(prompt("x" * 5000), at_most=True))


async def test_a_prompt_is_counted_however_long_it_is(desk):
    assert await desk[0].count(prompt("x" * 100_000)) == 100_000


async def test_an_announced_answer_opens_with_what_is_known(desk):
    announced = replace(prompt("a longer beginning"), announced=True)
    await collect(desk[0], announced)
    pieces = [piece async for piece in desk[0].reply(announced)]
    assert pieces[0] == Begun(18, pieces[-1].cached_tokens)
    assert pieces[0].cached_tokens > 0


async def test_what_changes_in_every_system_prompt_is_put_aside(desk):
    steady = Conversation(desk[2], Letters(), model_id="toy", created=0, max_context=5000, steady=True)
    rules = "be brief " * 50
    headers = [f"x-anthropic-billing-header: cc_version=2; cch={nonce};\n" for nonce in ("ab", "ba")]
    prompts = [
        replace(prompt(""), messages=(Message("system", each + rules), Message("user", "a"))) for each in headers
    ]
    assert await steady.count(prompts[0]) == len(rules) + 1
    assert await desk[0].count(prompts[0]) == len(headers[0] + rules) + 1
    await collect(steady, prompts[0])
    _, finish = await collect(steady, prompts[1])
    steady.close()
    assert finish.cached_tokens == len(rules)


async def test_the_time_costs_no_more_than_the_newest_message(desk):
    steady = Conversation(desk[2], Letters(), model_id="toy", created=0, max_context=5000, steady=True)
    rules = "be brief " * 50
    times = [f"\nCurrent time: 2026-11-21 03:1{minute}" for minute in (2, 5)]
    prompts = [
        replace(prompt(""), messages=(Message("system", rules + each), Message("user", "abc"))) for each in times
    ]
    await collect(steady, prompts[0])
    _, finish = await collect(steady, prompts[1])
    steady.close()
    assert finish.cached_tokens > len(rules) + len("abc")


async def test_text_and_tokens_may_be_read_as_they_are(desk):
    tokens = tuple(ord(letter) % 4 for letter in "hello")
    conversation, given = desk[0], prompt("")
    told = [await collect(conversation, replace(given, messages=(), given=each)) for each in ("hello", tokens)]
    assert told[0][0] == told[1][0]
    assert told[1][1].prompt_tokens == 5
    assert told[1][1].cached_tokens == 4
    assert await conversation.spell(tokens) == "".join("abcde"[token] for token in tokens)
    with pytest.raises(InvalidInput, match="prompt: 5 is no token of this model: the last is 4"):
        await collect(conversation, replace(given, given=(5,)))
    with pytest.raises(InvalidInput, match="prompt: there is nothing in it"):
        await collect(conversation, replace(given, given=""))


async def test_many_at_once_answer_as_if_alone(desk):
    prompts = [prompt(text) for text in ("one", "two")]  # as many as may wait at this desk
    alone = [await collect(desk[0], one) for one in prompts]
    together = await asyncio.gather(*(collect(desk[0], one) for one in prompts))
    assert [text for text, _ in together] == [text for text, _ in alone]


async def test_a_full_queue_is_overloaded(desk):
    conversation, runtime, _ = desk
    runtime.free.clear()
    asked = [asyncio.create_task(collect(conversation, prompt("ab" * 30 + letter))) for letter in "abcdefgh"]
    await asyncio.sleep(0.3)  # all have asked, and nothing has moved
    runtime.free.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert any(isinstance(result, Overloaded) for result in results)


async def test_a_model_that_fails_fails_the_turn_and_lives_on(desk):
    conversation, runtime, _ = desk
    expected, _ = await collect(conversation, prompt("xyzzy"))
    runtime.failing = True
    with pytest.raises(GenerationFailed, match="the device is lost"):
        await collect(conversation, prompt("long enough to go on", max_tokens=50))
    runtime.failing = False
    assert (await collect(conversation, prompt("xyzzy")))[0] == expected
    await at_rest(conversation)


async def test_a_model_that_fails_in_mid_answer_fails_the_answer_that_has_begun(desk):
    conversation, runtime, _ = desk
    questions = [f"{first}{second}" for first in "abcd" for second in "abcd"]
    answers = {question: (await collect(conversation, prompt(question)))[0] for question in questions}
    question, answer = max(answers.items(), key=lambda asked: len(asked[1]))
    decodes = iter(range(len(answer) - 1))
    decode = runtime.decode
    runtime.decode = lambda feeds: decode(feeds) if next(decodes, None) is not None else 1 / 0
    heard = ""
    with pytest.raises(GenerationFailed, match="ZeroDivisionError"):
        async for piece in conversation.reply(prompt(question)):
            heard += piece.text
    assert heard == answer[: len(heard)] != ""
    runtime.decode = decode
    assert (await collect(conversation, prompt(question)))[0] == answer
    await at_rest(conversation)


async def test_a_disk_that_hangs_does_not_hold_up_the_end(desk, monkeypatch, caplog):
    conversation, _, thread = desk
    free = threading.Event()
    monkeypatch.setattr(InMemoryBlockStore, "put", lambda *_: free.wait(20) and [])
    await collect(conversation, prompt("to be kept"))
    await at_rest(conversation)
    started = asyncio.get_running_loop().time()
    await thread.close(grace=0.2)
    assert asyncio.get_running_loop().time() - started < 10
    assert "block parts were not written: the disk did not take them within 1 s" in caplog.text
    free.set()


async def test_leaving_early_ends_the_turn(desk):
    conversation, _, _ = desk
    reply = conversation.reply(prompt("never mind the rest", max_tokens=4000))
    await anext(reply)
    await reply.aclose()
    await at_rest(conversation)


async def test_a_closed_thread_takes_no_turns(desk):
    conversation, _, thread = desk
    await thread.close(grace=0)
    with pytest.raises(Unavailable, match="takes no more turns"):
        await collect(conversation, prompt("too late"))


async def test_what_opening_raises_comes_out_of_start():
    def refuse(_wake):
        raise Misconfigured("model: there is no folder")

    with pytest.raises(Misconfigured, match="there is no folder"):
        await EngineThread(refuse).start()


async def test_an_empty_prompt_is_refused(desk):
    with pytest.raises(InvalidInput, match="nothing in it"):
        await collect(desk[0], prompt(""))


async def test_an_engine_that_ends_leaves_nobody_waiting(desk):
    conversation, _, thread = desk
    thread._engine.scheduler.plan = lambda: 1 / 0
    with pytest.raises((GenerationFailed, Unavailable)):  # whichever the client meets first
        await collect(conversation, prompt("hello"))
    with pytest.raises(Unavailable, match="takes no more turns"):
        await collect(conversation, prompt("hello again"))
