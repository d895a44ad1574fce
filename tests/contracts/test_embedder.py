"""What every `Embedder` promises."""

import asyncio
import math
from functools import partial

import pytest
from sentence_models import make_sentence_model, make_static_model

from agent_memory.adapters.in_memory.embedder import HashingEmbedder
from agent_memory.adapters.onnx import embedder as onnx

TEXTS = [
    "She lives in Oslo.",
    "",
    "x",
    "He plays the cello on Sundays, badly.",
    "東京に住んでいます",
    "💥",
    "a " * 4000,
]


PROMPTED = {"prompts": {"told": "the law is the law: "}, "default_prompt_name": "told"}
MODELS = {
    "sentence_transformer": make_sentence_model,
    "prompted": partial(make_sentence_model, **PROMPTED),
    "asking": partial(make_sentence_model, prompts={"query": "is the law: ", "passage": "the cat: "}),
    "static": make_static_model,
}


@pytest.fixture(scope="session")
def sentence_models(tmp_path_factory):
    pytest.importorskip("sentence_transformers", reason="an optional extra")
    return {name: str(make(tmp_path_factory.mktemp(name))) for name, make in MODELS.items()}


@pytest.fixture(
    params=[
        "hashing",
        pytest.param("onnx", marks=pytest.mark.integration),
        pytest.param("sentence_transformer", marks=pytest.mark.integration),
        pytest.param("prompted", marks=pytest.mark.integration),
        pytest.param("asking", marks=pytest.mark.integration),
        pytest.param("static", marks=pytest.mark.integration),
    ]
)
async def embedder(request):
    if request.param == "hashing":
        yield HashingEmbedder()
    elif request.param in MODELS:
        model = request.getfixturevalue("sentence_models")[request.param]
        from agent_memory.adapters.sentence_transformer import embedder as sentence_transformer

        async with sentence_transformer.opened(model) as opened:
            yield opened
    else:
        async with onnx.opened(request.getfixturevalue("models_dir")) as opened:
            yield opened


def cosine(one, other):
    return math.fsum(a * b for a, b in zip(one.vector, other.vector, strict=True))


async def test_gives_a_unit_vector_for_any_text_that_tells_something(embedder):
    for text, embedding in zip(TEXTS, await embedder.embed(TEXTS), strict=True):
        assert len(embedding.vector) == embedder.dimension
        nothing = not text and not any(embedding.vector)
        assert nothing or cosine(embedding, embedding) == pytest.approx(1, abs=1e-5)


async def test_counts_what_it_reads(embedder):
    alone = [await embedder.count([text]) for text in TEXTS]
    assert await embedder.count(TEXTS) == sum(alone)
    assert alone[-1] >= 4000
    assert min(alone) > 0
    assert await embedder.count([]) == 0


async def test_names_the_model_on_every_vector(embedder):
    assert {e.model for e in await embedder.embed(TEXTS)} == {embedder.model}


async def test_a_question_may_have_another_vector_and_is_not_taken_for_another_text(embedder, request):
    apart = "asking" in request.node.name
    text = "the cat sleeps on the sofa"
    [told], [asked] = await asyncio.gather(embedder.embed([text]), embedder.embed([text], asked=True))
    assert (told != asked) == apart
    assert (await embedder.embed([text]), await embedder.embed([text], asked=True)) == ([told], [asked])
    assert (asked.model, asked.dimension) == (embedder.model, embedder.dimension)


async def test_gives_nothing_for_nothing(embedder):
    assert await embedder.embed([]) == []


async def test_the_same_text_gives_the_same_vector_in_any_company(embedder):
    together = await embedder.embed([f"{text} again" for text in TEXTS])
    at_once = await asyncio.gather(*(embedder.embed([f"{text} again"]) for text in TEXTS))
    for one, [other] in zip(together, at_once, strict=True):
        assert cosine(one, other) == pytest.approx(1, abs=1e-5)


async def test_answers_in_order_with_repeats(embedder):
    one, two, three = await embedder.embed(["apple", "pear", "apple"])
    assert one == three
    assert one != two


async def test_the_end_of_a_long_text_counts(embedder):
    start = "The weather was fine and we walked along the river. " * 60
    one, other = await embedder.embed([start + "Then we bought a zebra.", start + "Then the tax office burned down."])
    assert one != other


async def test_every_token_counts_wherever_a_window_ends(embedder):
    """One after another the words near the end of what is read at once."""
    for length in range(15, 40):
        texts = [" ".join(["cat"] * length + [last]) for last in ("tax", "sofa")]
        one, other = await embedder.embed(texts)
        assert one != other, length
    one, other = await embedder.embed(["x" * 90 + "y", "x" * 90 + "z"])  # one word, in pieces
    assert one != other


async def test_texts_that_share_words_are_nearer(embedder):
    cat, kitten, tax = await embedder.embed(
        ["the cat sleeps on the sofa", "a cat is on the sofa", "corporate tax law of 1987"]
    )
    assert cosine(cat, kitten) > cosine(cat, tax) + 0.2


async def test_a_caller_who_gives_up_does_not_harm_another(embedder):
    first = asyncio.create_task(embedder.embed(["shared text, asked twice"]))
    second = asyncio.create_task(embedder.embed(["shared text, asked twice"]))
    await asyncio.sleep(0)
    first.cancel()
    [embedding] = await second
    assert len(embedding.vector) == embedder.dimension
