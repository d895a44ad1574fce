"""What holds for every route: ids, limits, errors, metrics, health."""

import gzip

import pytest

from agent_memory.domain.errors import Unavailable
from agent_memory.entrypoints.http.document import EXAMPLES

ADA = {"agent_id": "guide", "user_id": "ada"}
CHAT = "/v1/chat/completions"


async def test_every_answer_has_a_request_id(client):
    assert len((await client.get("/health")).headers["x-request-id"]) == 32
    assert len((await client.get("/nowhere")).headers["x-request-id"]) == 32


async def test_a_request_keeps_the_id_it_came_with(client):
    answer = await client.get("/nowhere", headers={"X-Request-ID": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.json()["request_id"] == "mine-1"


@pytest.mark.parametrize("unfit", ["a" * 129, "a b", "é"])
async def test_an_id_that_is_unfit_for_logs_is_replaced(client, unfit):
    answer = await client.get("/health", headers={"X-Request-ID": unfit.encode()})
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/v1/memories", CHAT])
async def test_a_body_that_is_too_large_gets_one_clear_413(client, path):
    answer = await client.post(path, content=b"x" * 10_000_000)
    assert answer.status_code == 413
    assert "1000000 bytes" in answer.text


async def test_a_body_without_a_length_is_measured_as_it_comes(client):
    async def pieces():
        for _ in range(100):
            yield b"x" * 100_000

    answer = await client.post("/v1/memories", content=pieces())
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/v1/memories", "/v1/memories/import", CHAT, "/mcp"])
async def test_a_body_that_comes_encoded_is_refused_by_its_header(client, path):
    sent = gzip.compress(b'{"agent_id": "guide"}')
    answer = await client.post(path, content=sent, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert "Content-Encoding 'gzip' is not read" in answer.text
    plain = await client.post(path, content=b"{}", headers={"Content-Encoding": "identity"})
    assert plain.status_code != 415


async def test_an_encoding_of_nothing_is_no_matter(client):
    assert (await client.get("/health", headers={"Content-Encoding": "gzip"})).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"", b"[" * 100_000])
async def test_what_is_not_json_is_a_client_error_that_says_so(client, body):
    answer = await client.post("/v1/memories", content=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"].startswith(("the body ", "body: "))


async def test_invalid_json_has_openais_shape_on_its_routes(client):
    answer = await client.post(CHAT, content=b"{")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("the body is not valid JSON")


async def test_what_is_not_there_is_a_problem(client):
    answer = await client.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:agent-memory:problem:no-such-route"


async def test_a_method_that_is_not_taken_says_which_is(client):
    answer = await client.put("/v1/memories")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    assert (await client.get(CHAT)).json()["error"]["code"] == "method_not_allowed"


async def test_an_unexpected_error_is_a_problem_that_tells_nothing(client, memory_store, monkeypatch):
    async def broken(scope):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(memory_store, "count", broken)
    answer = await client.get("/v1/memories/count", params=ADA)
    assert answer.status_code == 500
    assert "secret" not in answer.text


async def test_health_asks_every_part(client, memory_store, monkeypatch):
    assert (await client.get("/health")).json()["status"] == "ok"

    async def gone(scope):
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(memory_store, "count", gone)
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["parts"]["db"] == "the database does not answer"
    assert (await client.get("/health/live")).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_a_chore_that_fails_degrades_the_server_but_it_answers(client, application, monkeypatch, path):
    async def failing():
        raise Unavailable("condensing fails since 2026-01-01T00:00:00+00:00 with TimeoutError")

    monkeypatch.setitem(application.probes, "chores", failing)
    answer = await client.get(path)
    assert answer.status_code == 200
    told = "condensing fails since 2026-01-01T00:00:00+00:00 with TimeoutError"
    assert (answer.json()["status"], answer.json()["parts"]) == (
        "degraded",
        {"db": "ok", "chores": told, "model": "ok"},
    )


async def test_the_instance_of_a_problem_is_a_uri(client):
    answer = await client.get("/v1/agents/ä%2F b%25")
    assert answer.json()["instance"] == "/v1/agents/%C3%A4%2F%20b%25"


async def test_metrics_are_of_the_type_that_prometheus_asks_for(client):
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"


async def test_metrics_count_by_route_template(client):
    await client.delete("/v1/memories/one", params=ADA)
    await client.delete("/v1/memories/two", params=ADA)
    await client.get("/nowhere/1")
    await client.request("BREW", "/nowhere/2")
    told = (await client.get("/metrics")).text
    requests = "agent_memory_http_requests_total"
    assert f'{requests}{{method="DELETE",route="/v1/memories/{{memory_id}}",status="422"}} 2.0' in told
    assert f'{requests}{{method="other",route="unmatched",status="404"}} 1.0' in told
    assert 'agent_memory_http_first_byte_seconds_count{method="DELETE",route="/v1/memories/{memory_id}"} 2.0' in told
    assert "nowhere" not in told


async def test_metrics_tell_of_memory_embedding_and_engine(client):
    await client.post("/v1/memories", json=ADA | {"content": "x"})
    told = (await client.get("/metrics")).text
    assert 'agent_memory_memory_operations_total{operation="remember"} 1.0' in told
    assert "agent_memory_embedding_duration_seconds_count 1.0" in told
    assert "agent_memory_engine_turns_running 2.0" in told
    assert "agent_memory_engine_tokens_total 30.0" in told
    assert "backend" not in told


async def test_other_origins_are_allowed_by_setting_only(client):
    allowed = await client.get("/health", headers={"Origin": "https://app.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    refused = await client.get("/health", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in refused.headers


async def test_the_log_tells_of_requests_and_never_what_they_say(client, caplog):
    caplog.set_level("DEBUG")
    await client.post("/v1/memories", json=ADA | {"content": "a secret"})
    await client.post("/v1/memories/search", json=ADA | {"query": "a secret"})
    await client.post(CHAT, json={"messages": [{"role": "user", "content": "a secret"}]})
    assert "POST /v1/memories 201" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nowhere"])
async def test_a_head_is_what_a_get_would_answer_without_its_body(client, path):
    asked, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (asked.status_code, b"")
    assert head.headers["content-type"] == asked.headers["content-type"]


async def test_what_cannot_be_got_has_no_head(client):
    assert (await client.head(CHAT)).status_code == 405


async def test_a_head_is_counted_under_its_route(client):
    await client.head("/v1/models")
    assert 'method="HEAD",route="/v1/models",status="200"' in (await client.get("/metrics")).text


@pytest.mark.parametrize("method", ["get", "delete"])
async def test_a_body_that_nobody_would_read_is_refused(client, method):
    path = "/v1/users/ada" if method == "delete" else "/v1/memories/count?agent_id=guide&user_id=ada"
    answer = await client.request(method, path, json={"agent_id": "guide"})
    assert (answer.status_code, answer.json()["errors"][0]["detail"].split(";")[0]) == (
        422,
        "body: this route takes none",
    )
    assert (await client.request(method, path, content=no_pieces())).status_code == 200


async def no_pieces():
    for piece in ():
        yield piece


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/v1/memories"),
        ("get", "/v1/memories/export?agent_id=guide&user_id=ada"),
        ("post", "/v1/memories/import?source=lines"),
        ("get", "/v1/agents?limit=2"),
        ("delete", "/v1/agents/guide?evict_only=true"),
        ("get", "/v1/caches"),
        ("get", "/admin/keys"),
    ],
)
async def test_our_routes_take_no_parameter_that_they_do_not_know(client, method, path):
    answer = await client.request(method, path + ("&" if "?" in path else "?") + "surplus=1")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "surplus")


async def test_a_parameter_that_is_there_twice_is_refused(client):
    answer = await client.delete("/v1/users/ada?agent_id=one&agent_id=two")
    assert (answer.status_code, answer.json()["detail"]) == (422, "agent_id: is there more than once")


@pytest.mark.parametrize("value", ["%FF", "%ED%A0%80", "a%C3"])
@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("get", "/v1/memories/count?user_id=ada&agent_id=", "agent_id"),
        ("get", "/v1/memories/export?agent_id=guide&user_id=", "user_id"),
        ("patch", "/v1/memories/x?agent_id=", "agent_id"),
        ("post", "/v1/memories/import?source=lines&user_id=", "user_id"),
        ("delete", "/v1/users/ada?agent_id=", "agent_id"),
        ("post", "/v1/agents/import?agent_id=", "agent_id"),
        ("get", "/v1/agents?cursor=", "cursor"),
        ("post", "/mcp?user_id=", "user_id"),
    ],
)
async def test_a_parameter_that_is_no_text_names_nobody(client, method, path, name, value):
    answer = await client.request(method, path + value, **({"json": {}} if method == "patch" else {}))
    wrong = {"detail": f"{name}: is not percent-encoded UTF-8", "parameter": name}
    assert (answer.status_code, answer.json()["errors"]) == (422, [wrong])


async def test_a_parameter_may_be_any_text(client):
    told = await client.post("/v1/memories", json={"agent_id": "gui+de", "user_id": "\ufffd é", "content": "x"})
    counted = await client.get("/v1/memories/count?agent_id=gui%2Bde&user_id=%EF%BF%BD+%C3%A9")
    assert (told.status_code, counted.json()["count"]) == (201, 1)


async def test_the_time_that_a_request_allows_is_for_the_routes_of_a_model(client):
    headers = {"X-Request-Timeout": "x"}
    told = await client.post("/v1/memories", json=EXAMPLES["/v1/memories"], headers=headers)
    asked = await client.post(CHAT, json=EXAMPLES[CHAT], headers=headers)
    assert (told.status_code, asked.status_code, asked.json()["error"]["param"]) == (201, 400, "X-Request-Timeout")


@pytest.mark.parametrize("path", ["/v1/models?after=x", "/health?now=1"])
async def test_the_routes_of_others_take_what_their_clients_send(client, path):
    assert (await client.get(path)).status_code == 200
