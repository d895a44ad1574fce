"""What the tests of MCP share: the eras of its protocol, a user who can be asked, tools that do their work or not."""

import mcp_types as types

ERAS = {"handshake": "legacy", "stateless": "auto"}


class User:
    """Whom a client asks: answers what it is told to, and keeps what it was asked."""

    def __init__(self, action="accept", **content) -> None:
        self.answer = types.ElicitResult(action=action, content=content or None)
        self.asked = []

    async def __call__(self, context, params) -> types.ElicitResult:
        self.asked.append(params.message)
        return self.answer


async def done(client, tool, **arguments):
    """The structured answer of a tool that does its work."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content[0].text
    return answer.structured_content


async def refusal(client, tool, **arguments):
    """What a tool says that does not."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    [content] = answer.content
    return content.text
