"""The routes that look after memories."""

import asyncio
import json
from urllib.parse import parse_qsl, quote
from uuid import UUID, uuid4

import pytest

from agent_memory.domain.tenants import Reach
from agent_memory.entrypoints.http import receiving
from agent_memory.entrypoints.http.preconditions import versions_in

ADA = {"agent_id": "guide", "user_id": "ada"}
GUIDE = {"agent_id": "guide"}


@pytest.fixture
async def kept(client):
    """Three memories, told in this order."""
    memories = [
        {"content": "Ada lives in Lisbon.", "tags": ["home"], "metadata": {"city": "Lisbon", "since": 2019}},
        {"content": "Ada plays the cello.", "tags": ["music", "home"], "metadata": {"in.city": "Porto", "not": True}},
        {"content": "Boil the eggs for six minutes.", "memory_type": "procedural"},
    ]
    answer = await client.post("/v1/memories/batch", json=ADA | {"memories": memories})
    assert answer.status_code == 200
    return [result["memory"] for result in answer.json()["results"]]


async def listed(client, **fields):
    answer = await client.post("/v1/memories/list", json=ADA | fields)
    assert answer.status_code == 200, answer.text
    return [memory["content"].split()[1] for memory in answer.json()["memories"]]


async def test_a_memory_has_its_version_for_an_etag(client, kept):
    answer = await client.get(f"/v1/memories/{kept[0]['id']}", params=GUIDE)
    assert (answer.status_code, versions_in(answer.headers["ETag"])) == (200, {1})
    assert answer.json() == kept[0]
    assert answer.json()["metadata"] == {"city": "Lisbon", "since": 2019}


async def test_what_is_known_of_a_memory_is_not_told_again(client, kept):
    path = f"/v1/memories/{kept[0]['id']}"
    etag = (await client.get(path, params=GUIDE)).headers["ETag"]
    for given in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, path, params=GUIDE, headers={"If-None-Match": given})
            assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
            assert "content-type" not in answer.headers
    other = await client.get(path, params=GUIDE, headers={"If-None-Match": '"x"'})
    assert (other.status_code, other.json()) == (200, kept[0])
    assert (await client.get(path, params=GUIDE, headers={"If-None-Match": "abc"})).status_code == 422
    absent = await client.get(f"/v1/memories/{uuid4()}", params=GUIDE, headers={"If-None-Match": "*"})
    assert absent.status_code == 404


async def test_whatever_changes_of_a_memory_is_told(client, kept):
    """Also what makes no new version."""
    path, seen = f"/v1/memories/{kept[0]['id']}", set()

    async def looks_new():
        answer = await client.get(path, params=GUIDE, headers={"If-None-Match": ", ".join(seen) or '"x"'})
        seen.add(answer.headers["ETag"])
        return answer.status_code == 200

    assert await looks_new()
    new = await client.post(f"{path}/supersede", params=GUIDE, json={"content": "Ada lives in Rome."})
    assert await looks_new()
    await client.delete(f"/v1/memories/{new.json()['id']}", params=GUIDE)
    await client.post(f"{path}/restore", params=GUIDE)
    assert not await looks_new()
    await client.delete(path, params=GUIDE)
    await client.post("/v1/memories", json=ADA | {"content": "Ada lives in Lima.", "id": kept[0]["id"]})
    assert await looks_new()


@pytest.mark.parametrize(("name", "status"), [(str(UUID(int=404)), 404), ("nonsense", 422)])
async def test_what_is_not_there_is_a_problem(client, name, status):
    answer = await client.get(f"/v1/memories/{name}", params=GUIDE)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")


async def test_lists_page_by_page(client, kept):
    first = (await client.post("/v1/memories/list", json=ADA | {"limit": 2})).json()
    last = (await client.post("/v1/memories/list", json=ADA | {"limit": 2, "cursor": first["next_cursor"]})).json()
    assert first["memories"] + last["memories"] == kept[::-1]
    assert last["next_cursor"] is None


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ({"memory_type": "procedural"}, ["the"]),
        ({"tags": ["home"]}, ["plays", "lives"]),
        ({"tags": ["home", "music"]}, ["plays"]),
        ({"filter": {"city": "Lisbon", "since": {"gte": 2019, "lt": 2020}}}, ["lives"]),
        ({"filter": {"not": {"city": {"exists": True}}}}, ["the", "plays"]),
        ({"until": "2020-01-01T00:00:00Z"}, []),
        ({"filter": {'"in.city"': "Porto", '"not"': True}}, ["plays"]),
    ],
)
@pytest.mark.usefixtures("kept")
async def test_lists_what_is_selected(client, selection, found):
    assert await listed(client, **selection) == found


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cursor": "x"}, "cursor"), ({"limit": 0}, "limit"), ({"tags": ["x" * 65]}, "tags[0]"),
        ({"filter": {"a": {"near": 1}}}, "filter"), ({"since": "2020-01-01T00:00:00"}, "since"), ({"odd": 1}, "odd"),
        ({"filter": {"AND": [{"city": "Oslo"}]}}, "filter"), ({"filter": {"$or": []}}, "filter"),
    ],
)  # fmt: skip
async def test_names_what_is_wrong_with_a_list(client, wrong, field):
    answer = await client.post("/v1/memories/list", json=ADA | wrong)
    assert answer.status_code == 422
    assert field in answer.text


async def test_a_revision_needs_the_version_it_names(client, kept):
    path = f"/v1/memories/{kept[0]['id']}"
    change = {"content": "Ada lives in Rome.", "metadata": {}}
    answer = await client.patch(path, params=GUIDE, json=change, headers={"If-Match": '"1"'})
    assert (answer.status_code, versions_in(answer.headers["ETag"])) == (200, {2})
    assert (await client.get(path, params=GUIDE)).headers["ETag"] == answer.headers["ETag"]
    assert answer.json()["tags"] == ["home"]
    stale = await client.patch(path, params=GUIDE, json=change, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["type"]) == (412, "urn:agent-memory:problem:stale-version")
    nonsense = await client.patch(path, params=GUIDE, json=change, headers={"If-Match": "abc"})
    assert nonsense.status_code == 422
    versions = (await client.get(f"{path}/history", params=GUIDE)).json()["versions"]
    assert [(v["version"], v["content"]) for v in versions] == [(2, "Ada lives in Rome."), (1, "Ada lives in Lisbon.")]


async def test_where_a_memory_lies_is_where_it_is_looked_after(client):
    """Under the very address that the answer told, with the agent and the user in it."""
    path, whose = await located(client)
    revised = await client.patch(path, params=whose, json={"content": "Ada lives in Rome."})
    assert (revised.status_code, revised.json()["version"]) == (200, 2)
    assert len((await client.get(f"{path}/history", params=whose)).json()["versions"]) == 2
    new = await client.post(f"{path}/supersede", params=whose, json={"content": "Ada lives in Oslo."})
    assert new.status_code == 201
    assert (await client.delete(new.headers["Location"])).status_code == 204
    assert (await client.post(f"{path}/restore", params=whose)).json() == {"restored": 1}


async def test_what_is_about_another_user_is_not_there_to_be_looked_after(client):
    path, whose = await located(client)
    other = whose | {"user_id": "bob"}
    new = await client.post(f"{path}/supersede", params=whose, json={"content": "Ada lives in Oslo."})
    assert (await client.delete(new.headers["Location"])).status_code == 204
    answers = [
        await client.patch(path, params=other, json={"content": "x"}),
        await client.post(f"{path}/supersede", params=other, json={"content": "x"}),
        await client.post(f"{path}/restore", params=other),
        await client.get(f"{path}/history", params=other),
        await client.get(path, params=other),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert (await client.get(path, params=whose)).json()["superseded_by"] == new.json()["id"]


async def located(client):
    told = await client.post("/v1/memories", json=ADA | {"content": "Ada lives in Lisbon."})
    path, _, query = told.headers["Location"].partition("?")
    return path, dict(parse_qsl(query))


async def test_a_time_with_an_offset_is_told_as_it_will_be_read(client):
    when = {"event_time": "2026-01-01T00:00:00+02:00", "expires_at": "2096-01-01T00:00:00-05:00"}
    shown = {"event_time": "2025-12-31T22:00:00Z", "expires_at": "2096-01-01T05:00:00Z"}
    told = await client.post("/v1/memories", json=ADA | {"content": "Ada moved."} | when)
    path = told.headers["Location"]
    changes = [await client.patch(path, json={"event_time": None}), await client.patch(path, json=when)]
    changes += [await client.post(path.replace("?", "/supersede?"), json={"content": "Ada moved again."} | when)]
    assert all(shown.items() <= each.json().items() for each in (told, *changes[1:]))
    read = await client.get(changes[2].headers["Location"])
    assert (read.json(), read.headers["ETag"]) == (changes[2].json(), changes[2].headers["ETag"])


async def test_each_version_tells_when_it_was_made(client, kept):
    path = f"/v1/memories/{kept[0]['id']}"
    revised = (await client.patch(path, params=GUIDE, json={"content": "Ada lives in Rome."})).json()
    assert revised["created_at"] < revised["updated_at"]
    versions = (await client.get(f"{path}/history", params=GUIDE)).json()["versions"]
    assert [version["updated_at"] for version in versions] == [revised["updated_at"], revised["created_at"]]
    assert (await client.get(path, params=GUIDE)).json() == revised
    found = (await client.post("/v1/memories/search", json=ADA | {"query": "Where does Ada live?"})).json()["results"]
    told = {each["id"]: each.get("updated_at") for each in found}
    assert told == {each["id"]: None for each in kept} | {revised["id"]: revised["updated_at"]}


async def over(client, memory):
    ended = {"expires_at": "2020-01-01T00:00:00Z"}
    assert (await client.patch(f"/v1/memories/{memory['id']}", params=GUIDE, json=ended)).status_code == 200
    return memory["id"]


@pytest.mark.parametrize("wish", ["keep", "reinforce"])
async def test_what_is_renewed_after_it_has_expired_is_kept(client, application, kept, wish):
    one, two = [await over(client, memory) for memory in kept[:2]]
    fields = {"content": kept[0]["content"], "ttl_seconds": 3600, "id": one}
    answer = await client.post("/v1/memories", json=ADA | fields | {"on_near_duplicate": wish})
    assert answer.status_code == 201, answer.text
    many = {"memories": [fields | {"id": two, "content": "Ada sings."}], "on_near_duplicate": wish}
    [result] = (await client.post("/v1/memories/batch", json=ADA | many)).json()["results"]
    assert result["status"] == "kept"
    await application.keeping.purge()
    assert await listed(client) == ["sings.", "lives", "the"]


async def test_what_has_expired_takes_no_change_but_a_later_end(client, kept):
    path = f"/v1/memories/{await over(client, kept[0])}"
    answer = await client.patch(path, params=GUIDE, json={"content": "Ada lives in Rome."})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:agent-memory:problem:conflict")
    change = {"content": "Ada lives in Rome.", "ttl_seconds": 3600}
    assert (await client.patch(path, params=GUIDE, json=change)).status_code == 200
    assert await listed(client) == ["the", "plays", "lives"]


async def test_what_would_supersede_and_holds_no_more_is_refused(client, kept):
    path, over = f"/v1/memories/{kept[0]['id']}/supersede", "2020-01-01T00:00:00Z"
    answer = await client.post(path, params=GUIDE, json={"content": "Ada lives in Rome.", "expires_at": over})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["pointer"] == "#/expires_at"
    assert "must be in the future, is 2020-01-01" in error["detail"]
    assert await listed(client) == ["the", "plays", "lives"]


async def test_what_is_superseded_is_kept_but_not_found(client, kept):
    path = f"/v1/memories/{kept[0]['id']}"
    answer = await client.post(f"{path}/supersede", params=GUIDE, json={"content": "Ada lives in Rome."})
    assert answer.status_code == 201
    told = (await client.post("/v1/memories/search", json=ADA | {"query": "Where does Ada live?"})).json()
    assert "Ada lives in Lisbon." not in [each["content"] for each in told["results"]]
    assert (await client.get(path, params=GUIDE)).json()["superseded_by"] == answer.json()["id"]
    assert (await client.post(f"{path}/supersede", params=GUIDE, json={"content": "x"})).status_code == 409


async def test_superseding_can_be_undone_when_nothing_holds_in_its_place(client, kept):
    path = f"/v1/memories/{kept[0]['id']}"
    new = (await client.post(f"{path}/supersede", params=GUIDE, json={"content": "Ada lives in Rome."})).json()
    listing = await client.post("/v1/memories/list", json=ADA | {"include_superseded": True, "tags": ["home"]})
    assert {each["id"]: each["superseded_by"] for each in listing.json()["memories"]}[kept[0]["id"]] == new["id"]
    refused = await client.post(f"{path}/restore", params=GUIDE)
    assert (refused.status_code, new["id"] in refused.json()["detail"]) == (409, True)
    await client.delete(f"/v1/memories/{new['id']}", params=GUIDE)
    assert (await client.get(path, params=GUIDE)).json()["superseded_by"] == new["id"]
    assert (await client.post(f"{path}/restore", params=GUIDE)).json() == {"restored": 1}
    assert (await client.get(path, params=GUIDE)).json() == kept[0]
    assert len(await listed(client)) == 3


@pytest.mark.parametrize("stale", ['"1"', 'W/"2"', '"1", "3"', '"x"'])
async def test_what_has_changed_is_neither_forgotten_nor_superseded(client, kept, stale):
    path = f"/v1/memories/{kept[0]['id']}"
    await client.patch(path, params=GUIDE, json={"tags": ["mine"]}, headers={"If-Match": "*"})
    held = {"params": GUIDE, "headers": {"If-Match": stale}}
    answers = [await client.delete(path, **held), await client.post(f"{path}/supersede", json={"content": "x"}, **held)]
    assert [answer.status_code for answer in answers] == [412, 412]
    assert (await client.get(path, params=GUIDE)).json()["superseded_by"] is None
    fresh = {"params": GUIDE, "headers": {"If-Match": '"1", "2"'}}
    assert (await client.post(f"{path}/supersede", json={"content": "x"}, **fresh)).status_code == 201
    assert (await client.delete(path, **fresh)).status_code == 204
    assert (await client.delete(path, params=GUIDE, headers={"If-Match": "*"})).status_code == 404


async def test_superseding_may_be_sent_again_with_its_key(client, kept):
    path = f"/v1/memories/{kept[0]['id']}/supersede"
    sent = {"params": GUIDE, "json": {"content": "Ada lives in Rome."}, "headers": {"Idempotency-Key": "one"}}
    first, again = await client.post(path, **sent), await client.post(path, **sent)
    assert (again.status_code, again.json()) == (201, first.json())
    new = await client.get(first.headers["Location"])
    assert (new.json(), new.headers["ETag"]) == (first.json(), first.headers["ETag"])
    assert all(again.headers[name] == first.headers[name] for name in ("ETag", "Location"))
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await client.post(path, **sent | {"json": {"content": "x"}})).status_code == 422
    assert (await client.post(path, **sent | {"headers": {"Idempotency-Key": "two"}})).status_code == 409
    assert len(await listed(client)) == 3


async def test_what_supersedes_is_not_told_again_by_its_key_once_it_is_forgotten(client, kept):
    path = f"/v1/memories/{kept[0]['id']}/supersede"
    sent = {"params": GUIDE, "json": {"content": "Ada lives in Rome."}, "headers": {"Idempotency-Key": "one"}}
    new = (await client.post(path, **sent)).json()
    await client.delete(f"/v1/memories/{new['id']}", params=GUIDE)
    assert (await client.post(path, **sent)).status_code == 410
    assert (await client.get(f"/v1/memories/{new['id']}", params=GUIDE)).status_code == 404


async def test_in_a_batch_each_has_a_result_of_its_own(client):
    memories = [{"content": "good"}, {"content": ""}, {"contents": "x"}, {"content": "x", "metadata": {"a": "\0"}}]
    answer = await client.post("/v1/memories/batch", json=ADA | {"memories": memories})
    results = answer.json()["results"]
    assert [(r["status"], r["field"]) for r in results] == [
        ("kept", None), ("refused", "content"), ("refused", "contents"), ("refused", "metadata"),
    ]  # fmt: skip
    assert await listed_contents(client) == ["good"]


async def listed_contents(client):
    answer = await client.post("/v1/memories/list", json=ADA | {"limit": 200})
    return [memory["content"] for memory in answer.json()["memories"]]


@pytest.mark.usefixtures("kept")
async def test_a_misspelt_connective_forgets_nothing(client):
    misspelt = {"filter": {"not": {"OR": [{"city": "Lisbon"}, {"city": "Porto"}]}}}
    answer = await client.post("/v1/memories/forget", json=ADA | misspelt)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/filter")
    assert "write 'or'" in answer.json()["detail"]
    assert len(await listed(client)) == 3


@pytest.mark.usefixtures("kept")
async def test_a_dry_run_forgets_nothing(client):
    wanted = ADA | {"tags": ["home"]}
    answer = await client.post("/v1/memories/forget", json=wanted | {"dry_run": True})
    assert answer.json() == {"forgotten": 2, "dry_run": True}
    assert (await client.post("/v1/memories/forget", json=wanted)).json() == {"forgotten": 2, "dry_run": False}
    assert await listed(client) == ["the"]


@pytest.mark.usefixtures("kept")
async def test_erasing_a_user_gives_a_receipt(client):
    receipt = (await client.delete("/v1/users/ada", params=GUIDE)).json()
    assert (receipt["user_id"], receipt["agent_id"], receipt["memories"]) == ("ada", "guide", 3)
    assert (await client.delete("/v1/users/ada")).json()["memories"] == 0


@pytest.mark.parametrize("user", ["org/ada", "/", "100%", "ada@example.org?x=1#y", "\u9773", "a b"])
async def test_any_user_can_be_erased(client, user):
    await client.post("/v1/memories", json={"agent_id": "guide", "user_id": user, "content": "Ada lives in Lisbon."})
    receipt = (await client.delete(f"/v1/users/{quote(user, safe='')}")).json()
    assert (receipt["user_id"], receipt["memories"]) == (user, 1)


async def test_half_a_character_is_no_user(client):
    refused = await client.delete("/v1/users/%ed%a0%80")
    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (422, "user_id")


async def test_a_slip_in_a_parameter_widens_no_deletion(client, kept):
    answer = await client.delete("/v1/users/ada", params={"agent": "guide"})
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"detail": "agent: unknown parameter; this route takes agent_id", "parameter": "agent"}],
    )
    slip = await client.delete(f"/v1/memories/{kept[0]['id']}", params=GUIDE | {"userid": "x"})
    assert (slip.status_code, slip.json()["errors"][0]["parameter"]) == (422, "userid")
    assert len(await listed(client)) == 3


@pytest.mark.usefixtures("kept")
async def test_stats_say_what_is_held(client):
    stats = (await client.get("/v1/memories/stats", params=ADA)).json()
    assert (stats["memories"], stats["by_tag"]) == (3, {"home": 2, "music": 1})
    assert stats["by_type"] == {"episodic": 2, "procedural": 1}


async def test_counts_what_a_list_shows(client, kept):
    await client.post(f"/v1/memories/{kept[0]['id']}/supersede", params=GUIDE, json={"content": "Ada lives in Oslo."})
    await client.patch(f"/v1/memories/{kept[1]['id']}", params=GUIDE, json={"expires_at": "2020-01-01T00:00:00Z"})
    count = (await client.get("/v1/memories/count", params=ADA)).json()["count"]
    stats = (await client.get("/v1/memories/stats", params=ADA)).json()
    assert count == len(await listed(client)) == stats["memories"] == 2
    assert (stats["superseded"], stats["expired"]) == (1, 1)


@pytest.mark.usefixtures("kept")
async def test_what_is_exported_can_be_imported(client):
    exported = await client.get("/v1/memories/export", params=ADA)
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    lines = exported.text.splitlines()
    assert [json.loads(line)["content"].split()[1] for line in lines] == ["lives", "plays", "the"]
    await client.delete("/v1/users/ada")
    answer = await client.post("/v1/memories/import", content=exported.text + "nonsense\n")
    told = answer.json()
    assert (told["kept"], told["known"], len(told["refused"])) == (3, 0, 1)
    assert told["refused"][0].startswith("line 4: ")
    assert await listed(client) == ["the", "plays", "lives"]


@pytest.mark.usefixtures("kept")
async def test_an_import_tells_what_is_known_with_another_content(client):
    first, second, third = (await client.get("/v1/memories/export", params=ADA)).text.splitlines()
    other = json.dumps(json.loads(first) | {"content": "Ada lives in Rome."})
    told = (await client.post("/v1/memories/import", content=f"{second}\n{other}\n{third}")).json()
    assert (told["kept"], told["known"], told["conflicting"], told["refused"]) == (0, 2, 1, [])
    [conflict] = told["conflicts"]
    assert conflict.startswith(f"line 2: id: {json.loads(first)['id']} is known")
    assert await listed(client) == ["the", "plays", "lives"]
    entries = json.dumps([{"memory": "x"}, {"id": json.loads(first)["id"], "memory": "Ada lives in Rome."}])
    told = (await client.post("/v1/memories/import", params=ADA | {"source": "mem0"}, content=entries)).json()
    assert (told["kept"], told["conflicting"], told["conflicts"][0].split(":")[0]) == (1, 1, "entry 2")


def lines(number, length):
    for place in range(number):
        memory = {"id": str(uuid4()), "content": f"{place} ".ljust(length, "x"), "created_at": "2026-01-01T00:00:00Z"}
        yield json.dumps(ADA | memory).encode() + b"\n"


async def as_they_come(pieces):
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("source", ["lines", "mem0", "mcp"])
async def test_an_import_may_be_larger_than_other_bodies(client, source):
    entity = json.dumps({"type": "entity", "name": "Ada", "observations": ["x" * 7000]}).encode() + b"\n"
    relations = json.dumps({"relations": [{"text": "x" * 7900}] * 600, "results": [{"memory": "Ada sings"}]}).encode()
    sent, kept = {
        "lines": (lines(700, 7900), 700),
        "mem0": ((relations[start : start + 65_536] for start in range(0, len(relations), 65_536)), 1),
        "mcp": ([entity, *[b" " * 7900 + b"\n"] * 600, entity], 1),
    }[source]
    answer = await client.post("/v1/memories/import", params=ADA | {"source": source}, content=as_they_come(sent))
    assert answer.status_code == 200, answer.text
    assert answer.json()["kept"] == kept


async def test_all_that_is_observed_of_one_entity_is_a_line(client):
    entity = {"type": "entity", "name": "Ada", "observations": [f"fact {n} ".ljust(250, "x") for n in range(4500)]}
    answer = await client.post("/v1/memories/import", params=ADA | {"source": "mcp"}, content=json.dumps(entity))
    assert (answer.status_code, answer.json()["kept"]) == (200, 4500), answer.text


@pytest.mark.usefixtures("kept")
async def test_an_import_goes_on_to_its_end_whatever_is_no_memory_in_it(client):
    exported = (await client.get("/v1/memories/export", params=ADA)).content
    await client.delete("/v1/users/ada")
    pieces = as_they_come([b"nonsense\n" * 100] * 11 + [exported, b"nonsense\n"])
    answer = await client.post("/v1/memories/import", content=pieces)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["kept"], told["refusals"], len(told["refused"])) == (3, 1101, 1000)
    assert told["refused"][-1] == "line 1000: line: is not JSON"


@pytest.mark.usefixtures("kept")
async def test_an_import_is_about_whom_it_names_where_its_lines_name_nobody(client):
    lines = list(map(json.loads, (await client.get("/v1/memories/export", params=ADA)).text.splitlines()))
    for name in ADA:
        del lines[0][name]
    await client.delete("/v1/users/ada")
    body = "\n".join(map(json.dumps, lines))
    told = (await client.post("/v1/memories/import", content=body)).json()
    assert (told["kept"], told["refused"]) == (2, ["line 1: agent_id: is missing"])
    told = (await client.post("/v1/memories/import", params=ADA, content=body)).json()
    assert (told["kept"], told["known"], told["refused"]) == (1, 2, [])
    assert await listed(client) == ["the", "plays", "lives"]


async def test_two_imports_of_a_tenant_at_a_time(client, monkeypatch):
    under_way, goes_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow():
        yield b"\n"
        under_way.release()
        await goes_on.wait()

    async with asyncio.TaskGroup() as group:
        sent = [group.create_task(client.post("/v1/memories/import", content=slow())) for _ in range(2)]
        for _ in sent:
            await under_way.acquire()
        refused = await client.post("/v1/memories/import", content=as_they_come(lines(600, 7900)))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        goes_on.set()
    assert {each.result().status_code for each in sent} == {200}
    monkeypatch.setattr(receiving, "_SILENCE_SECONDS", 0.05)
    goes_on.clear()
    assert [(await client.post("/v1/memories/import", content=slow())).status_code for _ in range(3)] == [408] * 3


async def test_what_may_not_be_exported_is_refused_before_the_answer_begins(client, application):
    nul = await client.get("/v1/memories/export", params=ADA | {"user_id": "a\0"})
    assert (nul.status_code, nul.json()["errors"][0]["parameter"]) == (422, "user_id")
    headers = {"x-api-key": (await application.keys.create(Reach(agent_id="another")))[1]}
    foreign = await client.get("/v1/memories/export", params=ADA, headers=headers)
    assert (foreign.status_code, foreign.headers["content-type"]) == (403, "application/problem+json")
    empty = await client.get("/v1/memories/export", params=ADA | {"agent_id": "another"}, headers=headers)
    assert (empty.status_code, empty.text) == (200, "")


async def test_takes_what_others_have_exported(client):
    mem0 = json.dumps({"results": [{"id": str(uuid4()), "memory": "Ada likes tea", "user_id": "ada"}]})
    mcp = '{"type": "entity", "name": "Ada", "entityType": "person", "observations": ["plays the cello"]}'
    for source, body in (("mem0", mem0), ("mcp", mcp)):
        for kept in (1, 0):
            answer = await client.post("/v1/memories/import", params=ADA | {"source": source}, content=body)
            assert (answer.status_code, answer.json()["kept"]) == (200, kept), answer.text
    assert sorted(await listed_contents(client)) == ["Ada likes tea", "Ada: plays the cello"]
    for params in ({"source": "odd"}, {"source": "mem0"}):
        assert (await client.post("/v1/memories/import", params=params, content="x")).status_code in {400, 422}


async def test_what_is_wrong_in_the_files_of_others_keeps_nothing_else_out(client):
    entries = [{"memory": "Ada likes tea"}, 5, {"memory": "x" * 8001}, {"memory": "Ada sings", "created_at": "odd"}]
    entries += [{"memory": "half a \ud800"}, {"memory": "Ada runs", "user_id": "ada"}]
    observed = {"type": "entity", "name": "Ada", "observations": ["swims", 5, "rows"]}
    sources = {
        "mem0": (json.dumps(entries), 2, ["entry 2", "entry 3", "entry 4", "entry 5"]),
        "mcp": ("\n".join(["nonsense", "", json.dumps(observed), "{}"]), 2, ["line 1", "line 3", "line 4"]),
    }
    for source, (body, kept, refused) in sources.items():
        answer = await client.post("/v1/memories/import", params=ADA | {"source": source}, content=body)
        assert (answer.status_code, answer.json()["kept"]) == (200, kept), answer.text
        assert [told.partition(":")[0] for told in answer.json()["refused"]] == refused
    assert sorted(await listed_contents(client)) == ["Ada likes tea", "Ada runs", "Ada: rows", "Ada: swims"]


async def test_what_is_forgotten_is_in_no_condensed_memory(client):
    memories = [{"content": f"The code of door {number} is {number * 77}.", "tags": ["door"]} for number in range(60)]
    told = (await client.post("/v1/memories/batch", json=ADA | {"memories": memories})).json()["results"]
    await client.post("/v1/memories/condense", json=ADA)
    gone = await client.delete(f"/v1/memories/{told[7]['memory']['id']}", params=GUIDE)
    assert gone.status_code == 204
    contents = await listed_contents(client)
    assert sorted(contents) == sorted(each["content"] for each in memories if each != memories[7])
    await client.post("/v1/memories/condense", json=ADA)
    for dry_run in (True, False):
        answer = await client.post("/v1/memories/forget", json=ADA | {"tags": ["door"], "dry_run": dry_run})
        assert answer.json()["forgotten"] == 60  # 59, and what stands for fifty of them
    assert await listed_contents(client) == []


async def test_condensed_memories_come_back_beside_what_was_said_of_them(client):
    memories = [{"content": f"The code of door {number} is {number * 77}."} for number in range(60)]
    await client.post("/v1/memories/batch", json=ADA | {"memories": memories})
    before = (await client.post("/v1/memories/list", json=ADA | {"limit": 100})).json()["memories"]
    made = (await client.post("/v1/memories/condense", json=ADA)).json()["memory"]
    path, own = f"/v1/memories/{made['id']}", {"condensed": "by me"}
    told = (await client.patch(path, params=GUIDE, json={"metadata": own, "tags": []})).json()
    assert (told["metadata"], told["tags"]) == (own, [])
    assert (await client.post(f"{path}/restore", params=GUIDE)).json() == {"restored": 50}
    after = (await client.post("/v1/memories/list", json=ADA | {"limit": 100})).json()["memories"]
    assert [each for each in after if each["id"] != made["id"]] == before
    # A summary is valid since it was made, any other memory since it happened.
    assert (await client.get(path, params=GUIDE)).json() == told | {"valid_from": told["event_time"]}
    assert (await client.post(f"{path}/restore", params=GUIDE)).status_code == 404


async def test_condensed_memories_come_back(client, application):
    memories = [
        {"content": f"The code of door {number} is {number * 77}.", "metadata": {"n": number}} for number in range(60)
    ]
    await client.post("/v1/memories/batch", json=ADA | {"memories": memories})
    before = (await client.post("/v1/memories/list", json=ADA | {"limit": 100})).json()
    made = (await client.post("/v1/memories/condense", json=ADA)).json()["memory"]
    assert made["metadata"]["condensed"]["memories"] == 50
    path = f"/v1/memories/{made['id']}/restore"
    assert (await client.post(path, params={"agent_id": "another"})).status_code == 404
    assert (await client.post(path, params=GUIDE)).json() == {"restored": 50}
    assert (await client.post("/v1/memories/list", json=ADA | {"limit": 100})).json() == before
    assert (await client.post(path, params=GUIDE)).status_code == 404
    few = {"agent_id": "guide", "user_id": "bob"}
    assert (await client.post("/v1/memories/condense", json=few)).json() == {"memory": None}
