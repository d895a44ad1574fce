"""Many memories in one request. Each is read by itself, as if it came alone: one that is wrong keeps no other out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, cast

from litestar.typing import FieldDefinition
from msgspec import Meta, Raw, Struct

from agent_memory.application.remembering import NewFields
from agent_memory.domain.errors import Conflict, InvalidInput
from agent_memory.domain.semantic.duplicates import Remembered
from agent_memory.domain.semantic.memory import MemoryId
from agent_memory.entrypoints.http.wire.decoding import StrictJSON, decode
from agent_memory.entrypoints.http.wire.keeping import NewMemory, WholeMemory, from_memory, to_fields
from agent_memory.entrypoints.http.wire.memories import Name, NearDuplicate, OnNear, near_duplicates

_MOST = Meta(min_length=1, max_length=500)
# As in `diagnosis`, and the commas.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z|\\\Z)|[\[\]{},]', re.DOTALL)
_LIST = re.compile(rb"\s*:\s*\[")


class _Whose(Struct, forbid_unknown_fields=True, kw_only=True):
    agent_id: Name
    user_id: Name
    on_near_duplicate: OnNear = "keep"


class BatchRequest(_Whose, forbid_unknown_fields=True, kw_only=True):
    """A memory that is wrong is refused in its place, and the others are kept."""

    memories: Annotated[list[NewMemory], _MOST]


class _Unread(_Whose, forbid_unknown_fields=True, kw_only=True):
    memories: Annotated[list[Raw], _MOST]


@dataclass(frozen=True, slots=True)
class Batch:
    """A `BatchRequest` as it came: in the place of a memory that cannot be read stands what is wrong with it."""

    agent_id: str
    user_id: str
    memories: list[NewMemory | InvalidInput]
    on_near_duplicate: OnNear


class BatchResult(Struct, kw_only=True):
    """One of the memories sent: kept, known already (by its id, or because it says nothing new), or what is wrong."""

    status: Literal["kept", "known", "refused"]
    memory: WholeMemory | None = None
    field: str | None = None
    detail: str | None = None
    near_duplicates: list[NearDuplicate] = []


class BatchAnswer(Struct, kw_only=True):
    results: list[BatchResult]


class BatchJSON(StrictJSON[Batch]):
    def decode_bytes(self, value: bytes) -> Batch:
        return read_batch(value)

    @classmethod
    def create_openapi_schema(cls, field_definition: Any, handler_id: Any, schema_creator: Any) -> Any:
        del field_definition
        told = FieldDefinition.from_annotation(BatchRequest)
        return super().create_openapi_schema(told, handler_id, schema_creator)


def read_batch(body: bytes) -> Batch:
    """Raises InvalidInput for what is wrong with the batch itself, and ClientException for a body that is no JSON."""
    try:
        unread = decode(body, _Unread)
        sent = [bytes(each) for each in unread.memories]
    except InvalidInput:
        # One memory of numbers that are none, say, makes a body that cannot be read as a whole.
        apart = _apart(body)
        if apart is None:
            raise
        rest, sent = apart
        unread = decode(rest, _Unread)
    memories = [_read(each) for each in sent]
    return Batch(unread.agent_id, unread.user_id, memories, unread.on_near_duplicate)


def _read(memory: bytes) -> NewMemory | InvalidInput:
    try:
        return decode(memory, NewMemory)
    except InvalidInput as error:
        return error


def _apart(body: bytes) -> tuple[bytes, list[bytes]] | None:
    """The body with a 0 in the place of each memory, and the memories as they were sent; None: there are none."""
    start, cuts, depth = _beginning(body), list[int](), 0
    for found in [] if start is None else _TOKEN.finditer(body, start):
        depth += _deeper(found[0])
        if depth == 0 or (depth == 1 and found[0] in b"[,"):
            cuts.append(found.start())
        if depth == 0:
            break
    memories = [body[begins + 1 : ends] for begins, ends in pairwise(cuts)]
    if depth or not b"".join(memories).strip():
        return None
    return body[: cuts[0] + 1] + b",".join([b"0"] * len(memories)) + body[cuts[-1] :], memories


def _beginning(body: bytes) -> int | None:
    """Where the list of memories opens; of two of that name the last one counts, as it does to whoever reads it all."""
    depth, start = 0, None
    for found in _TOKEN.finditer(body):
        depth += _deeper(found[0])
        if depth == 1 and found[0] == b'"memories"' and (opening := _LIST.match(body, found.end())):
            start = opening.end() - 1
    return start


def _deeper(token: bytes) -> int:
    return (token in b"[{") - (token in b"]}")


def to_batch(memories: list[NewMemory | InvalidInput], ids: Sequence[MemoryId]) -> list[NewFields | InvalidInput]:
    """What each says. One without an id has the one in its place."""
    told = zip(memories, ids, strict=True)
    return [each if isinstance(each, InvalidInput) else _said(each, new_id) for each, new_id in told]


def _said(memory: NewMemory, new_id: MemoryId) -> NewFields | InvalidInput:
    try:
        fields = cast("NewFields", to_fields(memory))
    except InvalidInput as error:
        return error
    if fields.get("id") is None:
        fields["id"] = new_id
    return fields


def from_outcome(outcome: Remembered | InvalidInput | Conflict) -> BatchResult:
    match outcome:
        case Remembered(memory, added):
            status: Literal["kept", "known"] = "kept" if added else "known"
            return BatchResult(status=status, memory=from_memory(memory), near_duplicates=near_duplicates(outcome))
        case InvalidInput():
            return BatchResult(status="refused", field=outcome.field, detail=outcome.reason)
        case Conflict():
            return BatchResult(status="refused", field="id", detail=str(outcome))
