"""The doors on a real socket: OpenAI's own clients, clients that leave, clients that send too much."""

import asyncio
import contextlib
import json
import logging
import re
from tempfile import TemporaryFile

import httpx
import openai
import pytest

from agent_memory.domain.tenants import Reach
from agent_memory.entrypoints.http import receiving
from agent_memory.entrypoints.serving import Server, bound
from agent_memory.settings import ServerSettings

HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.fixture
async def url(app):
    listening = asyncio.Event()
    with bound(ServerSettings(port=0)) as sock:
        server = Server(app, ServerSettings(shutdown_seconds=1), listening.set)
        serving = asyncio.create_task(server.serve([sock]))
        await listening.wait()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        await serving


async def test_openais_client_reads_an_answer(url):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
        answer = await client.chat.completions.create(model="default", messages=HELLO)
        assert answer.choices[0].message.content == "Hello"
        assert answer.usage.prompt_tokens_details.cached_tokens == 8
        assert [model.id async for model in client.models.list()] == ["scripted"]


async def test_openais_client_reads_a_stream(url):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
        stream = await client.chat.completions.create(
            model="default", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello"
    assert chunks[-1].usage.total_tokens == 14


async def test_openais_blocking_client_works_too(url):
    def talk():
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
            whole = client.chat.completions.create(model="default", messages=HELLO)
            with client.chat.completions.create(model="default", messages=HELLO, stream=True) as stream:
                parts = [chunk.choices[0].delta.content or "" for chunk in stream]
        return whole.choices[0].message.content, "".join(parts)

    assert await asyncio.to_thread(talk) == ("Hello", "Hello")


async def test_openais_client_raises_its_own_errors(url, conversation):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="gpt-9"):
            await client.chat.completions.create(model="gpt-9", messages=HELLO)
        with pytest.raises(openai.BadRequestError, match="temperature"):
            await client.chat.completions.create(model="default", messages=HELLO, temperature=3)
        conversation.script = ["Hel", ValueError("unforeseen")]
        stream = await client.chat.completions.create(model="default", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="unexpected error"):
            [chunk async for chunk in stream]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_ends_soon_after_its_client_left(url, conversation, stream):
    conversation.script = ["Hel", 60.0]
    async with httpx.AsyncClient(timeout=0.3) as client:
        with contextlib.suppress(httpx.ReadTimeout):
            await client.post(f"{url}/v1/chat/completions", json={"messages": HELLO, "stream": stream})
    async with asyncio.timeout(30):
        await conversation.ended.wait()


@pytest.mark.parametrize("headers", [{}, {"Expect": "100-continue"}, {"Connection": "close"}])
async def test_a_client_that_sends_ten_megabytes_hears_why_not(url, headers):
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/v1/memories", content=b"x" * 10_000_000, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["title"] == "The request body is too large"
        assert (await client.get(f"{url}/health")).status_code == 200


async def gone(url):
    """How many left before their answer, by route; asked until somebody has."""
    async with httpx.AsyncClient() as client, asyncio.timeout(30):
        found: list[tuple[str, str]] = []
        while not found:
            await asyncio.sleep(0.02)
            found = re.findall(LEFT, (await client.get(f"{url}/metrics")).text)
    return {route: float(times) for route, times in found}


LEFT = r'agent_memory_http_requests_total{method="POST",route="([^"]*)",status="499"} (\S+)'


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/memories", "/v1/agents/import", "/mcp"])
async def test_who_leaves_before_the_whole_request_has_come_is_nobodys_fault(url, caplog, path):
    _, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
    writer.write(head.encode() + json.dumps({"messages": HELLO}).encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert await gone(url) == {path: 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/chat/completions", {"messages": HELLO}),
        ("/v1/completions", {"prompt": "Hello!"}),
        ("/v1/responses", {"input": "Hello!"}),
        ("/v1/messages", {"messages": HELLO}),
    ],
)
async def test_who_leaves_before_the_answer_is_nobodys_fault(url, conversation, caplog, path, asked):
    conversation.script = ["Hel", 60.0]
    async with httpx.AsyncClient(timeout=0.3) as client:
        with contextlib.suppress(httpx.ReadTimeout):
            await client.post(f"{url}{path}", json={"max_tokens": 8} | asked)
    assert await gone(url) == {path: 1}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("headers", [{}, {"Expect": "100-continue"}, {"Connection": "close"}])
async def test_a_client_without_a_key_that_sends_ten_megabytes_hears_why_not(url, application, headers):
    await application.keys.create(Reach())
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/v1/memories", content=b"x" * 10_000_000, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (await client.get(f"{url}/health")).status_code == 200


async def test_a_file_that_its_client_does_not_send_whole_leaves_nothing(url, application, settings, monkeypatch):
    files = []

    def kept(**where):
        files.append(TemporaryFile(**where))  # noqa: SIM115 - closing it is what is tested
        return files[-1]

    monkeypatch.setattr(receiving.tempfile, "TemporaryFile", kept)
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    writer.write(b"POST /v1/agents/import HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 3_000_000)
    await writer.drain()
    async with asyncio.timeout(30):
        while not files:  # noqa: ASYNC110 - it is made in another thread
            await asyncio.sleep(0.01)
        assert list(settings.data_folder.iterdir()) == []
        writer.close()
        while not files[0].closed:  # noqa: ASYNC110 - so it is closed
            await asyncio.sleep(0.01)
        while application.agents.arrivals.running:  # noqa: ASYNC110 - it is another's number
            await asyncio.sleep(0.01)
    assert list(settings.data_folder.iterdir()) == []
    del reader


async def test_a_refused_file_of_ten_megabytes_is_answered(url, application):
    with application.agents.arrivals.take("default"), application.agents.arrivals.take("default"):
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{url}/v1/agents/import", content=b"x" * 10_000_000)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


async def test_who_reads_nothing_keeps_nobody_waiting(url, conversation):
    """More than any buffer holds is on its way to clients that do not read; the others are answered, and it ends."""
    conversation.script = ["x" * 1_000_000] * 8
    body = json.dumps({"messages": HELLO, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    writers = []
    for _ in range(20):
        _, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"), limit=1024)
        writer.write(head + body)
        await writer.drain()
        writers.append(writer)
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while len(conversation.prompts) < 20:  # noqa: ASYNC110 - it is another's list
            await asyncio.sleep(0.01)
        assert (await client.get(f"{url}/health")).status_code == 200
        assert conversation.closed < 20
        for writer in writers:
            writer.transport.abort()
        while conversation.closed < 20:  # noqa: ASYNC110 - it is another's number
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("grace", "answering"), [(1, 1), (3, 1), (10, 7), (3600, 3597)])
def test_of_the_time_for_the_end_some_is_for_closing(app, grace, answering):
    server = Server(app, ServerSettings(shutdown_seconds=grace), lambda: None)
    assert server.config.timeout_graceful_shutdown == answering
