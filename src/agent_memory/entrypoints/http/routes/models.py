"""Which model is loaded."""

from pathlib import Path

from litestar import get
from litestar.params import FromPath

from agent_memory.entrypoints.http.given import GivenApplication, openai_errors
from agent_memory.entrypoints.http.loaded import conversation_with
from agent_memory.entrypoints.http.wire import models as wire


@get("/v1/models", responses=openai_errors(), tags=["chat"], summary="List models")
async def list_models(application: GivenApplication) -> wire.ModelList:
    """The model that is loaded."""
    return wire.from_conversations(application.conversation)


@get("/v1/models/{model_id:path}", responses=openai_errors(), tags=["chat"], summary="Get a model")
async def get_model(model_id: FromPath[Path], application: GivenApplication) -> wire.Model:
    """The model that is loaded, if it is this one; its id may hold slashes."""
    return wire.from_conversation(conversation_with(str(model_id).removeprefix("/"), application))
