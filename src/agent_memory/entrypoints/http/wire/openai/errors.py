"""OpenAI's errors."""

from msgspec import Struct


class ErrorBody(Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Struct):
    error: ErrorBody
