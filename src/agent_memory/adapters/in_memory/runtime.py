"""A toy model with the shape of a real one: what it says depends on every cache entry, and every entry on its whole
prefix, so that one wrong, missing or misplaced entry changes every token that follows.

It has a full layer and, on request, a windowed and a recurrent one, or any of them alone. For tests of the engine,
and for those who test against it.
"""

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import log

from agent_memory.domain.errors import CorruptBlock
from agent_memory.domain.kv.block import CacheBlock, Part
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind, StateArray
from agent_memory.domain.kv.steps import Logprobs
from agent_memory.domain.kv.turn import Sampling, TurnId
from agent_memory.ports.kv import BlockPayload, Buffer, BytesPayload, Piece, Scores

ENTRY_BYTES = 8


def _payload(**entries: list[bytes]) -> BytesPayload:
    return BytesPayload(
        {name: Buffer("U8", (len(held), ENTRY_BYTES), b"".join(held)) for name, held in entries.items() if held}
    )


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"".join(parts), digest_size=ENTRY_BYTES).digest()


@dataclass(slots=True)
class _Cache:
    """`full` holds every entry; `window` those from `window_start` on; `state` digests all `tokens` that were
    read; `before` is how many there were, and what it was, when the last piece began: it may be put down for good.
    """

    sampling: Sampling
    tokens: int = 0
    full: list[bytes] = field(default_factory=list)
    window: list[bytes] = field(default_factory=list)
    window_start: int = 0
    state: bytes = b""
    before: tuple[int, bytes] = (0, b"")
    spoken_from: tuple[int, bytes] | None = None


class ToyRuntime:
    """`vocabulary` small makes different prefixes likely to say the same token: a weaker hash would go unnoticed.
    Every `rests`-th time that it may put its work down, it does; 0 is never.
    """

    def __init__(
        self,
        *,
        vocabulary: int = 5,
        block_tokens: int = 4,
        full: bool = True,
        window: int = 0,
        recurrent: bool = False,
        weights: str = "toy",
        rests: int = 0,
    ) -> None:
        layers = [Layer(LayerKind.FULL, 1, 2, 2)] if full else []
        if window:
            layers.append(Layer(LayerKind.WINDOW, 1, 2, 2, window=window))
        if recurrent:
            layers.append(Layer(LayerKind.RECURRENT, state=(StateArray((2,), "F32"),)))
        # 16 bits for 2 + 2 numbers a token: exactly the 8 bytes of an entry
        self._spec = CacheSpec(tuple(layers), Precision(bits=16), block_tokens=block_tokens)
        self._vocabulary = vocabulary
        self._weights = weights.encode()
        self._full, self._window, self._recurrent = full, window, recurrent
        self._caches: dict[TurnId, _Cache] = {}
        self._rests = itertools.cycle([False] * (rests - 1) + [rests > 0])

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self._weights).hexdigest()

    @property
    def spec(self) -> CacheSpec:
        return self._spec

    @property
    def open_turns(self) -> frozenset[TurnId]:
        return frozenset(self._caches)

    def open(self, turn: TurnId, sampling: Sampling, pieces: Sequence[Piece]) -> None:
        cache = _Cache(sampling)
        for piece in pieces:
            assert piece.block.start == cache.tokens, "a gap between pieces"
            cache.tokens += piece.length
            cache.full += self._entries(piece.lasting, "full", piece, there=self._full)
            if piece.local is None:
                cache.window, cache.window_start = [], cache.tokens
            else:
                cache.window += self._entries(piece.local, "window", piece, there=self._window > 0)
                cache.state = self._state(piece.local) if self._recurrent else cache.state
        if self._recurrent and pieces:
            last = pieces[-1]
            assert last.local is not None, "a prefix that ends without a state"
            assert last.length == len(last.block), "a state that is cut"
        self._caches[turn] = cache

    def _state(self, payload: BlockPayload) -> bytes:
        state = payload.buffers().get("state")
        if state is None or len(state.data) != ENTRY_BYTES:
            raise CorruptBlock("no state in the local part")
        return bytes(state.data)

    def _entries(self, payload: BlockPayload, name: str, piece: Piece, *, there: bool) -> list[bytes]:
        if not there:
            return []
        entries = payload.buffers().get(name)
        data = bytes(entries.data) if entries is not None else b""
        if len(data) != len(piece.block) * ENTRY_BYTES:
            raise CorruptBlock(f"{len(data)} bytes for {len(piece.block)} tokens")
        return [data[i * ENTRY_BYTES : (i + 1) * ENTRY_BYTES] for i in range(piece.length)]

    def resume(self, parked: TurnId, turn: TurnId, sampling: Sampling, length: int) -> None:
        cache = self._caches.pop(parked)
        cache.sampling, cache.spoken_from = sampling, None
        assert not (self._window or self._recurrent) or length == cache.tokens, "only what is full can be cut back"
        del cache.full[length:]
        cache.tokens = length
        self._caches[turn] = cache

    def advance(self, turn: TurnId, seconds: float | None = None) -> bool:
        assert turn in self._caches
        return seconds is None or not next(self._rests)

    def prefill(self, turn: TurnId, tokens: Sequence[int]) -> None:
        cache = self._caches[turn]
        cache.before = (cache.tokens, cache.state)
        for token in tokens:
            self._append(cache, token)
        cache.spoken_from = None

    def score(self, turn: TurnId, tokens: Sequence[int], following: Sequence[int]) -> Scores:
        """It holds what it would say for nine in ten, and everything else for equally likely."""
        likeliest = []
        for token in tokens:
            self.prefill(turn, [token])
            likeliest.append(self._say(self._caches[turn]))
        others = log(0.1 / (self._vocabulary - 1))
        pairs = zip(likeliest, following, strict=True)
        return Scores([log(0.9) if said == token else others for said, token in pairs], likeliest)

    def rewind(self, turn: TurnId) -> None:
        cache = self._caches[turn]
        if cache.spoken_from is not None:
            cache.tokens, cache.state = cache.spoken_from
            del cache.full[cache.tokens :]
            del cache.window[max(0, cache.tokens - cache.window_start) :]

    def decode(self, feeds: Sequence[tuple[TurnId, int]]) -> list[int]:
        for turn, token in feeds:
            cache = self._caches[turn]
            if cache.spoken_from is None:
                cache.spoken_from = (cache.tokens, cache.state)
            self._append(cache, token)
        return [self._say(self._caches[turn]) for turn, _ in feeds]

    def logprobs(self, turn: TurnId) -> Logprobs:
        """What it says has half of the probability; the other tokens share the rest."""
        cache = self._caches[turn]
        said, rest = self._say(cache), math.log(0.5 / (self._vocabulary - 1))
        others = ((token, rest) for token in range(self._vocabulary) if token != said)
        likeliest = ((said, math.log(0.5)), *others)
        return Logprobs(math.log(0.5), likeliest[: cache.sampling.logprobs])

    def _append(self, cache: _Cache, token: int) -> None:
        seen = b"".join(cache.full)
        if self._window:
            seen += b"|".join(self._visible(cache))
        entry = _digest(self._weights, seen, cache.state, token.to_bytes(4, "little"))
        cache.tokens += 1
        if self._full:
            cache.full.append(entry)
        if self._window:
            cache.window.append(_digest(entry, *self._visible(cache)))
        if self._recurrent:
            cache.state = _digest(cache.state, entry)

    def _visible(self, cache: _Cache) -> list[bytes]:
        """The windowed entries that the next token looks back on, itself not counted."""
        start = max(0, cache.tokens - self._window)
        assert start >= cache.window_start, "a windowed layer looks at what was not restored"
        return cache.window[start - cache.window_start :]

    def _say(self, cache: _Cache) -> int:
        seed = str(cache.sampling.seed).encode() if cache.sampling.temperature else b""
        heard = _digest(self._weights, seed, *cache.full, *cache.window[-1:], cache.state)
        return int.from_bytes(heard, "little") % self._vocabulary

    def read(self, turn: TurnId, block: CacheBlock, parts: Iterable[Part]) -> dict[Part, BlockPayload]:
        cache = self._caches[turn]
        read = {Part.LASTING: _payload(full=cache.full[block.start : block.end] if self._full else [])}
        if Part.LOCAL in parts:
            assert block.start >= cache.window_start or not self._window, "a local part of what was not restored"
            window = cache.window[block.start - cache.window_start : block.end - cache.window_start]
            states = {cache.tokens: cache.state, cache.before[0]: cache.before[1]}
            read[Part.LOCAL] = _payload(
                window=window if self._window else [], state=[states[block.end]] if self._recurrent else []
            )
        return {part: read[part] for part in parts}

    def close(self, turn: TurnId) -> None:
        self._caches.pop(turn, None)
