"""RFC 9457 problems on the wire: what our own routes answer when they cannot do what was asked."""

from msgspec import Struct


class FieldProblem(Struct, kw_only=True, omit_defaults=True):
    """One thing that is wrong, and where: a JSON pointer into the body, or a parameter's name."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(Struct, kw_only=True, omit_defaults=True):
    """`type` is stable, `detail` is for people; `request_id` is also in the server's log."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FieldProblem] = []
