"""How likely each token was, in OpenAI's shape."""

from collections.abc import Sequence

from msgspec import Struct

from agent_memory.application.replies import Token


class TopLogprob(Struct):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(Struct):
    """`bytes` is null for a token that is part of a character only."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(Struct):
    content: list[TokenLogprob]
    refusal: None = None


def logprobs_of(tokens: Sequence[Token]) -> ChoiceLogprobs | None:
    if not tokens:
        return None
    return ChoiceLogprobs([_logprob(token) for token in tokens])


def _logprob(token: Token) -> TokenLogprob:
    top = [TopLogprob(each.text, each.logprob, _bytes(each.text)) for each in token.likeliest]
    return TokenLogprob(token.said.text, token.said.logprob, _bytes(token.said.text), top)


def _bytes(text: str) -> list[int] | None:
    return None if "\ufffd" in text else list(text.encode())
