"""Resources and prompts, as clients of both eras meet them."""

import json
from uuid import UUID

import pytest
from mcp.shared.exceptions import MCPError
from mcp_clients import done

pytestmark = pytest.mark.integration


async def text_at(client, uri):
    [content] = (await client.read_resource(uri)).contents
    assert content.uri == uri
    return content.text


async def test_where_all_is_fixed_they_are_listed(connected, who):
    async with connected(**who) as client:
        listed = (await client.list_resources()).resources
        assert [each.uri for each in listed] == ["memory://recent", "memory://profile", "memory://stats"]
        [item] = (await client.list_resource_templates()).resource_templates
        assert item.uri_template == "memory://item/{memory_id}"


async def test_what_is_left_open_stands_in_the_template(connected, who):
    async with connected(agent_id=who["agent_id"]) as client:
        assert (await client.list_resources()).resources == []
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        assert templates[0] == "memory://{user_id}/recent"
    async with connected() as client:
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        assert templates[-1] == "memory://{agent_id}/{user_id}/item/{memory_id}"


async def test_they_hold_what_is_remembered(connected, who):
    async with connected(**who) as client:
        await done(client, "store_memory", content="Ada had soup.")
        await done(client, "store_memory", content="Ada is a cellist.", memory_type="semantic", importance=1.5)
        fact = await done(client, "store_memory", content="Ada is 40.", memory_type="semantic", tags=["age"])
        assert [line[14:] for line in (await text_at(client, "memory://recent")).splitlines()] == [
            "Ada is 40.",
            "Ada is a cellist.",
            "Ada had soup.",
        ]
        profile = await text_at(client, "memory://profile")
        assert [line[14:] for line in profile.splitlines()] == ["Ada is a cellist.", "Ada is 40."]
        stats = json.loads(await text_at(client, "memory://stats"))
        assert (stats["memories"], stats["by_type"], stats["by_tag"]) == (3, {"episodic": 1, "semantic": 2}, {"age": 1})
        item = json.loads(await text_at(client, f"memory://item/{fact['memory']['id']}"))
        assert item["content"] == "Ada is 40."


async def test_names_in_an_address_may_hold_anything(connected, who):
    odd = {"agent_id": who["agent_id"] + "/é", "user_id": "ada@example.org"}
    async with connected() as client:
        await done(client, "store_memory", **odd, content="Ada sings.")
        uri = f"memory://{who['agent_id']}%2F%C3%A9/ada%40example.org/recent"
        assert (await text_at(client, uri)).endswith("Ada sings.")


@pytest.mark.parametrize(
    "uri",
    [
        "memory://nope",
        "memory://item/nope",
        f"memory://item/{UUID(int=404)}",
        "memory://recent/more",
        "memory://",
        "file:///x",
    ],
)
async def test_what_is_not_there_is_told_so(connected, who, uri):
    async with connected(**who) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(uri)
        assert refused.value.error.code == -32602


async def test_another_users_memory_is_not_there(connected, who):
    async with connected() as anybody, connected(**who) as ada:
        bobs = await done(anybody, "store_memory", **(who | {"user_id": "bob"}), content="Bob likes tea.")
        with pytest.raises(MCPError, match="no memory"):
            await ada.read_resource(f"memory://item/{bobs['memory']['id']}")


async def test_a_prompt_brings_what_is_known(connected, who):
    async with connected(**who) as client:
        await done(client, "store_memory", content="Ada plays the cello.")
        [message] = (await client.get_prompt("recall_before_answering", {"question": "What does Ada play?"})).messages
        assert message.role == "user"
        assert "Ada plays the cello." in message.content.text
        assert message.content.text.endswith("What does Ada play?")


async def test_prompts_ask_for_what_is_left_open(connected, who):
    async with connected() as client:
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        assert [each.name for each in prompts["save_what_matters"].arguments] == ["agent_id", "user_id"]
        [message] = (await client.get_prompt("save_what_matters", who)).messages
        assert who["agent_id"] in message.content.text
        with pytest.raises(MCPError, match="user_id: is required"):
            await client.get_prompt("save_what_matters", {"agent_id": "guide"})
        with pytest.raises(MCPError, match="there is no prompt"):
            await client.get_prompt("nope", who)
