"""What every ModelRuntime promises, on each of them."""

import math

import pytest

from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.domain.errors import CorruptBlock
from agent_memory.domain.kv.block import CacheBlock, Namespace, Part, pack
from agent_memory.domain.kv.turn import Sampling, TurnId
from agent_memory.ports.kv import Buffer, BytesPayload, Piece

GREEDY = Sampling(temperature=0)
ONE, TWO = TurnId("one"), TurnId("two")
ROOT = Namespace("t", "m", "s").root


def _mlx(kind, attention="expanded"):
    def make(tmp_path):
        from models import make_model

        from agent_memory.adapters.mlx.loading import load_model
        from agent_memory.domain.kv.attention import AttentionChoice
        from agent_memory.domain.kv.precision import Precision

        return load_model(make_model(tmp_path / kind, kind), Precision(4), tmp_path, AttentionChoice(attention)).runtime

    return make


MAKERS = {
    "in_memory": lambda _: ToyRuntime(vocabulary=50),
    "in_memory, windowed": lambda _: ToyRuntime(vocabulary=50, window=3),
    "in_memory, hybrid": lambda _: ToyRuntime(vocabulary=50, recurrent=True),
    "in_memory, recurrent": lambda _: ToyRuntime(vocabulary=50, full=False, recurrent=True),
    "in_memory, windowed and recurrent": lambda _: ToyRuntime(vocabulary=50, window=3, recurrent=True),
    "mlx llama": _mlx("llama"),
    "mlx gemma3": _mlx("gemma3_text"),
    "mlx gemma3, packed": _mlx("gemma3_text", "packed"),
    "mlx deepseek_v2": _mlx("deepseek_v2"),
    "mlx deepseek_v3, packed": _mlx("deepseek_v3", "packed"),
    "mlx qwen3_next": _mlx("qwen3_next"),
    "mlx mamba2": _mlx("mamba2"),
    "mlx falcon_h1": _mlx("falcon_h1"),
    "mlx recurrent_gemma": _mlx("recurrent_gemma"),
}


@pytest.fixture(params=[pytest.param(n, marks=[pytest.mark.integration] if "mlx" in n else []) for n in MAKERS])
def runtime(request, tmp_path):
    return MAKERS[request.param](tmp_path)


def answer(runtime, turn, prompt, *, count=5, pieces=(), stops=()):
    runtime.open(turn, GREEDY, pieces)
    done = sum(piece.length for piece in pieces)
    for stop in (*stops, len(prompt) - 1):
        if prompt[done:stop]:
            runtime.prefill(turn, prompt[done:stop])
            done = stop
    said = runtime.decode([(turn, prompt[-1])])
    while len(said) < count:
        said += runtime.decode([(turn, said[-1])])
    return said


def blocks_of(runtime, prompt):
    size = runtime.spec.block_tokens
    blocks, parent = [], ROOT
    for start in range(0, len(prompt), size):
        blocks.append(CacheBlock.after(parent, start, pack(prompt[start : start + size])))
        parent = blocks[-1].hash
    return blocks


def parts(runtime):
    return (Part.LASTING, Part.LOCAL) if runtime.spec.reach else (Part.LASTING,)


def pieces_of(runtime, turn, prompt, cut=0):
    """Every block of the prompt as the runtime gives it back, the last one short of `cut` tokens. A state can be read
    only where the turn stands, and cannot be cut: there, the last block is the shorter one.
    """
    exact = runtime.spec.exact
    prompt, cut = (prompt[: len(prompt) - cut], 0) if exact else (prompt, cut)
    pieces = []
    runtime.open(turn, GREEDY, [])
    for block in blocks_of(runtime, prompt):
        if exact or not pieces:
            runtime.prefill(turn, prompt[block.start : block.end if exact else len(prompt)])
        read = {p: BytesPayload(dict(x.buffers())) for p, x in runtime.read(turn, block, parts(runtime)).items()}
        pieces.append(Piece(block, len(block), read[Part.LASTING], read.get(Part.LOCAL)))
    last = pieces[-1]
    return [*pieces[:-1], Piece(last.block, last.length - cut, last.lasting, last.local)]


def prompt_for(runtime):
    return [i % 47 for i in range(2 * runtime.spec.block_tokens + 3)]


def test_chunks_do_not_change_the_answer(runtime):
    prompt = prompt_for(runtime)
    whole = answer(runtime, ONE, prompt)
    runtime.open(TWO, GREEDY, [])
    runtime.prefill(TWO, prompt[:5])
    runtime.prefill(TWO, prompt[5:-1])
    assert runtime.decode([(TWO, prompt[-1])]) == whole[:1]


def test_rewinding_goes_back_to_where_the_turn_began_to_speak(runtime):
    prompt = prompt_for(runtime)
    said = answer(runtime, ONE, prompt, count=9)
    runtime.rewind(ONE)
    assert runtime.decode([(ONE, prompt[-1])]) == said[:1]
    runtime.rewind(ONE)
    runtime.prefill(ONE, [prompt[-1], *said[:3]])
    follow = runtime.decode([(ONE, said[3])])
    assert follow == answer(runtime, TWO, [*prompt, *said[:4]], count=1)


def test_rewinding_one_of_many_leaves_the_others(runtime):
    prompt = prompt_for(runtime)
    expected = answer(runtime, ONE, prompt, count=6)
    for turn in (ONE, TWO):
        runtime.open(turn, GREEDY, [])
        runtime.prefill(turn, prompt[:-1])
    said = runtime.decode([(ONE, prompt[-1]), (TWO, prompt[-1])])
    said = runtime.decode([(ONE, said[0]), (TWO, said[1])])
    runtime.rewind(ONE)
    runtime.prefill(ONE, [prompt[-1]])
    assert runtime.decode([(TWO, said[1])]) == expected[2:3]
    assert runtime.decode([(ONE, expected[0])]) == expected[1:2]


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_what_was_read_restores_the_turn(runtime, cut):
    prompt = prompt_for(runtime)
    pieces = pieces_of(runtime, ONE, prompt, cut)
    stops = [piece.block.end for piece in pieces] if runtime.spec.exact else []
    expected = answer(runtime, ONE, [*prompt, 9], stops=stops)
    assert answer(runtime, TWO, [*prompt, 9], pieces=pieces) == expected


def test_turns_do_not_touch_each_other(runtime):
    prompts = {ONE: prompt_for(runtime), TWO: prompt_for(runtime)[::-1]}
    alone = {turn: answer(runtime, turn, prompt, count=3) for turn, prompt in prompts.items()}
    said = {}
    for turn, prompt in prompts.items():
        runtime.open(turn, GREEDY, [])
        runtime.prefill(turn, prompt[:-1])
        said[turn] = runtime.decode([(turn, prompt[-1])])
    for _ in range(2):
        for turn, token in zip(said, runtime.decode([(t, said[t][-1]) for t in said]), strict=True):
            said[turn].append(token)
    assert said == alone


def test_a_payload_that_does_not_fit_is_refused_and_opens_nothing(runtime):
    block = blocks_of(runtime, prompt_for(runtime))[0]
    wrong = BytesPayload({"entries": Buffer("U8", (3,), b"abc"), "0.k0": Buffer("U32", (1,), b"abcd")})
    with pytest.raises(CorruptBlock):
        runtime.open(ONE, GREEDY, [Piece(block, len(block), wrong, wrong)])
    with pytest.raises(KeyError):
        runtime.prefill(ONE, [1])


def test_close_may_be_repeated(runtime):
    runtime.open(ONE, GREEDY, [])
    runtime.close(ONE)
    runtime.close(ONE)


def test_a_turn_that_is_open_is_begun_anew(runtime):
    prompt = prompt_for(runtime)
    first = answer(runtime, ONE, prompt)
    assert answer(runtime, ONE, prompt) == first


def test_the_payload_costs_what_the_spec_says(runtime):
    prompt = prompt_for(runtime)
    block = blocks_of(runtime, prompt)[0]
    runtime.open(ONE, GREEDY, [])
    runtime.prefill(ONE, prompt[: block.end])
    read = runtime.read(ONE, block, parts(runtime))
    assert read[Part.LASTING].nbytes == runtime.spec.lasting_bytes(len(block))
    if runtime.spec.reach:
        assert read[Part.LOCAL].nbytes == runtime.spec.local_bytes(len(block))


def test_the_fingerprint_is_stable(runtime):
    assert runtime.fingerprint == runtime.fingerprint
    assert runtime.fingerprint


def test_log_probabilities_come_with_what_was_said(runtime):
    prompt = prompt_for(runtime)
    runtime.open(ONE, Sampling(temperature=0, logprobs=3), [])
    runtime.prefill(ONE, prompt[:-1])
    said = runtime.decode([(ONE, prompt[-1])])
    told = runtime.logprobs(ONE)
    assert len(told.likeliest) == 3
    assert told.said == max(logprob for _, logprob in told.likeliest)
    assert said[0] in [token for token, logprob in told.likeliest if logprob == told.said]
    assert sum(math.exp(logprob) for _, logprob in told.likeliest) <= 1 + 1e-6


def test_scoring_reads_as_prefill_does(runtime):
    prompt = prompt_for(runtime)
    before = answer(runtime, ONE, prompt)
    runtime.open(TWO, GREEDY, [])
    scores = runtime.score(TWO, prompt[:-1], prompt[1:])
    assert len(scores.log_probs) == len(scores.likeliest) == len(prompt) - 1
    assert all(value <= 0 for value in scores.log_probs)
    said = runtime.decode([(TWO, prompt[-1])])
    while len(said) < len(before):
        said += runtime.decode([(TWO, said[-1])])
    assert said == before


def test_a_likeliest_token_is_what_would_have_been_said(runtime):
    prompt = prompt_for(runtime)[:40]
    (said,) = answer(runtime, ONE, prompt, count=1)
    runtime.open(TWO, GREEDY, [])
    sure = runtime.score(TWO, prompt, [*prompt[1:], said])
    runtime.open(TWO, GREEDY, [])
    unsure = runtime.score(TWO, prompt, [*prompt[1:], (said + 1) % 47])
    assert sure.likeliest[-1] == said
    assert sure.log_probs[-1] > unsure.log_probs[-1]
    assert sure.log_probs[:-1] == unsure.log_probs[:-1]
