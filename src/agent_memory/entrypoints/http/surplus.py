"""What a request of our own dialect says beyond what its route takes is refused, and what cannot be read: it could have
been meant to narrow a deletion.

The dialects of others are left alone: their clients send more than anybody reads.
"""

from typing import cast

from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.given import AnyConnection, AnyRequest
from agent_memory.entrypoints.http.limits import has_body
from agent_memory.entrypoints.http.whole_names import check_query


async def nothing_more(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """A guard. Raises InvalidInput for a query parameter that the handler does not declare, that is there twice, or is
    no text, and for the body of a GET or DELETE.
    """
    check_query(connection.scope["query_string"])
    _check_parameters(connection, _parameters(handler))
    bodiless = connection.scope.get("method") in {"GET", "DELETE"}
    if bodiless and has_body(connection.scope) and await cast("AnyRequest", connection).body():
        raise InvalidInput("body", "this route takes none; what it can be told stands in its path and query")


def _check_parameters(connection: AnyConnection, known: tuple[str, ...]) -> None:
    given = [name for name, _ in connection.query_params.multi_items()]
    for name in given:
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes none"
            raise InvalidInput(name, f"unknown parameter; this route {takes}")
        if given.count(name) > 1:
            raise InvalidInput(name, "is there more than once")


def _parameters(handler: BaseRouteHandler) -> tuple[str, ...]:
    """The query parameters that the handler declares, by the names they are sent under."""
    declared = handler.parsed_fn_signature.parameters.items()
    queries = [(name, field.kwarg_definition) for name, field in declared]
    return tuple(sorted(query.name or name for name, query in queries if isinstance(query, QueryParameter)))
