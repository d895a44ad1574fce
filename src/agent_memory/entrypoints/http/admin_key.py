"""Who may change the server itself: whoever brings the key that its operator set."""

from secrets import compare_digest

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

HEADER = "X-Admin-Key"


class NoAdminKey(HTTPException):
    status_code = 403


class WrongAdminKey(HTTPException):
    status_code = 401


def admin_only(connection: ASGIConnection[BaseRouteHandler, object, object, State], handler: BaseRouteHandler) -> None:
    """A Litestar guard. The comparison takes equally long whatever was sent."""
    del handler
    key = connection.app.state.admin_key
    if key is None:
        raise NoAdminKey("no admin key is configured: set SEMANTIC_ADMIN_KEY (or server.admin_key) and restart")
    given = connection.headers.get(HEADER, "")
    if not compare_digest(given.encode("latin-1"), key.encode()):
        raise WrongAdminKey(f"the header {HEADER} must hold the admin key")
