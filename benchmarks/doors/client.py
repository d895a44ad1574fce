"""One client among many: it asks through a door and reads to the end, or leaves early, or reads slowly.

It knows what an answer must look like to count as one, and keeps count; what is asked it is told.
"""

import asyncio
import json
import random
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

LEAVES, READS_SLOWLY = 0.1, 0.1  # of all requests
PATIENCE = 300.0
SMALLEST = 4096  # bytes that the system keeps for a slow reader
TOLD_TO_WAIT = (429, 503)
KEPT = 20  # faults that are told in full


@dataclass
class Tally:
    """What became of the requests, door by door, and of those that went wrong the first few in full."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def count(self, door: str, outcome: str) -> None:
        self.outcomes.setdefault(door, Counter())[outcome] += 1

    def fault(self, door: str, outcome: str, told: str) -> None:
        self.count(door, outcome)
        if len(self.faults) < KEPT:
            self.faults.append(f"{door}: {outcome}: {told[:400]}")

    def total(self, outcome: str) -> int:
        return sum(each[outcome] for each in self.outcomes.values())


@dataclass(frozen=True)
class Answer:
    text: str
    headers: httpx.Headers

    def json(self) -> Any:
        """Of a stream of one event, its data."""
        lines = [line for line in self.text.splitlines() if line.startswith("data: {")]
        return json.loads(lines[-1].removeprefix("data: ") if lines else self.text)


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    options: dict[str, Any]
    whole: str
    refusals: Collection[int]


class Client:
    def __init__(self, quick: httpx.AsyncClient, slow: httpx.AsyncClient, tally: Tally, dice: random.Random) -> None:
        self._quick, self._slow = quick, slow
        self._tally = tally
        self.dice = dice

    async def ask(
        self, door: str, path: str, body: object = None, *, whole: str = "", leaves: bool = True, **options: Any
    ) -> Answer | None:
        """None: it left, or something went wrong. `whole` is a pattern that is found in an answer that is; `refusals`
        are statuses that are an answer too. Who is told to come back does so, until there is an answer.
        """
        refusals = options.pop("refusals", ())
        if body is not None:
            options["json"] = body
        method = options.pop("method", "GET" if body is None else "POST")
        patience, manner = PATIENCE, self.dice.random()
        if leaves and manner < LEAVES:
            patience = self.dice.choice((0.01, 0.1, 1.0)) * self.dice.random()
        slowly = manner > 1 - READS_SLOWLY
        try:
            async with asyncio.timeout(patience):
                return await self._ask(door, _Request(method, path, options, whole, refusals), slowly=slowly)
        except TimeoutError:
            if patience < PATIENCE:
                self._tally.count(door, "left early")
            else:
                self._tally.fault(door, "not answered", f"{method} {path}: nothing for {PATIENCE:g} s")
        except httpx.TransportError as error:
            self._tally.fault(door, "not answered", f"{method} {path}: {error!r}")
            await asyncio.sleep(0.1)
        return None

    async def _ask(self, door: str, asked: "_Request", *, slowly: bool) -> Answer | None:
        response, text = await self._hear(asked, slowly=slowly)
        while response.status_code in TOLD_TO_WAIT and "retry-after" in response.headers:
            self._tally.count(door, "told to wait")
            await asyncio.sleep(int(response.headers["retry-after"]) + self.dice.random())
            response, text = await self._hear(asked, slowly=slowly)
        if response.status_code in asked.refusals:
            self._tally.count(door, "refused")
            return None
        if not response.is_success or not re.search(asked.whole, text):
            told = f"{asked.method} {asked.path}: {response.status_code} ... {text[-300:]}"
            self._tally.fault(door, "answered wrongly", told)
            return None
        self._tally.count(door, "read slowly" if slowly else "answered")
        return Answer(text, response.headers)

    async def _hear(self, asked: "_Request", *, slowly: bool) -> tuple[httpx.Response, str]:
        client = self._slow if slowly else self._quick
        async with client.stream(asked.method, asked.path, **asked.options) as response:
            pieces = []
            async for piece in response.aiter_bytes():
                pieces.append(piece)
                if slowly:
                    await asyncio.sleep(0.02)
        return response, b"".join(pieces).decode(errors="replace")

    async def ask_badly(self, path: str, body: bytes) -> None:
        """What cannot be understood is refused, and is the client's fault."""
        door = "malformed"
        try:
            answer = await self._quick.post(path, content=body, headers={"content-type": "application/json"})
        except httpx.TransportError as error:
            self._tally.fault(door, "not answered", f"{path}: {error!r} to {body[:80]!r}")
            await asyncio.sleep(0.1)
            return
        if 400 <= answer.status_code < 500:
            self._tally.count(door, "refused")
        else:
            self._tally.fault(door, "answered wrongly", f"{path}: {answer.status_code} to {body[:80]!r}")

    async def break_off(self, request: bytes) -> None:
        """Send what is no whole request, and leave; an answer, if there is one, is the client's fault."""
        url = self._quick.base_url
        try:
            reader, writer = await asyncio.open_connection(url.host, url.port)
        except OSError as error:
            self._tally.fault("broken off", "not answered", repr(error))
            await asyncio.sleep(0.1)
            return
        try:
            writer.write(request)
            await writer.drain()
            async with asyncio.timeout(0.2):
                told = await reader.readline()
            if told and not told.startswith(b"HTTP/1.1 4"):
                self._tally.fault("broken off", "answered wrongly", f"{told!r} to {request[:80]!r}")
                return
        except (TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()
        self._tally.count("broken off", "refused")


@asynccontextmanager
async def connected(url: str, tally: Tally, dice: random.Random) -> AsyncIterator[Client]:
    small = httpx.AsyncHTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST)])
    # The server closes what nobody has used for five seconds; a client that asks just then would not be answered.
    kept = httpx.Limits(keepalive_expiry=2)
    async with (
        httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=kept) as quick,
        httpx.AsyncClient(base_url=url, timeout=PATIENCE, transport=small) as slow,
    ):
        yield Client(quick, slow, tally, dice)
