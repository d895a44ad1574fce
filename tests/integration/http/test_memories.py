"""The memory routes: memex's fields, limits and answers."""

import asyncio
from datetime import timedelta

import pytest

from agent_memory.application import idempotency

ADA = {"agent_id": "guide", "user_id": "ada"}


async def remember(client, **fields):
    return await client.post("/v1/memories", json=ADA | {"content": "Ada lives in Lisbon."} | fields)


async def test_a_memory_is_answered_as_it_is_kept(client):
    answer = await remember(client, importance=1.5, memory_type="semantic")
    assert answer.status_code == 201
    told = answer.json()
    assert {key: told[key] for key in (*ADA, "content", "memory_type", "importance", "score")} == ADA | {
        "content": "Ada lives in Lisbon.",
        "memory_type": "semantic",
        "importance": 1.5,
        "score": None,
    }
    assert told["created_at"].endswith("Z")


async def test_a_search_finds_it_with_a_score_of_four_digits(client):
    await remember(client)
    answer = await client.post("/v1/memories/search", json=ADA | {"query": "Where does Ada live?"})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["query"], told["total"], len(told["results"])) == ("Where does Ada live?", 1, 1)
    score = told["results"][0]["score"]
    assert score == round(score, 4)


async def test_a_search_never_crosses_users(client):
    await remember(client)
    other = {"agent_id": "guide", "user_id": "bob", "query": "Where does Ada live?"}
    assert (await client.post("/v1/memories/search", json=other)).json()["total"] == 0


async def test_alpha_and_type_and_number_narrow_a_search(client):
    for number in range(3):
        await remember(client, content=f"Fact {number}", memory_type="semantic" if number else "episodic")
    asked = ADA | {"query": "fact", "alpha": 0, "top_k": 1, "memory_type": "semantic"}
    told = (await client.post("/v1/memories/search", json=asked)).json()
    assert [each["content"] for each in told["results"]] == ["Fact 2"]


async def test_count_counts_one_scope(client):
    await remember(client)
    await remember(client, user_id="bob")
    answer = await client.get("/v1/memories/count", params=ADA)
    assert answer.json() == ADA | {"count": 1}


async def test_a_memory_is_forgotten_once(client):
    name = (await remember(client)).json()["id"]
    path = f"/v1/memories/{name}"
    assert (await client.delete(path, params={"agent_id": "other"})).status_code == 404
    assert (await client.delete(path, params=ADA | {"user_id": "bob"})).status_code == 404
    assert (await client.delete(path, params={"agent_id": "guide"})).status_code == 204
    assert (await client.delete(path, params={"agent_id": "guide"})).status_code == 404


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"agent_id": ""}, "#/agent_id"),
        ({"agent_id": "a" * 129}, "#/agent_id"),
        ({"user_id": "u" * 129}, "#/user_id"),
        ({"content": ""}, "#/content"),
        ({"content": "c" * 8001}, "#/content"),
        ({"content": "nul \0 inside"}, "#/content"),
        ({"agent_id": "nul\0"}, "#/agent_id"),
        ({"importance": 2.01}, "#/importance"),
        ({"importance": -0.01}, "#/importance"),
        ({"importance": "1"}, "#/importance"),
        ({"memory_type": "vague"}, "#/memory_type"),
        ({"mood": "good"}, "#/mood"),
    ],
)
async def test_a_wrong_field_is_pointed_at(client, fields, pointer):
    answer = await remember(client, **fields)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"query": ""}, "#/query"),
        ({"query": "q" * 2001}, "#/query"),
        ({"query": "q", "top_k": 0}, "#/top_k"),
        ({"query": "q", "top_k": 51}, "#/top_k"),
        ({"query": "q", "top_k": 1.5}, "#/top_k"),
        ({"query": "q", "alpha": 1.01}, "#/alpha"),
        ({"query": "\0"}, "#/query"),
        ({}, "#/query"),
    ],
)
async def test_a_wrong_search_is_pointed_at(client, fields, pointer):
    answer = await client.post("/v1/memories/search", json=ADA | fields)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("method", "path", "parameter"),
    [
        ("GET", "/v1/memories/count?agent_id=guide", "user_id"),
        ("GET", "/v1/memories/count?user_id=ada", "agent_id"),
        ("GET", f"/v1/memories/count?user_id=ada&agent_id={'a' * 129}", "agent_id"),
        ("GET", "/v1/memories/count?user_id=ada&agent_id=%00", "agent_id"),
        ("DELETE", "/v1/memories/6f1f1d9e-0000-4000-8000-000000000000", "agent_id"),
        ("DELETE", "/v1/memories/no-uuid?agent_id=guide", "memory_id"),
    ],
)
async def test_a_wrong_parameter_is_named(client, method, path, parameter):
    answer = await client.request(method, path)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter


async def test_text_of_every_script_comes_back_as_it_went_in(client):
    content = "Zoë 🦊 שלום \u202e\n\t«»"
    assert (await remember(client, content=content)).json()["content"] == content


async def test_a_search_finds_what_its_conditions_let_through(client):
    await remember(client, content="Ada likes tea.", tags=["drink"], metadata={"cups": 3})
    await remember(client, content="Ada likes cake.", tags=["food"], metadata={"cups": 0})
    for condition in ({"tags": ["drink"]}, {"filter": {"cups": {"gt": 1}}}):
        told = (await client.post("/v1/memories/search", json=ADA | {"query": "Ada likes"} | condition)).json()
        assert [each["content"] for each in told["results"]] == ["Ada likes tea."]
    future = {"since": "2100-01-01T00:00:00Z"}
    assert (await client.post("/v1/memories/search", json=ADA | {"query": "Ada"} | future)).json()["total"] == 0


async def test_what_has_expired_is_not_found(client):
    await remember(client, expires_at="2020-01-01T00:00:00Z")
    assert (await client.post("/v1/memories/search", json=ADA | {"query": "Ada"})).json()["total"] == 0


async def test_a_search_explains_itself_when_asked(client):
    await remember(client)
    asked = ADA | {"query": "Where does Ada live?"}
    plain = (await client.post("/v1/memories/search", json=asked)).json()["results"][0]
    assert "explanation" not in plain
    explained = (await client.post("/v1/memories/search", json=asked | {"explain": True})).json()["results"][0]
    assert explained["explanation"].keys() == {
        *("similarity", "words", "context", "recency", "importance"),
        *("meaning", "cue", "relevance", "age_factor", "importance_factor"),
    }
    assert explained["explanation"]["words"] == 1
    weighed = (await client.post("/v1/memories/search", json=asked | {"explain": True, "alpha": 0.5})).json()["results"]
    assert weighed[0]["explanation"].keys() == {"similarity", "words", "context", "recency", "importance"}


@pytest.mark.parametrize("query", ["When did Ada move to Oslo?", "Where does Ada live now?"])
async def test_the_numbers_of_an_explanation_add_up_to_the_score(client, query):
    told = ("Ada: I moved to Oslo in May", "Bob lives in Rome", "Ada lives by the sea", "Tea, no sugar", "Oslo is cold")
    for number, content in enumerate(told * 4):
        day = f"2026-{number % 12 + 1:02}-01T00:00:00Z"
        await remember(client, content=f"{content} {number}", importance=number % 3, event_time=day)
    asked = ADA | {"query": query, "top_k": 20, "explain": True}
    results = (await client.post("/v1/memories/search", json=asked)).json()["results"]
    assert len(results) == 20
    for result in results:
        e = result["explanation"]
        relevance = (e["cue"] * (e["meaning"] + e["words"]) / 2 + e["context"]) / 2.8
        assert relevance * e["age_factor"] * e["importance_factor"] == pytest.approx(result["score"], abs=5.3e-5)
        assert e["relevance"] == pytest.approx(relevance, abs=3e-6)
        assert e["importance_factor"] == pytest.approx(1 + 0.05 * (e["importance"] - 1))
    for alpha in (0.3, 1):
        results = (await client.post("/v1/memories/search", json=asked | {"alpha": alpha})).json()["results"]
        for result in results:
            e = result["explanation"]
            total = alpha * e["similarity"] + (1 - alpha) * e["recency"]
            assert total == pytest.approx(result["score"], abs=5.3e-5)


@pytest.mark.parametrize("alpha", [None, 0.7])
async def test_a_score_that_is_shown_is_good_enough_for_a_bar_of_it(client, alpha):
    for number in range(12):
        await remember(client, content=f"Fact {number} of the boat", event_time=f"2026-01-{number + 1:02}T00:00:00Z")
    asked = ADA | {"query": "the boat of fact 7"} | ({} if alpha is None else {"alpha": alpha})
    results = (await client.post("/v1/memories/search", json=asked)).json()["results"]
    for result in results:
        barred = (await client.post("/v1/memories/search", json=asked | {"min_score": result["score"]})).json()
        assert {each["score"] for each in barred["results"]} == {
            each["score"] for each in results if each["score"] >= result["score"]
        }


async def test_metadata_of_ten_thousand_levels_is_refused(client):
    deep = '{"a":' * 10_000 + "1" + "}" * 10_000
    body = f'{{"agent_id": "guide", "user_id": "ada", "content": "x", "metadata": {deep}}}'
    answer = await client.post("/v1/memories", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    shallow = {"a": {"a": {"a": [[[[[[[[[[[[[[1]]]]]]]]]]]]]]}}}
    answer = await remember(client, metadata=shallow)
    assert answer.status_code == 422
    assert "metadata" in answer.text


async def test_when_it_happened_decides_what_since_lets_through(client):
    await remember(client, content="They met in Rome.", event_time="2020-05-01T12:00:00+02:00")
    asked = ADA | {"query": "met", "until": "2021-01-01T00:00:00Z"}
    assert (await client.post("/v1/memories/search", json=asked)).json()["total"] == 1
    asked = ADA | {"query": "met", "as_of": "2020-05-01T09:00:00Z"}
    assert (await client.post("/v1/memories/search", json=asked)).json()["total"] == 0


async def test_a_memory_may_end_after_so_many_seconds(client):
    name = (await remember(client, ttl_seconds=60)).json()["id"]
    whole = (await client.get(f"/v1/memories/{name}", params={"agent_id": "guide"})).json()
    assert whole["valid_until"] == whole["expires_at"] > whole["valid_from"]
    both = await remember(client, ttl_seconds=60, expires_at="2100-01-01T00:00:00Z")
    assert (both.status_code, both.json()["errors"][0]["pointer"]) == (422, "#/ttl_seconds")


async def test_what_follows_is_asked_for_by_cursor(client):
    for number in range(7):
        await remember(client, content=f"Fact {number}")
    asked, seen = ADA | {"query": "fact", "top_k": 3}, []
    while True:
        page = (await client.post("/v1/memories/search", json=asked)).json()
        seen += [each["content"] for each in page["results"]]
        if "next_cursor" not in page:
            break
        asked["cursor"] = page["next_cursor"]
    assert sorted(seen) == [f"Fact {number}" for number in range(7)]
    other = await client.post("/v1/memories/search", json=asked | {"query": "other"})
    assert (other.status_code, other.json()["errors"][0]["pointer"]) == (422, "#/cursor")


async def test_a_search_may_have_a_budget_and_a_bar(client):
    for number in range(7):
        await remember(client, content=f"Fact {number} " + "x" * 80)
    asked = ADA | {"query": "fact", "max_tokens": 70}
    assert (await client.post("/v1/memories/search", json=asked)).json()["total"] == 2
    assert (await client.post("/v1/memories/search", json=asked | {"top_k": 1})).json()["total"] == 1
    assert (await client.post("/v1/memories/search", json=asked | {"top_k": None})).status_code == 422
    asked = ADA | {"query": "fact", "min_score": 5}
    assert (await client.post("/v1/memories/search", json=asked)).json()["total"] == 0


async def test_what_is_known_is_told(client):
    first = (await remember(client)).json()
    again = await remember(client)
    assert again.status_code == 201
    assert again.json()["near_duplicates"] == [{"id": first["id"], "similarity": 1.0}]
    reinforced = await remember(client, user_id="bob")
    assert "near_duplicates" not in reinforced.json()
    reinforced = await remember(client, user_id="bob", on_near_duplicate="reinforce")
    assert (reinforced.status_code, reinforced.json()["importance"]) == (200, 1.25)
    assert "near_duplicates" not in reinforced.json()


async def test_a_search_shows_what_a_memory_carries(client):
    carried = {"tags": ["home"], "metadata": {"sure": True}, "event_time": "2020-05-01T10:00:00Z"}
    await remember(client, **carried)
    [found] = (await client.post("/v1/memories/search", json=ADA | {"query": "Lisbon"})).json()["results"]
    assert {name: found[name] for name in carried} == carried
    assert "expires_at" not in found


async def test_an_id_may_be_given(client):
    name = "6f1f1d9e-0000-4000-8000-000000000000"
    assert (await remember(client, id=name)).status_code == 201
    again = await remember(client, id=name)
    assert (again.status_code, again.json()["id"]) == (200, name)
    assert (await remember(client, id=name, content="other")).status_code == 409
    wrong = await remember(client, id="x")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "#/id")


async def test_an_answer_says_where_the_new_memory_is(client):
    whose = {"agent_id": "gui de/&ü", "user_id": "ada?=+"}
    body, key = whose | {"content": "Ada lives in Lisbon."}, {"Idempotency-Key": "k"}
    first, again = [await client.post("/v1/memories", json=body, headers=key) for _ in range(2)]
    assert first.headers["Location"] == again.headers["Location"]
    found = (await client.get(first.headers["Location"])).json()
    assert (found["id"], found["content"]) == (first.json()["id"], body["content"])
    assert {name: found[name] for name in whose} == whose
    known = await client.post("/v1/memories", json=body | {"id": found["id"]})
    assert (known.status_code, "Location" in known.headers) == (200, False)


async def test_a_request_sent_again_with_its_key_has_the_same_answer(client):
    key = {"Idempotency-Key": "k 1"}
    body = ADA | {"content": "Ada lives in Lisbon."}
    first, again = [await client.post("/v1/memories", json=body, headers=key) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await client.get("/v1/memories/count", params=ADA)).json()["count"] == 1
    other = await client.post("/v1/memories", json=body | {"content": "other"}, headers=key)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.text
    stranger = body | {"agent_id": "another"}
    assert (await client.post("/v1/memories", json=stranger, headers=key)).status_code == 201


async def test_a_batch_sent_again_with_its_key_has_the_same_answer(client):
    body = ADA | {"memories": [{"content": "one"}, {"content": ""}, {"content": "two"}]}
    key = {"Idempotency-Key": "k"}
    first, again = [await client.post("/v1/memories/batch", json=body, headers=key) for _ in range(2)]
    assert first.json() == again.json()
    assert (await client.get("/v1/memories/count", params=ADA)).json()["count"] == 2


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/memories", lambda text: {"content": text}),
        ("/v1/memories/batch", lambda text: {"memories": [{"content": text}]}),
    ],
)
async def test_a_key_of_yesterday_is_that_of_a_new_request(client, application, monkeypatch, path, told):
    monkeypatch.setattr(idempotency, "_KEPT", timedelta(0))
    sent = {"headers": {"Idempotency-Key": "daily report"}}
    first = await client.post(path, json=ADA | told("Monday: rain."), **sent)
    for text in ("Tuesday: sun.", "Monday: rain."):
        await application.idempotency.purge()
        answer = await client.post(path, json=ADA | told(text), **sent)
        assert (answer.status_code, "refused" in answer.text) == (first.status_code, False), answer.text
    assert (await client.get("/v1/memories/count", params=ADA)).json()["count"] == 3


async def test_of_two_requests_at_once_with_one_key_one_reinforces(client):
    await remember(client)
    body, key = ADA | {"content": "Ada lives in Lisbon.", "on_near_duplicate": "reinforce"}, {"Idempotency-Key": "k 3"}
    first, again = await asyncio.gather(*(client.post("/v1/memories", json=body, headers=key) for _ in range(2)))
    assert first.json() == again.json()
    assert first.json()["importance"] == 1.25
    etag = await client.get(f"/v1/memories/{first.json()['id']}", params={"agent_id": ADA["agent_id"]})
    assert etag.headers["ETag"].startswith('"2-')


async def test_in_a_batch_what_cannot_be_reinforced_is_kept_and_each_has_its_result(client):
    known = (await remember(client, tags=[f"a{n}" for n in range(40)])).json()
    again = {"content": known["content"], "tags": [f"b{n}" for n in range(40)]}
    body = ADA | {"memories": [{"content": "one"}, again, {"content": "two"}], "on_near_duplicate": "reinforce"}
    answer = await client.post("/v1/memories/batch", json=body)
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["kept"] * 3
    assert [like["id"] for like in results[1]["near_duplicates"]] == [known["id"]]


async def test_what_was_answered_about_a_user_goes_with_the_user(client):
    key = {"Idempotency-Key": "k 2"}
    body = ADA | {"content": "a secret"}
    await client.post("/v1/memories", json=body, headers=key)
    await client.delete("/v1/users/ada")
    assert "Idempotency-Replayed" not in (await client.post("/v1/memories", json=body, headers=key)).headers


@pytest.mark.parametrize("by", ["id", "selection"])
@pytest.mark.parametrize(
    ("path", "told"),
    [("", {"content": "a secret"}), ("/batch", {"memories": [{"content": "a secret"}, {"content": ""}]})],
)
async def test_what_is_forgotten_is_neither_told_nor_made_again_by_its_key(client, path, told, by):
    key, body = {"Idempotency-Key": "k 4"}, ADA | told
    await client.post(f"/v1/memories{path}", json=body, headers=key)
    [memory] = (await client.post("/v1/memories/list", json=ADA)).json()["memories"]
    if by == "id":
        await client.delete(f"/v1/memories/{memory['id']}", params=ADA)
    else:
        await client.post("/v1/memories/forget", json=ADA)
    again = await client.post(f"/v1/memories{path}", json=body, headers=key)
    assert (again.status_code, again.json()["type"]) == (410, "urn:agent-memory:problem:forgotten")
    assert "a secret" not in again.text
    assert (await client.get("/v1/memories/count", params=ADA)).json()["count"] == 0
    anew = await client.post(f"/v1/memories{path}", json=body, headers={"Idempotency-Key": "k 5"})
    assert "a secret" in anew.text


async def test_what_was_only_told_again_under_a_key_is_forgotten_by_it_too(client):
    known = (await remember(client)).json()
    body = ADA | {"content": known["content"], "on_near_duplicate": "reinforce"}
    sent = {"json": body, "headers": {"Idempotency-Key": "k 6"}}
    assert (await client.post("/v1/memories", **sent)).json()["id"] == known["id"]
    await client.delete(f"/v1/memories/{known['id']}", params=ADA)
    assert (await client.post("/v1/memories", **sent)).status_code == 410


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_out_of_bounds_is_refused(client, key):
    answer = await client.post("/v1/memories", json=ADA | {"content": "x"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
