"""Of a body all has to come; where there is none, a client may leave at any time."""

import pytest

from agent_memory.entrypoints.http.limits import BodyLimit
from agent_memory.entrypoints.http.streaming import ClientGone

LEAVES = {"type": "http.disconnect"}


async def heard(headers, *messages):
    """What a handler receives that asks until its client leaves."""
    coming, got = iter(messages), []

    async def receive():
        return next(coming)

    async def handler(scope, receive, send):
        while LEAVES not in got:
            got.append(await receive())

    scope = {"type": "http", "path": "/", "headers": headers}
    await BodyLimit(handler, limit=10)(scope, receive, None)
    return got


@pytest.mark.parametrize("header", [(b"content-length", b"4"), (b"transfer-encoding", b"chunked")])
async def test_a_body_that_breaks_off_is_the_clients_end(header):
    begins = {"type": "http.request", "body": b"ab", "more_body": True}
    ends = {"type": "http.request", "body": b"cd", "more_body": False}
    assert await heard([header], begins, ends, LEAVES) == [begins, ends, LEAVES]
    with pytest.raises(ClientGone):
        await heard([header], begins, LEAVES)
    with pytest.raises(ClientGone):
        await heard([header], LEAVES)


async def test_without_a_body_a_client_may_leave_at_any_time():
    assert await heard([], LEAVES) == [LEAVES]
