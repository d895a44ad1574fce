"""Texts to vectors on the calling thread: tokens, windows, one run of the graph, and the mean of the windows.

A text longer than the model's 256 tokens is read in windows, each weighing by its tokens: nothing is cut.
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

Window = tuple[int, list[int]]  # the number of its text, and its tokens
Vectors = NDArray[np.float32]

_WINDOW = 254  # tokens: the model was made for 256, two of which open and close
_RUN_TOKENS = 4096  # tokens of one run, with padding: bounds its memory
_ENOUGH_TOKENS = 200  # from here on a larger run is hardly faster by the token
_LIKE = 0.9  # lengths that may share a run, by their ratio


class Encoder:
    """May be used by many threads at once: each run takes one core, but for a text that is alone, which takes two."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # As shipped it cuts and pads every text to 128 tokens.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._open, *_, self._close = self._tokenizer.encode("a").ids
        self._session, self._wide = (_session(folder / "model.onnx", cores) for cores in (1, 2))
        self._runs = 0
        self._counting = Lock()
        self._dimension = int(self._session.get_outputs()[0].shape[1])

    @property
    def dimension(self) -> int:
        return self._dimension

    def vectors(self, texts: Sequence[str]) -> list["array[float]"]:
        windows = self._windows(texts)
        with self._counted() as others:
            encoded = self._encoded(windows, self._session if others or len(windows) > 1 else self._wide)
        of_text = groupby(zip(windows, encoded, strict=True), key=lambda pair: pair[0][0])
        return [_mean([(len(tokens), vector) for (_, tokens), vector in group]) for _, group in of_text]

    @contextmanager
    def _counted(self) -> Iterator[int]:
        """How many others run when this one begins."""
        with self._counting:
            others, self._runs = self._runs, self._runs + 1
        try:
            yield others
        finally:
            with self._counting:
                self._runs -= 1

    def count(self, texts: Sequence[str]) -> int:
        return sum(len(tokens) for _, tokens in self._windows(texts))

    def _windows(self, texts: Sequence[str]) -> list[Window]:
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            (number, [self._open, *ids[start : start + _WINDOW], self._close])
            for number, ids in enumerate(encoding.ids for encoding in encodings)
            for start in range(0, max(len(ids), 1), _WINDOW)
        ]

    def _encoded(self, windows: list[Window], session: onnxruntime.InferenceSession) -> Vectors:
        result = np.empty((len(windows), self._dimension), dtype=np.float32)
        for batch in _runs([len(tokens) for _, tokens in windows]):
            result[batch] = self._run([windows[number][1] for number in batch], session)
        return result

    def _run(self, rows: list[list[int]], session: onnxruntime.InferenceSession) -> Vectors:
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int32)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        [vectors] = session.run(None, {"ids": ids, "mask": mask})
        return np.asarray(vectors, dtype=np.float32)


def _session(model: Path, cores: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    options.inter_op_num_threads = 1
    # An arena keeps twice of what the longest run needed, for each session, for ever, and is no faster.
    options.enable_cpu_mem_arena = False
    # A thread that waits for the next piece of work by spinning takes the core from the database.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


def _runs(lengths: list[int]) -> Iterator[list[int]]:
    """Windows of like length run together: more of them only while a run is small, or little is spent on padding."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        padded = len(batch) * lengths[batch[0]] if batch else 0
        if (padded > _ENOUGH_TOKENS and lengths[number] < _LIKE * lengths[batch[0]]) or padded > _RUN_TOKENS:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _mean(windows: list[tuple[int, Vectors]]) -> "array[float]":
    if len(windows) == 1:
        return array("f", windows[0][1].tobytes())
    total: Any = sum((length * vector for length, vector in windows), start=np.float32(0))
    return array("f", (total / np.linalg.norm(total)).astype(np.float32).tobytes())
