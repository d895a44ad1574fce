"""Any model of sentence-transformers: texts to unit vectors, windows for texts longer than it reads.

The model's own tokenizer decides where a window ends, and what a prompt leaves for it; the windows of a text weigh by
their tokens. Nothing is cut.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from copy import copy
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from agent_memory.adapters.sentence_transformer.tokens import Span, Tokens
from agent_memory.domain.errors import Misconfigured

Window = tuple[int, int, str]  # the number of its text, its length in tokens, and its text
_QUESTION, _MEMORY = ("query",), ("document", "passage", "corpus")  # what models call their prompts
_LONGEST_WINDOW = 512  # tokens, for a model that names no limit


class SentenceEncoder:
    """Its tokenizer serves one thread at a time; PyTorch itself uses all cores."""

    def __init__(self, model: str) -> None:
        try:
            self._model: Any = SentenceTransformer(model)
            self._tokens = Tokens(self._model.tokenizer)
        except (OSError, ValueError) as error:
            reason = str(error).strip().split("\n", maxsplit=1)[0]
            raise Misconfigured(f"EMBEDDING_MODEL={model}: cannot be loaded: {reason}") from error
        self._model.eval()
        self._folder = model
        self.begin_with(self._prompt_of(_MEMORY))
        [probe] = self._encoded(["a"])
        self._dimension = len(probe)
        self.name = f"{Path(model).name}@{self._fingerprint()}"

    def for_questions(self) -> "SentenceEncoder | None":
        """The same model with its prompt for questions; None if it reads them as it reads memories."""
        prompt = self._prompt_of(_QUESTION)
        if prompt == self._prompt:
            return None
        other = copy(self)
        other.begin_with(prompt)
        return other

    def _prompt_of(self, names: Sequence[str]) -> str:
        """The first that there is, or else what the model begins every text with."""
        prompts: dict[str, str] = self._model.prompts
        return next((prompts[name] for name in names if prompts.get(name)), self._default_prompt)

    @property
    def _default_prompt(self) -> str:
        return self._model.prompts.get(self._model.default_prompt_name) or ""

    def begin_with(self, prompt: str) -> None:
        """Read every text after these words. Raises Misconfigured where they leave no room."""
        self._prompt = prompt
        self._before = len(self._tokens.spans(prompt))
        self._room = (self._model.max_seq_length or _LONGEST_WINDOW) - self._tokens.specials
        self._window = max(self._room - self._before, 1)
        if self._before >= self._room:
            told = f"its prompt takes {self._before} of the {self._room} tokens that it reads at once"
            raise Misconfigured(f"EMBEDDING_MODEL={self._folder}: {told}")

    @property
    def dimension(self) -> int:
        return self._dimension

    def vectors(self, texts: Sequence[str]) -> list["array[float]"]:
        windows = [window for number, text in enumerate(texts) for window in self._windows(number, text)]
        encoded = self._encoded([text for _, _, text in windows])
        of_text = groupby(zip(windows, encoded, strict=True), key=lambda pair: pair[0][0])
        return [_mean([(length, vector) for (_, length, _), vector in group]) for _, group in of_text]

    def count(self, texts: Sequence[str]) -> int:
        windows = [window for number, text in enumerate(texts) for window in self._windows(number, text)]
        return sum(self._before + length + self._tokens.specials for _, length, _ in windows)

    def _windows(self, number: int, text: str) -> list[Window]:
        spans = self._tokens.spans(text)
        if self._fits(text, spans):
            return [(number, max(len(spans), 1), text)]
        parts = [spans[start : start + self._window] for start in range(0, len(spans), self._window)]
        return [window for part in parts for window in self._parts(number, text, part)]

    def _parts(self, number: int, text: str, spans: list[Span]) -> Iterator[Window]:
        """By itself a part may take more tokens than within its text: then it is read in two."""
        part = text[spans[0][0] : spans[-1][1]]
        if len(spans) == 1 or self._fits(part):
            yield number, len(spans), part
        else:
            middle = len(spans) // 2
            yield from self._parts(number, text, spans[:middle])
            yield from self._parts(number, text, spans[middle:])

    def _fits(self, text: str, spans: list[Span] | None = None) -> bool:
        if self._room == math.inf:
            return True
        read = self._tokens.spans(self._prompt + text) if spans is None or self._prompt else spans
        return len(read) <= self._room

    def _encoded(self, texts: list[str]) -> NDArray[np.float32]:
        if not texts:
            return np.empty((0, 0), dtype=np.float32)
        vectors = self._model.encode(
            texts, prompt=self._prompt, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    def _fingerprint(self) -> str:
        """Of all that decides a vector: weights, tokenizer, windows, prompts. What only questions begin with makes no
        vector of a memory another one.
        """
        digest = sha256(self._tokens.written().encode())
        digest.update(repr((self._window, self._model.prompts, self._model.default_prompt_name)).encode())
        if self._prompt != self._default_prompt:
            digest.update(self._prompt.encode())
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().float().numpy().tobytes())
        return digest.hexdigest()[:12]


def _mean(windows: list[tuple[int, NDArray[np.float32]]]) -> "array[float]":
    if len(windows) == 1:
        return array("f", windows[0][1].tobytes())
    total: Any = sum((length * vector for length, vector in windows), start=np.float32(0))
    return array("f", (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32).tobytes())
