"""Asking the user for a yes, in both eras of the protocol.

Since 2026-07-28 a tool answers that input is required, and the client calls again with the user's answer; before, the
server asked the client while the call waited. What was asked is in the name that the answer comes back under: an
answer to another question, about another number of memories, is none.
"""

from hashlib import sha256

import anyio
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp_types import (
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestedSchema,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from agent_memory.entrypoints.mcp.calling import Call

_PATIENCE = 300.0  # seconds that a user may think, where a call waits for them


async def agreement(call: Call, question: str) -> bool | InputRequiredResult | None:
    """Whether the user agrees; None: this client has no way to ask. Otherwise what the client is to be answered."""
    session = call.context.session
    if not _can_ask(session.client_capabilities):
        return None
    if call.context.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return _answered(call, question)
    if not session.can_send_request:
        return None
    try:
        with anyio.fail_after(_PATIENCE):
            return _agreed(await session.elicit_form(question, _form(question), call.context.request_id))
    except TimeoutError:
        return False
    except (MCPError, NoBackChannelError):
        return None


def _answered(call: Call, question: str) -> bool | InputRequiredResult:
    name = f"agreed-{sha256(question.encode()).hexdigest()[:16]}"
    answer = (call.answers or {}).get(name)
    if isinstance(answer, ElicitResult):
        return _agreed(answer)
    asked = ElicitRequest(params=ElicitRequestFormParams(message=question, requested_schema=_form(question)))
    return InputRequiredResult(input_requests={name: asked})


def _can_ask(capabilities: ClientCapabilities | None) -> bool:
    elicitation = capabilities.elicitation if capabilities else None
    # Until 2025-06-18 there were only forms, and nobody said so.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _agreed(answer: ElicitResult) -> bool:
    return answer.action == "accept" and (answer.content or {}).get("agree") is True


def _form(question: str) -> ElicitRequestedSchema:
    field = {"type": "boolean", "title": "Agree", "description": question}
    return {"type": "object", "properties": {"agree": field}, "required": ["agree"]}
