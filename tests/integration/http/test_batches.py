"""Many memories in one request: whatever is wrong with one is told in its place, as if it had come alone."""

import json

import pytest

ADA = {"agent_id": "guide", "user_id": "ada"}
JSON = {"content-type": "application/json"}
OTHERS = '{"content": "before"}', '{"content": "after", "importance": 2}'


async def sent(client, *memories, **headers):
    """Memories as they are written, which need not be JSON that anybody else would write."""
    body = f'{json.dumps(ADA)[:-1]}, "memories": [{", ".join(memories)}]}}'
    return await client.post("/v1/memories/batch", content=body, headers=JSON | headers)


async def listed(client):
    answer = await client.post("/v1/memories/list", json=ADA | {"limit": 200})
    return [memory["content"] for memory in answer.json()["memories"]]


@pytest.mark.parametrize(
    "wrong",
    [
        '{"content": 5}', '{"content": null}', '{"contents": "x"}', '{"content": "x", "contents": "x"}', "{}",
        '{"content": ""}', f'{{"content": "{"x" * 8001}"}}', '{"content": "a\\u0000b"}', '{"content": "\\ud800"}',
        '{"content": "x", "importance": "high"}', '{"content": "x", "importance": null}',
        '{"content": "x", "importance": 3}', '{"content": "x", "importance": NaN}',
        '{"content": "x", "importance": 1e999}', '{"content": "x", "importance": -Infinity}',
        '{"content": "x", "tags": "a"}', '{"content": "x", "tags": ["a", 5]}', '{"content": "x", "tags": ["a", ""]}',
        '{"content": "x", "metadata": [1]}', '{"content": "x", "metadata": {"a": {"b": NaN}}}',
        '{"content": "x", "metadata": {"\\ud800": 1}}', '{"content": "x", "metadata": {"a": ["\\udfff"]}}',
        f'{{"content": "x", "metadata": {{"a": {"[" * 40}{"]" * 40}}}}}',
        f'{{"content": "x", "metadata": {{"a": {"[" * 9999}{"]" * 9999}}}}}',
        f'{{"content": "x", "metadata": {{"a": "{"y" * 17_000}"}}}}',
        '{"content": "x", "id": 5}', '{"content": "x", "id": "abc"}', '{"content": "x", "memory_type": "odd"}',
        '{"content": "x", "event_time": "2020"}', '{"content": "x", "expires_at": "2020-01-01T00:00:00"}',
        '{"content": "x", "ttl_seconds": 0}',
        '{"content": "x", "ttl_seconds": 1, "expires_at": "2999-01-01T00:00:00Z"}',
    ],
)  # fmt: skip
async def test_a_memory_that_is_wrong_is_told_in_its_place_as_if_it_had_come_alone(client, wrong):
    alone = await client.post("/v1/memories", content=f"{json.dumps(ADA)[:-1]}, {wrong[1:]}", headers=JSON)
    alone = await client.post("/v1/memories", content=json.dumps(ADA), headers=JSON) if wrong == "{}" else alone
    assert alone.status_code == 422, alone.text
    answer = await sent(client, OTHERS[0], wrong, OTHERS[1])
    assert answer.status_code == 200, answer.text
    before, refused, after = answer.json()["results"]
    assert [before["status"], refused["status"], after["status"]] == ["kept", "refused", "kept"]
    assert f"{refused['field']}: {refused['detail']}" == alone.json()["errors"][0]["detail"]
    assert await listed(client) == ["after", "before"]


@pytest.mark.parametrize(
    "wrong", ['"text"', "5", "null", "NaN", "true", "[]", "[[1, {}], 2]", f"{'[' * 9999}{']' * 9999}"]
)
async def test_what_is_no_object_is_no_memory(client, wrong):
    answer = await sent(client, OTHERS[0], wrong, OTHERS[1])
    assert answer.status_code == 200, answer.text
    assert [(each["status"], each["field"]) for each in answer.json()["results"]] == [
        ("kept", None), ("refused", "body"), ("kept", None),
    ]  # fmt: skip


async def test_each_is_told_what_is_wrong_with_itself(client):
    wrong = ['{"content": NaN}', '{"content": "b", "tags": [5]}', '"[,]{}"', '{"content": "c", "importance": Infinity}']
    answer = await sent(client, wrong[0], OTHERS[0], *wrong[1:], '{"content": "[,]{}\\"\\\\"}')
    told = [(each["field"], each["detail"]) for each in answer.json()["results"]]
    assert [field for field, _ in told] == ["content", None, "tags[0]", "body", "importance", None]
    assert told[0][1] == "must be a number, is nan"
    assert await listed(client) == ['[,]{}"\\', "before"]


async def test_a_batch_of_nothing_good_has_a_result_for_each(client):
    """Each was read, and each has its answer: whether something was kept is for the results to tell."""
    answer = await sent(client, "5", '{"content": ""}')
    assert (answer.status_code, [each["status"] for each in answer.json()["results"]]) == (200, ["refused"] * 2)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ('{"agent_id": "a", "user_id": "b", "memories": [{"content": NaN}], "odd": 1}', 422, "odd: unknown field"),
        ('{"agent_id": "a", "memories": [{"content": NaN}]}', 422, "user_id: is required"),
        ('{"agent_id": "a", "user_id": 5, "memories": [NaN]}', 422, "user_id: expected str, got int"),
        ('{"agent_id": "a", "user_id": "\\ud800", "memories": [NaN]}', 422, "user_id: has a lone surrogate"),
        ('{"agent_id": "a", "user_id": "b", "memories": []}', 422, "memories: expected array of length >= 1"),
        ('{"agent_id": "a", "user_id": "b", "memories": [ ], "on_near_duplicate": NaN}', 422, "length >= 1"),
        (f'{{"agent_id": "a", "user_id": "b", "memories": [{"NaN," * 500}1]}}', 422, "array of length <= 500"),
        ('{"agent_id": "a", "user_id": "b", "memories": {"0": NaN}}', 422, "memories"),
        ('{"agent_id": "a", "user_id": "b", "memories": 5}', 422, "memories: expected array, got int"),
        ('{"agent_id": "a", "user_id": "b", "memories": [{"content": "x"}, {"content": }]}', 400, "not valid JSON"),
        ('{"agent_id": "a", "user_id": "b", "memories": [{"content": NaN}, {"content": }]}', 400, "not valid JSON"),
        ('{"agent_id": "a", "user_id": "b", "memories": [{"content": "x"},]}', 400, "not valid JSON"),
        (f'{{"agent_id": "a", "user_id": "b", "memories": [{"[" * 9999}', 422, "memories: is nested"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_the_batch_itself_is_told_of_it(client, body, status, told):
    answer = await client.post("/v1/memories/batch", content=body, headers=JSON)
    assert (answer.status_code, told in answer.text) == (status, True), answer.text


async def test_null_for_what_need_not_be_said_says_nothing(client):
    nothing = dict.fromkeys(("id", "event_time", "expires_at", "ttl_seconds"))
    alone = await client.post("/v1/memories", json=ADA | {"content": "alone"} | nothing)
    assert alone.status_code == 201, alone.text
    answer = await sent(client, *(json.dumps({"content": name} | nothing) for name in "ab"))
    assert [each["status"] for each in answer.json()["results"]] == ["kept"] * 2, answer.text


async def test_an_id_of_null_follows_from_the_key_of_the_request_as_none_does(client):
    body, key = ADA | {"content": "Ada sings", "id": None}, {"Idempotency-Key": "once"}
    first, again = [await client.post("/v1/memories", json=body, headers=key) for _ in range(2)]
    assert (first.status_code, again.json()) == (201, first.json())
    memory, key = json.dumps({"content": "Ada runs", "id": None}), {"Idempotency-Key": "twice"}
    first, again = [await sent(client, memory, **key) for _ in range(2)]
    assert (first.json()["results"][0]["status"], again.json()) == ("kept", first.json())


async def test_the_document_says_what_a_memory_of_a_batch_is(client):
    document = (await client.get("/openapi.json")).json()
    [taken] = document["paths"]["/v1/memories/batch"]["post"]["requestBody"]["content"].values()
    schemas = document["components"]["schemas"]
    batch = schemas[taken["schema"]["$ref"].rsplit("/", 1)[-1]]
    assert (batch["properties"]["memories"]["minItems"], batch["properties"]["memories"]["maxItems"]) == (1, 500)
    memory = schemas[batch["properties"]["memories"]["items"]["$ref"].rsplit("/", 1)[-1]]
    assert memory["required"] == ["content"]
    alone = schemas["RememberRequest"]["properties"]
    assert memory["properties"] == {name: alone[name] for name in memory["properties"]}
