"""What is asked of a model."""

from dataclasses import dataclass, replace

from agent_memory.domain.chat import NO_TOOLS, Message, ToolUse
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.turn import Sampling
from agent_memory.domain.tenants import DEFAULT_TENANT, Reach
from agent_memory.ports.language import Grammar

_LONGEST_TOKEN = 32  # characters; some say more (blanks, dashes), and no text is made of those alone


class ContextExceeded(InvalidInput):
    """Prompt and answer have no room together; who asked may send less and try again."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """`max_tokens` None is the model's default, `seconds` None as long as the server allows. With `explain`, the end of
    the reply tells where its cached tokens came from. What is not `stored` leaves nothing behind, in no tier and not
    in the book of its `agent`, who is of the same tenant. The answer keeps to the `grammar`, or is a call. A model that
    can think does so first, unless it is asked not to. `max_tokens` that are `at_most` are cut to what the context has
    room for, else they are refused. An `announced` reply opens with `Begun`. What is `given`, text or tokens, is
    read as it is, instead of messages.
    """

    messages: tuple[Message, ...]
    sampling: Sampling
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    tenant: str = DEFAULT_TENANT
    seconds: float | None = None
    explain: bool = False
    agent: AgentName | None = None
    stored: bool = True
    grammar: Grammar | None = None
    use: ToolUse = NO_TOOLS
    thinking: bool = True
    at_most: bool = False
    announced: bool = False
    given: str | tuple[int, ...] | None = None

    @property
    def least_tokens(self) -> int:
        """A number of tokens that it surely has, told without reading it: one for each message, and for every 32
        characters. What was thought is not counted, for templates leave it out.
        """
        said = sum(len(each.content) + sum(len(call.arguments) for call in each.calls) for each in self.messages)
        tools = sum(len(tool.parameters) + len(tool.description) for tool in self.use.tools)
        given = len(self.given) if isinstance(self.given, str) else 0
        return max(len(self.messages), (said + tools + given) // _LONGEST_TOKEN)

    def within(self, reach: Reach) -> "Prompt":
        """The same of another caller, whose tenant's blocks alone it finds. Raises Forbidden for an agent beyond."""
        agent_id = reach.agent(None if self.agent is None else self.agent.id)
        agent = None if agent_id is None else AgentName(reach.tenant, agent_id)
        return replace(self, tenant=reach.tenant, agent=agent)
