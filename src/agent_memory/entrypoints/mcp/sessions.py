"""The open sessions of a mount, and how many of them a tenant may have.

A tenant may open one more as long as it has fewer than are free. Alone it gets half of the room, and none takes the
last of it from the others. The SDK knows one limit for all, and asks here before it opens a session.
"""

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser, AuthorizationContext
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from agent_memory.entrypoints.mcp.scope import Whose


def opener_of(whose: Whose) -> AuthenticatedUser:
    """A session answers only to the key and the address that opened it: the SDK holds who asks against who opened."""
    return AuthenticatedUser(AccessToken(token="", client_id=whose.reach.tenant, subject=repr(whose), scopes=[]))


class Sessions(StreamableHTTPSessionManager):
    def _admit_session(self, requestor: AuthorizationContext | None) -> StreamableHTTPServerTransport | None:
        if requestor is not None and self.max_sessions is not None:
            tenant = requestor["client_id"]
            theirs = sum(owner["client_id"] == tenant for owner in self._session_owners.values())
            if theirs >= self.max_sessions - len(self._server_instances):
                return None
        return super()._admit_session(requestor)
