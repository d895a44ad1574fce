"""Who may change the server itself: whoever brings the key that its operator set, or the one that a running server
leaves for the command line in its own data folder.
"""

from collections.abc import Sequence
from hmac import compare_digest

from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.types import HTTPScope

HEADER = "X-Admin-Key"


class NoAdminKey(HTTPException):
    status_code = 403


class WrongAdminKey(HTTPException):
    status_code = 401


def is_admin(scope: HTTPScope, keys: Sequence[str]) -> bool:
    """The comparison takes equally long whatever was sent."""
    name = HEADER.lower().encode()
    given = next((value for key, value in scope["headers"] if key == name), b"")
    return any(compare_digest(given, key.encode()) for key in keys)


def admin_only(connection: ASGIConnection[BaseRouteHandler, object, object, State], handler: BaseRouteHandler) -> None:
    """A Litestar guard."""
    del handler
    scope: HTTPScope = connection.scope  # type: ignore[assignment]  # no route of ours is a web socket
    if is_admin(scope, connection.app.state.admin_keys):
        return
    if connection.app.state.admin_key is None:
        raise NoAdminKey("no admin key is configured: set SEMANTIC_ADMIN_KEY (or server.admin_key) and restart")
    raise WrongAdminKey(f"the header {HEADER} must hold the admin key", headers={"WWW-Authenticate": HEADER})
