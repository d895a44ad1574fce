"""Packed caches: what each row sees, whoever joins and leaves; and attention over what they hold."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import CONFIGS

from agent_memory.adapters.mlx import codec
from agent_memory.adapters.mlx.attention import PackedTensor, attend
from agent_memory.adapters.mlx.codec import Codec, LayerCodec
from agent_memory.adapters.mlx.loading import mx
from agent_memory.adapters.mlx.packed import PackedCache
from agent_memory.adapters.mlx.runtime import MlxRuntime
from agent_memory.domain.kv.precision import Encoding
from agent_memory.domain.kv.turn import Sampling, TurnId


class Talk:
    """A cache beside what each of its rows should hold: a key is the token's number, a value ten times it."""

    def __init__(self, window):
        self.cache, self.window, self.rows = PackedCache(window), window, [[]]

    def say(self, count, dice):
        new = [[dice.randrange(1, 1000) for _ in range(count)] for _ in self.rows]
        mask = self.cache.make_mask(count)
        keys = mx.array(new)[:, None, :, None]
        self.cache.append((keys,), (10 * keys,))
        (seen,), (tens,) = self.cache.shown()
        assert (tens == 10 * seen).all()
        self.rows = [row + tokens for row, tokens in zip(self.rows, new, strict=True)]
        self.check(seen[:, 0, :, 0].tolist(), self._visible(mask, count, seen.shape), count)

    def _visible(self, mask, count, shape):
        rows, _, columns, _ = shape
        if mask is None or isinstance(mask, str):
            assert (mask is None) == (count == 1)
            mask = mx.arange(columns) <= mx.arange(columns - count, columns)[:, None]
        return mx.broadcast_to(mask, (rows, 1, count, columns))[:, 0].tolist()

    def check(self, columns, visible, count):
        """Each new token sees its row up to itself, as far back as the window reaches, and nothing else."""
        for row, held, seen in zip(self.rows, columns, visible, strict=True):
            for i in range(count):
                upto = row[: len(row) - count + i + 1]
                assert [c for c, shown in zip(held, seen[i], strict=True) if shown] == upto[
                    -(self.window or len(upto)) :
                ]
        offset = self.cache.offset
        assert (offset if isinstance(offset, int) else offset.tolist()) == (
            len(self.rows[0]) if len(self.rows) == 1 else [len(row) for row in self.rows]
        )


def _spoken(window, dice, length):
    talk = Talk(window)
    while length > 0:
        count = min(length, dice.choice([1, 1, 7, 130]))
        talk.say(count, dice)
        length -= count
    return talk


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([0, 3, 64, 300]), st.integers(0, 2**32))
def test_each_row_sees_its_own_tokens_through_joins_and_leaves(window, seed):
    dice = random.Random(seed)
    alone = [_spoken(window, dice, dice.choice([0, 1, 5, 64, 250, 330])) for _ in range(dice.randrange(2, 4))]
    batch = Talk(window)
    batch.cache = PackedCache.merge([talk.cache for talk in alone])
    batch.rows = [talk.rows[0] for talk in alone]
    for _ in range(12):
        for _ in range(dice.choice([1, 3, 40])):
            batch.say(1, dice)
        if dice.random() < 0.5:
            newcomer = _spoken(window, dice, dice.choice([0, 2, 90, 400]))
            batch.cache.extend(PackedCache.merge([newcomer.cache]))
            batch.rows += newcomer.rows
        elif len(batch.rows) > 2:
            leaver = dice.randrange(len(batch.rows))
            left = Talk(window)
            left.cache, left.rows = batch.cache.extract(leaver), [batch.rows[leaver]]
            stay = [row for row in range(len(batch.rows)) if row != leaver]
            batch.cache.filter(stay)
            batch.rows = [batch.rows[row] for row in stay]
            left.say(dice.choice([1, 9]), dice)
    batch.say(5, dice)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([0, 3, 64, 300]), st.integers(0, 400), st.integers(0, 400), st.integers(0, 2**32))
def test_a_cache_goes_back_to_its_mark(window, before, after, seed):
    dice = random.Random(seed)
    talk = _spoken(window, dice, before)
    place, rows = talk.cache.mark(), talk.rows
    for _ in range(after):
        talk.cache.append(*[(mx.array([[[[dice.randrange(1000)]]]]),)] * 2)
    talk.cache.rewind(place)
    talk.rows = rows
    talk.say(3, dice)
    talk.say(1, dice)


FOUR, EIGHT = Encoding(4, 64, rotated=True), Encoding(8, 32)


@pytest.mark.parametrize(("keys", "values"), [(FOUR, EIGHT), (EIGHT, FOUR), (Encoding(16), FOUR), (FOUR, FOUR)])
@pytest.mark.parametrize("mask", ["none", "rows", "heads", "added"])
@pytest.mark.parametrize("sinks", [False, True])
def test_attention_over_packed_is_attention_over_what_they_unpack_to(keys, values, mask, sinks):
    mx.random.seed(1)
    rows, heads, kv_heads, tokens = 3, 8, 2, 70
    codecs = [Codec(keys, 192, mx.float32, mx.float16), Codec(values, 128, mx.float32, mx.float16)]
    packed = [PackedTensor(c.pack(mx.random.normal((rows, kv_heads, tokens, c.dim))), c) for c in codecs]
    plain = [side.codec.unpack(side.packed) for side in packed]
    queries = mx.random.normal((rows, heads, 1, 192))
    masks = {
        "none": None,
        "rows": mx.arange(tokens) >= mx.array([0, 5, 60])[:, None, None, None],
        "heads": mx.random.uniform(shape=(rows, heads, 1, tokens)) > 0.3,
        "added": mx.random.normal((rows, heads, 1, tokens)),
    }
    more = {"cache": None, "scale": 0.1, "mask": masks[mask], "sinks": mx.random.normal((heads,)) if sinks else None}
    difference = mx.abs(attend(queries, *packed, **more) - attend(queries, *plain, **more)).max()
    assert difference.item() < 1e-4


def _log_probs(runtime, tokens, spoken):
    """Of what follows each token of `spoken`, after a prompt."""
    turn, found = TurnId("t"), []
    runtime.open(turn, Sampling(0), [])
    runtime.prefill(turn, tokens)
    running = runtime._turns[turn]
    running.speak(tokens[-1])
    for token in spoken:
        logits = runtime._run(mx.array([[token]]), running.caches)[0, -1]
        found.append(logits - mx.logsumexp(logits))
    runtime.close(turn)
    return mx.stack(found)


def _text_and_answer():
    dice = random.Random(5)
    return [dice.randrange(250) for _ in range(400)], [dice.randrange(250) for _ in range(24)]


def _with(runtime, change):
    """The same model, and another form of its caches."""
    return MlxRuntime(runtime._model, runtime.fingerprint, runtime.spec, [change(form) for form in runtime._forms])


def _unrounded(form):
    keys, values = (replace(c, encoding=Encoding(16), stored=mx.float32) for c in (form.codec.keys, form.codec.values))
    return replace(form, codec=LayerCodec(keys, values))


@pytest.mark.parametrize("kind", CONFIGS)
def test_but_for_the_rounding_packed_and_expanded_say_the_same(kind, load):
    runtimes = [_with(load(name).runtime, _unrounded) for name in (f"{kind}, packed", kind)]
    packed, expanded = (_log_probs(runtime, *_text_and_answer()) for runtime in runtimes)
    assert mx.abs(packed - expanded).max().item() < 1e-3


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("bits", [4, "k8v4"])
def test_attention_over_codes_says_what_attention_over_unpacked_ones_says(kind, bits, load):
    runtime = load(f"{kind}, packed", bits).runtime
    packed = _log_probs(runtime, *_text_and_answer())
    unpacked = _log_probs(_with(runtime, lambda form: replace(form, untouched=False)), *_text_and_answer())
    assert mx.abs(packed - unpacked).max().item() < 0.02


# Random weights in a narrow window multiply a difference with each token, and a choice of tokens jumps.
STEADY = ["llama", "deepseek_v2", "deepseek_v3", "gpt_oss"]


@pytest.mark.parametrize(("bits", "first", "later"), [(8, 0.005, 0.02), (16, 0.0002, 0.001)])
@pytest.mark.parametrize("kind", [*STEADY, "gemma3_text", "deepseek_v32"])
def test_packed_and_expanded_say_the_same_within_a_bound(kind, bits, first, later, load):
    """In parts of the logits' spread. What was read is the same to the bit; what is spoken is rounded in one only."""
    runtimes = [load(name, bits).runtime for name in (f"{kind}, packed", kind)]
    packed, expanded = (_log_probs(runtime, *_text_and_answer()) for runtime in runtimes)
    apart = mx.abs(packed - expanded).max(axis=-1) / mx.std(expanded, axis=-1)
    assert apart[0].item() < first
    assert kind not in STEADY or apart.max().item() < later


@pytest.mark.parametrize("kind", ["llama", "gemma3_wide", "deepseek_v2", "deepseek_v3"])
def test_packed_and_expanded_read_each_others_blocks(kind, load, bench):
    dice = random.Random(6)
    prompt = [dice.randrange(250) for _ in range(600)]
    written = bench(load(f"{kind}, packed", 8).runtime, "one").ask(prompt, 8)
    restored = bench(load(kind, 8).runtime, "one").ask(prompt, 8)
    assert written[1] == 0
    assert restored == (written[0], 599)


def test_a_model_that_uses_its_latent_itself_gets_it_unpacked(load):
    def untouched(kind):
        return load(f"{kind}, packed").runtime._forms[0].untouched

    assert untouched("deepseek_v2")
    assert not untouched("deepseek_v3")


@pytest.mark.parametrize("size", [32, 64, 128])
def test_turning_is_the_same_with_and_without_a_kernel(monkeypatch, size):
    x = mx.random.normal((3, 5, size))
    turned = codec.hadamard(x)
    monkeypatch.setattr(codec, "_has_kernel", lambda: False)
    assert mx.allclose(codec.hadamard(x), turned, atol=1e-5)
    assert mx.allclose(codec.hadamard(turned), x, atol=1e-5)


@pytest.mark.parametrize("compute", [mx.float32, mx.float16, mx.bfloat16])
def test_a_great_number_among_small_ones_costs_turned_keys_less(compute):
    mx.random.seed(4)
    x = mx.random.normal((1, 4, 300, 128))
    x[..., 5] = 40.0 + x[..., 5]  # as some channels of trained models are
    x = x.astype(compute)
    plain, turned = (
        codec.Codec(Encoding(4, 64, rotated=rotated), 128, compute, mx.float16) for rotated in (False, True)
    )

    def lost(one):
        return mx.abs(one.unpack(one.pack(x)) - x)[..., 6:].astype(mx.float32).mean().item()

    assert lost(turned) < 0.6 * lost(plain)


def test_turned_vectors_do_not_depend_on_how_many_are_at_a_time():
    four = codec.Codec(Encoding(4, 64, rotated=True), 128, mx.float32, mx.float16)
    x = mx.random.normal((1, 4, 300, 128))
    whole, parts = four.pack(x), [four.pack(x[:, :, start : start + 7]) for start in range(0, 300, 7)]
    assert all((one == other).all() for one, other in zip(whole, codec.join(parts), strict=True))
    alone = mx.concatenate([four.unpack(part) for part in parts], axis=-2)
    assert (four.unpack(whole) == alone).all()
