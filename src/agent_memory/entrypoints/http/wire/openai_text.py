"""OpenAI's older completions: text, or tokens, that the model goes on with, without a template around it."""

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_memory.application.conversation import Prompt
from agent_memory.application.replies import Finish, Token
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.turn import Sampling
from agent_memory.entrypoints.http.wire.openai.answers import CachedDetails, CompletionDetails, Usage
from agent_memory.entrypoints.http.wire.openai.chat import MAX_CHOICES, StopText, StreamOptions, biases, choices_of
from agent_memory.settings import ModelPlan

Given = str | tuple[int, ...]
MaybeUsage = Usage | UnsetType | None

_MAX_TOKENS = 16  # where the request does not say: OpenAI's own


class CompletionRequest(Struct, kw_only=True):
    prompt: str | list[str | Annotated[int, Meta(ge=0)] | list[Annotated[int, Meta(ge=0)]]]
    model: str = "default"
    best_of: Annotated[int, Meta(ge=1)] | None = None
    echo: bool | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: StopText | Annotated[list[StopText], Meta(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | None = None
    # beyond OpenAI's own, as other servers have them
    top_k: Annotated[int, Meta(ge=-1)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0, le=10)] | None = None
    # ours
    no_store: bool | None = None


class TextLogprobs(Struct):
    """One entry for each token. `text_offset` is where in the choice's text it begins, in characters."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(Struct):
    text: str
    index: int
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: TextLogprobs | None = None


class TextCompletion(Struct, kw_only=True):
    """Whole, or one chunk of a stream."""

    id: str
    created: int
    model: str
    choices: list[TextChoice]
    usage: MaybeUsage = UNSET
    object: Literal["text_completion"] = "text_completion"


def to_prompts(
    request: CompletionRequest, plan: ModelPlan, tenant: str, seconds: float | None, agent: AgentName | None
) -> list[Prompt]:
    """All choices of the first text, then all of the second."""
    _refuse_what_we_cannot(request)
    count = request.n or 1
    given = _given(request.prompt)
    if len(given) * count > MAX_CHOICES:
        raise InvalidInput("prompt", f"{len(given)} prompts of {count} choices: at most {MAX_CHOICES} choices at once")
    sampling = Sampling(
        temperature=plan.temperature if request.temperature is None else request.temperature,
        top_p=plan.top_p if request.top_p is None else request.top_p,
        seed=request.seed,
        top_k=max(0, request.top_k or 0),
        min_p=request.min_p or 0.0,
        repetition_penalty=request.repetition_penalty or 1.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        presence_penalty=request.presence_penalty or 0.0,
        logit_bias=biases(request.logit_bias or {}),
        logprobs=request.logprobs,
    )
    named = agent or (AgentName.of(tenant, request.user, "user") if request.user else None)
    return [
        choice
        for each in given
        for choice in choices_of(
            Prompt(
                (),
                sampling,
                request.max_tokens or _MAX_TOKENS,
                (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
                tenant=tenant,
                seconds=seconds,
                agent=named,
                stored=request.no_store is not True,
                given=each,
            ),
            count,
        )
    ]


def logprobs_of(tokens: Sequence[Token], start: int) -> TextLogprobs | None:
    """`start` is how much text came before, in characters."""
    if not tokens:
        return None
    offsets = []
    for token in tokens:
        offsets.append(start)
        start += len(token.said.text)
    return TextLogprobs(
        [token.said.text for token in tokens],
        [token.said.logprob for token in tokens],
        [{each.text: each.logprob for each in (*token.likeliest, token.said)} for token in tokens],
        offsets,
    )


def reason_of(finish: Finish) -> Literal["stop", "length"]:
    return "length" if finish.reason == "length" else "stop"


def usage_of(finishes: Sequence[Finish], count: int) -> Usage:
    """Each text is read once, however many choices it has; what was cached is what the first of them found."""
    texts = [finishes[start : start + count] for start in range(0, len(finishes), count)]
    prompt = sum(choices[0].prompt_tokens for choices in texts)
    cached = sum(min(choice.cached_tokens for choice in choices) for choices in texts)
    completion = sum(finish.completion_tokens for finish in finishes)
    thought = sum(finish.reasoning_tokens for finish in finishes)
    return Usage(prompt, completion, prompt + completion, CachedDetails(cached), CompletionDetails(thought))


def _given(prompt: str | Sequence[str | int | list[int]]) -> list[Given]:
    """Its texts; numbers are the tokens of one text."""
    if isinstance(prompt, str):
        return [_filled(prompt, "prompt")]
    numbers = [each for each in prompt if isinstance(each, int)]
    if numbers and len(numbers) == len(prompt):
        return [tuple(numbers)]
    if numbers:
        raise InvalidInput("prompt", "must be a text, tokens, or a list of either; numbers and texts are mixed")
    if not prompt:
        raise InvalidInput("prompt", "is empty")
    texts = [tuple(each) if isinstance(each, list) else each for each in prompt if not isinstance(each, int)]
    return [_filled(each, f"prompt[{number}]") for number, each in enumerate(texts)]


def _filled(given: Given, field: str) -> Given:
    if not given:
        raise InvalidInput(field, "is empty")
    return given


def _refuse_what_we_cannot(request: CompletionRequest) -> None:
    if request.suffix:
        raise InvalidInput("suffix", "is not supported by this server: its models only go on after a text")
    if request.best_of is not None and request.best_of != (request.n or 1):
        raise InvalidInput("best_of", "must be n: this server shows every choice that it makes")
    if request.echo and request.logprobs is not None:
        raise InvalidInput("logprobs", "of a prompt are not told: leave out echo or logprobs")
