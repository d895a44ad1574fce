"""From a JSON body to a struct, strictly; what is wrong is named by field, and by what would be right.

As a Litestar DTO it also tells the OpenAPI document what the body is.
"""

import re
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import msgspec
from litestar.dto import AbstractDTO, DTOConfig
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.exceptions import ClientException
from litestar.typing import FieldDefinition
from msgspec import inspect

from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.wire.diagnosis import wrong_field

T = TypeVar("T")
_SOME_KEY = "[...]"  # msgspec does not say which
_MARK = b"\xef\xbb\xbf"  # which some programs write before everything that is UTF-8


def decode(body: bytes, kind: type[T]) -> T:
    body = body.removeprefix(_MARK)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        found = wrong_field(body) if _SOME_KEY in str(error) else None
        raise found or invalid(str(error), kind) from None
    except RecursionError:
        raise wrong_field(body) or ClientException("the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = _quiet(str(error).removeprefix("JSON is malformed: "))
        raise wrong_field(body) or ClientException(f"the body is not valid JSON: {told}") from None


def convert(value: object, kind: type[T]) -> T:
    """As `decode`, of what is decoded already."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise invalid(str(error), kind) from None
    except RecursionError:
        raise InvalidInput("arguments", "are nested too deeply") from None


class StrictJSON(AbstractDTO[T]):
    """`@post(dto=StrictJSON[Request])`: the handler's `data` is what `decode` made of the body."""

    config = DTOConfig()

    def decode_bytes(self, value: bytes) -> T:
        return decode(value, self.model_type)

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Generator[DTOFieldDefinition, None, None]:
        """Nothing is copied field by field: the struct itself is the transfer object."""
        del model_type
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        del field_definition
        return False

    @classmethod
    def create_for_field_definition(cls, field_definition: Any, handler_id: Any, backend_cls: Any = None) -> None:
        """No backend either, for the same reason."""

    @classmethod
    def create_openapi_schema(cls, field_definition: Any, handler_id: Any, schema_creator: Any) -> Any:
        del handler_id
        return schema_creator.for_field_definition(field_definition)


def invalid(complaint: str, kind: type[object]) -> InvalidInput:
    """From msgspec's complaint about what it was to make of this kind."""
    reason, _, path = complaint.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    missing = re.fullmatch(r"Object missing required field `(.*)`", reason)
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", reason)
    for match, told in ((missing, "is required"), (unknown, "unknown field")):
        if match is not None:
            return InvalidInput(f"{path.partition(_SOME_KEY)[0]}.{match[1]}".lstrip("."), told)
    if reason.startswith("Invalid"):
        allowed = ", ".join(map(str, _allowed(inspect.type_info(kind), re.findall(r"\w+|\[", path))))
        reason += f"; allowed: {allowed}" if allowed else ""
    return InvalidInput(path.partition(_SOME_KEY)[0] or "body", _quiet(reason))


def _allowed(kind: inspect.Type, path: list[str]) -> Iterator[object]:
    """The literal values (or tags) that the type takes at this path."""
    match kind:
        case inspect.LiteralType(values=values) if not path:
            yield from values
        case inspect.Metadata(type=inner):
            yield from _allowed(inner, path)
        case inspect.UnionType(types=types):
            for each in types:
                yield from _allowed(each, path)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item) if path:
            yield from _allowed(item, path[2:])
        case inspect.StructType(tag=tag, tag_field=name) if path == [name]:
            yield tag
        case inspect.StructType(fields=fields) if path:
            for field in fields:
                if field.encode_name == path[0]:
                    yield from _allowed(field.type, path[1:])


def _quiet(reason: str) -> str:
    return reason[:1].lower() + reason[1:].replace("`", "")
