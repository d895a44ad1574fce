"""Several memories are deleted only when the user agrees: asked where the client can ask, told where it cannot."""

import pytest
from mcp_clients import User, done, refusal

pytestmark = pytest.mark.integration


@pytest.fixture
def filled(connected, who):
    """Five memories, two of them of home; their ids."""

    async def fill():
        async with connected() as client:
            return [
                (await done(client, "store_memory", **who, content=f"fact {n}", tags=["home"] * (n < 2)))["memory"][
                    "id"
                ]
                for n in range(5)
            ]

    return fill


async def left(connected, who):
    async with connected() as client:
        return (await done(client, "count_memories", **who))["count"]


async def test_one_needs_no_agreement(connected, who, filled):
    [first, *_], user = await filled(), User("decline")
    async with connected(user) as client:
        assert (await done(client, "delete_memory", **who, memory_id=first))["deleted"] == 1
        assert (await done(client, "delete_memory", **who, memory_ids=[first, first])) == {
            "deleted": 0,
            "agreed": True,
            "missing": [first],
        }
    assert user.asked == []


@pytest.mark.parametrize("how", ["memory_ids", "where"])
async def test_several_go_when_the_user_agrees(connected, who, filled, how):
    ids, user = await filled(), User(agree=True)
    async with connected(user) as client:
        given = {"memory_ids": ids[:2]} if how == "memory_ids" else {"where": {"tags": ["home"]}}
        assert (await done(client, "delete_memory", **who, **given))["deleted"] == 2
    [question] = user.asked
    assert "Delete 2 memories" in question
    assert await left(connected, who) == 3


@pytest.mark.parametrize("answer", [User("decline"), User("cancel"), User("accept", agree=False), User("accept")])
@pytest.mark.parametrize("confirm", [False, True])
async def test_nothing_goes_when_the_user_does_not(connected, who, filled, answer, confirm):
    """What a model says in the user's name does not count where the user can be asked."""
    await filled()
    async with connected(answer) as client:
        given = await done(client, "delete_memory", **who, where={}, confirm=confirm)
        assert (given["deleted"], given["agreed"]) == (0, False)
    assert await left(connected, who) == 5


async def test_where_nobody_can_be_asked_the_call_has_to_say_so(connected, who, filled):
    ids = await filled()
    async with connected() as client:
        for given in ({"where": {"tags": ["home"]}}, {"memory_ids": ids[:2]}):
            told = await refusal(client, "delete_memory", **who, **given)
            assert told.startswith("confirm: must be true to go on: Delete 2 memories")
        assert await left(connected, who) == 5
        assert (await done(client, "delete_memory", **who, where={"tags": ["home"]}, confirm=True))["deleted"] == 2
    assert await left(connected, who) == 3


async def test_nobody_is_asked_about_nothing(connected, who, filled):
    await filled()
    user = User(agree=True)
    async with connected(user) as client:
        assert (await done(client, "delete_memory", **who, where={"tags": ["away"]}))["deleted"] == 0
    assert user.asked == []


async def test_a_condition_needs_a_user(connected, who):
    async with connected() as client:
        told = await refusal(client, "delete_memory", agent_id=who["agent_id"], where={}, confirm=True)
        assert told.startswith("user_id: is required with where")


@pytest.mark.parametrize("era", ["auto"])  # before, the call itself waits for the answer
async def test_an_agreement_holds_for_what_was_asked_only(connected, who, filled):
    """Between the question and the answer there are more: who asks again from the start is asked about those."""
    await filled()
    async with connected(User(agree=True)) as client:
        call = {"name": "delete_memory", "arguments": {**who, "where": {}}}
        asked = await client.session.call_tool(**call, allow_input_required=True)
        [(name, question)] = asked.input_requests.items()
        assert "Delete 5 memories" in question.params.message
        await done(client, "store_memory", **who, content="one more")
        answers = {name: User(agree=True).answer}
        again = await client.session.call_tool(**call, input_responses=answers, allow_input_required=True)
        [(_, question)] = again.input_requests.items()
        assert "Delete 6 memories" in question.params.message
    assert await left(connected, who) == 6
