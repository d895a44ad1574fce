"""What the OpenAPI document and its page say of the routes."""

from html import unescape

import pytest

from agent_memory.entrypoints.http.document import EXAMPLES, FILES

CHAT = "/v1/chat/completions"
CACHED = {"/v1/agents/{agent_id}/generate", "/v1/caches/explain"}  # the toy engine keeps no cache


async def test_the_documents_need_no_other_host(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "/v1/memories/search" in page.text
    assert "http" not in page.text.replace("http-equiv", "")
    document = (await client.get("/openapi.json")).json()
    assert {"/v1/chat/completions", "/v1/memories", "/metrics"} <= document["paths"].keys()
    remember = document["components"]["schemas"]["RememberRequest"]["properties"]
    assert remember["content"]["maxLength"] == 8000


@pytest.mark.parametrize("path", sorted(EXAMPLES.keys() - CACHED))
async def test_the_document_shows_bodies_that_are_taken(client, path):
    content = (await client.get("/openapi.json")).json()["paths"][path]["post"]["requestBody"]["content"]
    shown = content["application/json"]["example"]
    answer = await client.post(path, json=shown)
    assert answer.status_code in {200, 201}, answer.text


async def test_the_document_knows_the_headers_of_answers(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert "Location" in paths["/v1/memories"]["post"]["responses"]["201"]["headers"]
    answers = paths["/v1/memories/{memory_id}"]["get"]["responses"]
    assert ["ETag" in answers[status]["headers"] for status in ("200", "304")] == [True, True]
    assert "content" not in answers["304"]
    assert answers["200"]["content"]["application/json"]["schema"]["$ref"].endswith("WholeMemory")


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ("SearchRequest", "`since` itself counts and `until` does not"),
        ("ListRequest", "eq, ne, in, lt, lte, gt, gte, exists, and, or, not"),  # said of what it is made of
        ("Change", "`tags` and `metadata` come in the place of all there were"),
    ],
)
async def test_the_document_tells_what_the_shapes_tell_of_themselves(client, shape, told):
    schema = (await client.get("/openapi.json")).json()["components"]["schemas"][shape]
    assert told in " ".join(schema["description"].split())
    assert told in " ".join(unescape((await client.get("/docs")).text).split())


async def test_the_document_says_nothing_for_shapes_that_say_nothing(client):
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert "description" not in schemas["CountAnswer"]


async def test_the_document_knows_every_bound(client):
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    change, search = schemas["Change"]["properties"], schemas["SearchRequest"]["properties"]
    assert [change["importance"][bound] for bound in ("minimum", "maximum")] == [0, 2]
    assert [search["alpha"][bound] for bound in ("minimum", "maximum")] == [0, 1]
    assert change["ttl_seconds"]["exclusiveMinimum"] == 0
    for tags in (search["tags"], change["tags"]["oneOf"][0]):
        assert [tags["items"][bound] for bound in ("minLength", "maxLength")] == [1, 64]
    assert "number or null (minimum 0, maximum 1)" in (await client.get("/docs")).text


@pytest.mark.parametrize("path", sorted(FILES))
async def test_the_document_knows_where_files_are_sent(client, path):
    body = (await client.get("/openapi.json")).json()["paths"][path]["post"]["requestBody"]
    assert body["required"]
    assert body["content"] == {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@pytest.mark.parametrize("path", [CHAT, "/v1/completions", "/v1/responses", "/v1/messages"])
async def test_the_document_knows_what_may_be_streamed(client, path):
    answered = (await client.get("/openapi.json")).json()["paths"][path]["post"]["responses"]["200"]["content"]
    assert answered.keys() == {"application/json", "text/event-stream"}
    answer = await client.post(path, json={**EXAMPLES[path], "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_the_document_knows_every_refusal_at_the_door(client):
    for path, operations in (await client.get("/openapi.json")).json()["paths"].items():
        for operation in operations.values():
            assert {"403", "413", "415", "421", "500"} <= operation["responses"].keys(), path
