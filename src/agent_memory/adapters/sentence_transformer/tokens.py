"""Where the tokens of a text lie, whichever tokenizer a model brings: that of transformers, or the bare one of a model
that looks words up in a table.
"""

from typing import Any

from tokenizers import Tokenizer

Span = tuple[int, int]
"""Where a token begins and ends in its text."""


class Tokens:
    """Raises ValueError for a tokenizer that does not tell. `specials` open and close a text."""

    def __init__(self, tokenizer: Any) -> None:
        self._bare = isinstance(tokenizer, Tokenizer)
        if not self._bare and not getattr(tokenizer, "is_fast", False):
            raise ValueError(f"its tokenizer ({type(tokenizer).__name__}) does not tell where tokens lie")
        if self._bare:
            tokenizer.no_truncation()  # as the file of a tokenizer may ask for
        self._tokenizer = tokenizer
        self.specials = 0 if self._bare else int(tokenizer.num_special_tokens_to_add())

    def spans(self, text: str) -> list[Span]:
        if self._bare:
            spans: list[Span] = self._tokenizer.encode(text, add_special_tokens=False).offsets
            return spans
        told = self._tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        return list(told["offset_mapping"])

    def written(self) -> str:
        """All that decides what it makes of a text."""
        core: Tokenizer = self._tokenizer if self._bare else self._tokenizer.backend_tokenizer
        return str(core.to_str())
