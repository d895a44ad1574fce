"""Administration over HTTP: which model is loaded, another one, none; and caches emptied."""

from litestar import delete, get, post
from litestar.params import JSONBody

from agent_memory.domain.errors import InvalidInput, Misconfigured
from agent_memory.entrypoints.http.admin_key import admin_only
from agent_memory.entrypoints.http.given import GivenApplication, problems
from agent_memory.entrypoints.http.wire import admin as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON
from agent_memory.settings import profiles_of

_TAGS = ["admin"]


@get("/admin/models/current", guards=[admin_only], responses=problems(401, 403), tags=_TAGS)
async def current_model(application: GivenApplication) -> wire.CurrentModel:
    """The model that is loaded, and what it runs on."""
    loaded = application.conversation
    return wire.CurrentModel(model_id=loaded.model_id if loaded else None, about=application.models.about)


@get("/admin/models/available", guards=[admin_only], responses=problems(401, 403), tags=_TAGS)
async def available_models(application: GivenApplication) -> wire.KnownModels:
    """The models that the server knows how to run well. Any other that MLX can load will do."""
    loaded = application.conversation.model_id if application.conversation else None
    known = [
        wire.KnownModel(model_id=profile.id, about=profile.about, loaded=profile.id == loaded)
        for profile in profiles_of(application.settings)
    ]
    return wire.KnownModels(models=known)


@post(
    "/admin/models/swap",
    guards=[admin_only],
    dto=StrictJSON[wire.SwapRequest],
    return_dto=None,
    status_code=200,
    responses=problems(401, 403, 409, 413),
    tags=_TAGS,
)
async def swap_model(data: JSONBody[wire.SwapRequest], application: GivenApplication) -> wire.SwapAnswer:
    """Exchange the model. Running answers may end, new requests are answered 503 until it is done; if the new model
    cannot be loaded, the one before serves again.
    """
    try:
        plan = application.plan_for(data.model_id)
    except Misconfigured as error:
        raise InvalidInput("model_id", str(error)) from error
    return wire.from_swap(await application.models.swap(plan, data.timeout_seconds))


@post(
    "/admin/models/offload",
    guards=[admin_only],
    dto=StrictJSON[wire.OffloadRequest],
    return_dto=None,
    status_code=200,
    responses=problems(401, 403, 409, 413),
    tags=_TAGS,
)
async def offload_model(data: JSONBody[wire.OffloadRequest], application: GivenApplication) -> wire.SwapAnswer:
    """Let go of the model and its memory. Until the next swap, whoever wants it is answered 503."""
    return wire.from_swap(await application.models.offload(data.timeout_seconds))


@delete("/admin/caches", status_code=200, guards=[admin_only], responses=problems(401, 403), tags=_TAGS)
async def clear_caches(application: GivenApplication) -> wire.ClearAnswer:
    """Remove every agent, and every block of the model that is loaded, in both tiers."""
    cleared = await application.upkeep.clear()
    return wire.ClearAnswer(agents=cleared.agents, blocks=cleared.blocks)
