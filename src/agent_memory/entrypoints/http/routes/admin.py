"""Administration over HTTP: which model is loaded, another one, none; caches emptied; keys; letting it run empty."""

from datetime import UTC, datetime
from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from agent_memory.bootstrap import Application
from agent_memory.domain.errors import Conflict, InvalidInput, Misconfigured
from agent_memory.entrypoints.http.admin_key import admin_only
from agent_memory.entrypoints.http.given import GivenApplication, problems
from agent_memory.entrypoints.http.wire import admin as wire
from agent_memory.entrypoints.http.wire.decoding import StrictJSON
from agent_memory.settings import profiles_of

_TAGS = ["admin"]
OfTenant = Annotated[str | None, QueryParameter(name="tenant", min_length=1, max_length=64)]


@get("/admin/models/current", guards=[admin_only], responses=problems(), tags=_TAGS)
async def current_model(application: GivenApplication) -> wire.CurrentModel:
    """The model that is loaded, and what it runs on."""
    loaded = application.conversation
    return wire.CurrentModel(model_id=loaded.model_id if loaded else None, about=application.models.about)


@get("/admin/models/available", guards=[admin_only], responses=problems(), tags=_TAGS)
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
    responses=problems(409),
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
    responses=problems(409),
    tags=_TAGS,
)
async def offload_model(data: JSONBody[wire.OffloadRequest], application: GivenApplication) -> wire.SwapAnswer:
    """Let go of the model and its memory. Until the next swap, whoever wants it is answered 503."""
    return wire.from_swap(await application.models.offload(data.timeout_seconds))


@delete("/admin/caches", status_code=200, guards=[admin_only], responses=problems(), tags=_TAGS)
async def clear_caches(application: GivenApplication) -> wire.ClearAnswer:
    """Remove every agent, and every block of the model that is loaded, in both tiers."""
    cleared = await application.upkeep.clear()
    return wire.ClearAnswer(agents=cleared.agents, blocks=cleared.blocks)


@post(
    "/admin/keys",
    guards=[admin_only],
    dto=StrictJSON[wire.NewKey],
    return_dto=None,
    responses=problems(),
    tags=_TAGS,
)
async def create_key(data: JSONBody[wire.NewKey], application: GivenApplication) -> wire.CreatedKey:
    """Make an API key. Its text is in this answer only: what is kept cannot tell it again. With the first key, every
    request needs one.
    """
    key, text = await application.keys.create(wire.to_reach(data), data.name, data.expires_at)
    return wire.from_new_key(key, text, datetime.now(UTC))


@get("/admin/keys", guards=[admin_only], responses=problems(), tags=_TAGS)
async def list_keys(application: GivenApplication, tenant: OfTenant = None) -> wire.KeysAnswer:
    """The keys of one tenant or of all, revoked and expired ones too."""
    now = datetime.now(UTC)
    return wire.KeysAnswer(keys=[wire.from_key(key, now) for key in await application.keys.listed(tenant)])


@delete("/admin/keys/{key_id:str}", status_code=200, guards=[admin_only], responses=problems(404), tags=_TAGS)
async def revoke_key(key_id: FromPath[str], application: GivenApplication) -> wire.KeyAnswer:
    """From now on it opens nothing. May be repeated."""
    return wire.from_key(await application.keys.revoke(key_id), datetime.now(UTC))


@post(
    "/admin/drain",
    guards=[admin_only],
    dto=StrictJSON[wire.DrainRequest],
    return_dto=None,
    status_code=200,
    responses=problems(409),
    tags=_TAGS,
)
async def drain(data: JSONBody[wire.DrainRequest], application: GivenApplication) -> wire.DrainAnswer:
    """Take no new requests: they are answered 503. What has begun ends as it would; the answer waits for that, and
    tells whether all of it has ended. It may be asked again.
    """
    _refuse_many(application)
    await application.draining.drain(data.timeout_seconds)
    return wire.from_draining(application.draining)


@get("/admin/drain", guards=[admin_only], responses=problems(), tags=_TAGS)
async def drain_state(application: GivenApplication) -> wire.DrainAnswer:
    """Whether the server is being drained, and what is still running."""
    return wire.from_draining(application.draining)


@post("/admin/resume", guards=[admin_only], status_code=200, responses=problems(409), tags=_TAGS)
async def resume(application: GivenApplication) -> wire.DrainAnswer:
    """Take requests again after `drain`."""
    _refuse_many(application)
    application.draining.resume()
    return wire.from_draining(application.draining)


def _refuse_many(application: Application) -> None:
    """Of several processes this request reaches one."""
    if application.settings.server.workers > 1:
        raise Conflict("a server of several processes cannot be drained by a request: end it with SIGTERM")
