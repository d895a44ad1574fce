"""OpenAI's errors, and its list of models."""

from typing import Literal

from msgspec import Struct


class ErrorBody(Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(Struct):
    error: ErrorBody


class Model(Struct, kw_only=True):
    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str = "agent-memory"


class ModelList(Struct, kw_only=True):
    data: list[Model]
    object: Literal["list"] = "list"
