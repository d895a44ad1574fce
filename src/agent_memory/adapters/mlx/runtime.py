"""The ModelRuntime on MLX: one loaded model, and the caches of the turns that run on it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from agent_memory.adapters.mlx.caches import Tape, TapedKVCache, TapedRotatingKVCache
from agent_memory.adapters.mlx.codec import Codec, Packed, cut, join
from agent_memory.adapters.mlx.payload import MlxPayload, arrays_of
from agent_memory.adapters.mlx.sampling import say
from agent_memory.domain.errors import CorruptBlock
from agent_memory.domain.kv.block import CacheBlock, Part
from agent_memory.domain.kv.spec import CacheSpec, Layer, LayerKind
from agent_memory.domain.kv.turn import Sampling, TurnId
from agent_memory.ports.kv import BlockPayload, Piece

LayerCache = TapedKVCache | TapedRotatingKVCache
_PART = {LayerKind.FULL: Part.LASTING, LayerKind.WINDOW: Part.LOCAL}


@dataclass(slots=True)
class _Running:
    caches: list[LayerCache]
    sampling: Sampling
    position: int


class MlxRuntime:
    def __init__(self, model: Any, fingerprint: str, spec: CacheSpec, codec: Codec) -> None:
        self._model = model
        self._fingerprint = fingerprint
        self._spec = spec
        self._codec = codec
        self._turns: dict[TurnId, _Running] = {}

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def spec(self) -> CacheSpec:
        return self._spec

    def open(self, turn: TurnId, sampling: Sampling, pieces: Sequence[Piece]) -> None:
        length = sum(piece.length for piece in pieces)
        caches = [self._cache(layer) for layer in self._spec.layers]
        if pieces:
            self._restore(caches, pieces, length)
        self._turns[turn] = _Running(caches, sampling, length)

    def _cache(self, layer: Layer) -> LayerCache:
        if layer.kind is LayerKind.FULL:
            return TapedKVCache(self._codec)
        return TapedRotatingKVCache(layer.window, self._codec)

    def prefill(self, turn: TurnId, tokens: Sequence[int], *, sample: bool) -> int | None:
        running = self._turns[turn]
        # Only the token before the answer needs logits, and over a long chunk they would cost more than the layers.
        body = tokens[:-1] if sample else tokens
        if body:
            self._model(mx.array([body]), cache=running.caches)
            mx.eval(self._state(running))
            mx.clear_cache()
            running.position += len(body)
        return self.decode([(turn, tokens[-1])])[0] if sample else None

    def decode(self, feeds: Sequence[tuple[TurnId, int]]) -> list[int]:
        said = mx.concatenate([self._step(self._turns[turn], token) for turn, token in feeds])
        mx.eval(said, [self._state(self._turns[turn]) for turn, _ in feeds])
        return [int(token) for token in np.asarray(said)]

    def _step(self, running: _Running, token: int) -> mx.array:
        logits = self._model(mx.array([[token]]), cache=running.caches)[:, -1, :]
        running.position += 1
        return say(logits, running.sampling, running.position)

    def _state(self, running: _Running) -> list[mx.array]:
        state: list[mx.array] = [array for cache in running.caches for array in (cache.keys, cache.values)]
        return state + [array for cache in running.caches for array in cache.tape.arrays()]

    def read(self, turn: TurnId, block: CacheBlock, parts: Iterable[Part]) -> dict[Part, BlockPayload]:
        wanted = frozenset(parts)
        arrays: dict[Part, dict[str, mx.array]] = {part: {} for part in wanted}
        for number, (layer, cache) in enumerate(zip(self._spec.layers, self._turns[turn].caches, strict=True)):
            keys, values = cache.tape.read(block.start, block.end)
            if (part := _PART[layer.kind]) in wanted:
                for name, array in _named(number, keys, values):
                    arrays[part][name] = mx.contiguous(array[0])
        mx.eval(arrays)
        return {part: MlxPayload(named) for part, named in arrays.items()}

    def close(self, turn: TurnId) -> None:
        self._turns.pop(turn, None)

    # --- restore ---

    def _restore(self, caches: list[LayerCache], pieces: Sequence[Piece], length: int) -> None:
        lasting = [arrays_of(piece.lasting) for piece in pieces]
        local = [None if piece.local is None else arrays_of(piece.local) for piece in pieces]
        whole = pieces[-1].block.start if length % self._spec.block_tokens else length
        for number, cache in enumerate(caches):
            layer = self._spec.layers[number]
            named = lasting if layer.kind is LayerKind.FULL else local
            keys, values = [], []
            for piece, arrays in zip(pieces, named, strict=True):
                if arrays is not None:
                    keys.append(self._take(arrays, f"{number}.k", layer.kv_heads, layer.key_dim, piece))
                    values.append(self._take(arrays, f"{number}.v", layer.kv_heads, layer.value_dim, piece))
            tape = Tape(whole)
            if whole < length:
                tape.record(keys[-1], values[-1])
            if isinstance(cache, TapedKVCache):
                cache.restore(join(keys), join(values), tape)
            else:
                cache.restore(join(keys), join(values), length, tape)
        mx.eval([(cache.keys, cache.values) for cache in caches])

    def _take(self, arrays: dict[str, mx.array], name: str, heads: int, dim: int, piece: Piece) -> Packed:
        packed = []
        for i, (dtype, width) in enumerate(self._codec.layout(dim)):
            array = arrays.get(f"{name}{i}")
            shape = (heads, len(piece.block), width)
            if array is None or array.dtype != dtype or tuple(array.shape) != shape:
                raise CorruptBlock(f"tensor {name}{i} of block {piece.block.hash[:16]} is not {dtype}{shape}")
            packed.append(array[None])
        return cut(tuple(packed), 0, piece.length)


def _named(layer: int, keys: Packed, values: Packed) -> list[tuple[str, mx.array]]:
    named = [(f"{layer}.k{i}", array) for i, array in enumerate(keys)]
    return named + [(f"{layer}.v{i}", array) for i, array in enumerate(values)]
