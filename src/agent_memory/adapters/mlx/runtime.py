"""The ModelRuntime on MLX: one loaded model, and the caches of the turns that run on it."""

from collections.abc import Iterable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from agent_memory.adapters.mlx.batch import DecodeBatch, Running
from agent_memory.adapters.mlx.caches import Form, LayerCache
from agent_memory.adapters.mlx.codec import Codec, Packed, cut
from agent_memory.adapters.mlx.geometry import grouping
from agent_memory.adapters.mlx.payload import MlxPayload, arrays_of
from agent_memory.adapters.mlx.sampling import likelihoods, say
from agent_memory.adapters.mlx.states import StateCache, named_state, restored_state
from agent_memory.adapters.mlx.tape import Tape
from agent_memory.domain.errors import CorruptBlock
from agent_memory.domain.kv.block import CacheBlock, Part
from agent_memory.domain.kv.spec import CacheSpec, LayerKind
from agent_memory.domain.kv.steps import Logprobs
from agent_memory.domain.kv.turn import Sampling, TurnId
from agent_memory.ports.kv import BlockPayload, Piece, Scores

_PART = {LayerKind.FULL: Part.LASTING, LayerKind.WINDOW: Part.LOCAL, LayerKind.RECURRENT: Part.LOCAL}


class MlxRuntime:
    def __init__(self, model: Any, fingerprint: str, spec: CacheSpec, forms: Sequence[Form]) -> None:
        self._model = model
        self._fingerprint = fingerprint
        self._spec = spec
        self._forms = forms
        self._turns: dict[TurnId, Running] = {}
        self._batch = DecodeBatch()
        self._grouped = grouping(model)

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def spec(self) -> CacheSpec:
        return self._spec

    def open(self, turn: TurnId, sampling: Sampling, pieces: Sequence[Piece]) -> None:
        length = sum(piece.length for piece in pieces)
        tapes = [Tape(self._whole(pieces, length)) for _ in self._spec.layers]
        if pieces:
            caches = self._restore(pieces, length, tapes)
        else:
            caches = [form.empty(tape) for form, tape in zip(self._forms, tapes, strict=True)]
        self.close(turn)
        running = self._turns[turn] = Running(turn, caches, tapes, sampling, length)
        if pieces:
            running.begin()

    def resume(self, parked: TurnId, turn: TurnId, sampling: Sampling, length: int) -> None:
        running = self._turns.pop(parked)
        running.cut(length)
        running.id, running.sampling = turn, sampling
        self._turns[turn] = running

    def prefill(self, turn: TurnId, tokens: Sequence[int]) -> None:
        self._read(self._turns[turn], tokens)

    def _read(self, running: Running, tokens: Sequence[int]) -> mx.array:
        """The logits after each token, which are computed only where somebody asks for them."""
        self._batch.leave(running)
        running.listen()
        logits: mx.array = self._run(mx.array([list(tokens)]), running.caches)
        running.begin()
        running.position += len(tokens)
        return logits

    def score(self, turn: TurnId, tokens: Sequence[int], following: Sequence[int]) -> Scores:
        logits = self._read(self._turns[turn], tokens)[0].astype(mx.float32)
        targets = mx.array(list(following))[:, None]
        log_probs = mx.take_along_axis(logits, targets, axis=-1)[:, 0] - mx.logsumexp(logits, axis=-1)
        likeliest = mx.argmax(logits, axis=-1)
        self.advance(turn)
        mx.eval(log_probs, likeliest)
        return Scores(np.asarray(log_probs).tolist(), np.asarray(likeliest).tolist())

    def advance(self, turn: TurnId, seconds: float | None = None) -> bool:
        done = self._turns[turn].advance(seconds)
        if done:
            mx.clear_cache()
        return done

    def rewind(self, turn: TurnId) -> None:
        running = self._turns[turn]
        self._batch.leave(running)
        running.rewind()

    def decode(self, feeds: Sequence[tuple[TurnId, int]]) -> list[int]:
        token_of = dict(feeds)
        turns = [self._turns[turn] for turn, _ in feeds]
        for running in turns:
            running.speak(token_of[running.id])
        if len(turns) == 1:
            self._batch.leave(turns[0])
            return self._step(turns, turns[0].caches, list(token_of.values()))
        caches = self._batch.gather(turns)
        members = self._batch.members
        said = self._step(members, caches, [token_of[member.id] for member in members])
        said_by = {member.id: token for member, token in zip(members, said, strict=True)}
        return [said_by[turn.id] for turn in turns]

    def _step(self, turns: Sequence[Running], caches: list[LayerCache | StateCache], tokens: list[int]) -> list[int]:
        logits = self._run(mx.array(tokens)[:, None], caches)[:, -1, :]
        said = []
        for row, turn in enumerate(turns):
            turn.position += 1
            here = logits[row : row + 1]
            turn.answer.logits = None if turn.sampling.logprobs is None else here
            said.append(say(here, turn.sampling, turn.position, turn.answer))
        together = mx.concatenate(said)
        mx.eval(together, [cache.arrays() for cache in caches])
        tokens = [int(token) for token in np.asarray(together)]
        for turn, token in zip(turns, tokens, strict=True):
            turn.answer.last = token
        return tokens

    def logprobs(self, turn: TurnId) -> Logprobs:
        running = self._turns[turn]
        return likelihoods(running.answer, running.sampling.logprobs or 0)

    def _run(self, tokens: mx.array, caches: list[LayerCache | StateCache]) -> Any:
        return self._model(tokens, cache=self._grouped([cache.seen for cache in caches]))

    def read(self, turn: TurnId, block: CacheBlock, parts: Iterable[Part]) -> dict[Part, BlockPayload]:
        running, wanted = self._turns[turn], frozenset(parts)
        if running.unfinished and block.end <= running.computed:
            running.abandon()  # whoever is read in the middle of a piece will not go on with it
        arrays: dict[Part, dict[str, mx.array]] = {part: {} for part in wanted}
        for number, (layer, tape) in enumerate(zip(self._spec.layers, running.tapes, strict=True)):
            part, cache = _PART[layer.kind], running.caches[number]
            if isinstance(cache, StateCache):
                assert part not in wanted or block.end in (running.position, running.computed), "a state has gone on"
                named = named_state(number, cache) if part in wanted else {}
            elif part not in wanted and Part.LASTING not in wanted:
                continue  # a state alone is read of a block that was let go
            else:
                named = _named(number, *tape.read(block.start, block.end))
            if part in wanted:
                arrays[part] |= {name: mx.contiguous(array) for name, array in named.items()}
        mx.eval(arrays)
        return {part: MlxPayload(named) for part, named in arrays.items()}

    def close(self, turn: TurnId) -> None:
        running = self._turns.pop(turn, None)
        if running is not None:
            self._batch.leave(running)

    # --- restore ---

    def _whole(self, pieces: Sequence[Piece], length: int) -> int:
        """Where the last whole block ends."""
        return pieces[-1].block.start if length % self._spec.block_tokens else length

    def _restore(self, pieces: Sequence[Piece], length: int, tapes: Sequence[Tape]) -> list[LayerCache | StateCache]:
        lasting = [arrays_of(piece.lasting) for piece in pieces]
        local = [None if piece.local is None else arrays_of(piece.local) for piece in pieces]
        caches: list[LayerCache | StateCache] = []
        for number, (form, tape) in enumerate(zip(self._forms, tapes, strict=True)):
            if form.layer.kind is LayerKind.RECURRENT:
                caches.append(restored_state(number, form.layer, local[-1] or {}))
                continue
            heads, codec = form.layer.kv_heads, form.codec
            stored = lasting if form.layer.kind is LayerKind.FULL else local
            held = [(piece, arrays) for piece, arrays in zip(pieces, stored, strict=True) if arrays is not None]
            keys = [_take(piece, arrays, f"{number}.k", heads, codec.keys) for piece, arrays in held]
            values = [_take(piece, arrays, f"{number}.v", heads, codec.values) for piece, arrays in held]
            if length % self._spec.block_tokens:
                tape.record(keys[-1], values[-1])
            caches.append(form.restored(tape, keys, values, length))
        return caches


def _take(piece: Piece, arrays: dict[str, mx.array], name: str, heads: int, codec: Codec) -> Packed:
    packed = []
    for i, (dtype, width) in enumerate(codec.layout):
        array = arrays.get(f"{name}{i}")
        shape = (heads, len(piece.block), width)
        if array is None or array.dtype != dtype or tuple(array.shape) != shape:
            raise CorruptBlock(f"tensor {name}{i} of block {piece.block.hash[:16]} is not {dtype}{shape}")
        packed.append(array[None])
    return cut(tuple(packed), 0, piece.length)


def _named(layer: int, keys: Packed, values: Packed) -> dict[str, mx.array]:
    named = {f"{layer}.k{i}": array[0] for i, array in enumerate(keys)}
    return named | {f"{layer}.v{i}": array[0] for i, array in enumerate(values)}
