"""OpenAI's own clients talk to the real server beyond its chat. The language model's weights are random."""

import math

import openai
import pytest

pytestmark = pytest.mark.integration

STORY = "Once upon a time there was a memory that never forgot. " * 10


def go_on(client, **options):
    return client.completions.create(
        **{"model": "default", "prompt": STORY, "max_tokens": 8, "temperature": 0} | options
    )


def test_the_second_time_the_text_is_remembered(client):
    first, second = go_on(client), go_on(client)
    assert second.choices[0].text == first.choices[0].text
    assert second.usage.prompt_tokens_details.cached_tokens == second.usage.prompt_tokens - 1


def test_streamed_and_not_streamed_go_on_alike(client):
    whole = go_on(client, echo=True).choices[0]
    with go_on(client, echo=True, stream=True) as stream:
        chunks = [choice for chunk in stream for choice in chunk.choices]
    assert "".join(choice.text for choice in chunks) == whole.text
    assert whole.text.startswith(STORY)
    assert chunks[-1].finish_reason == whole.finish_reason


async def test_the_asynchronous_client_goes_on_alike(server, client):
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as other:
        asked = {"model": "default", "prompt": STORY, "max_tokens": 8, "temperature": 0}
        assert (await other.completions.create(**asked)).choices[0].text == go_on(client).choices[0].text


def test_tokens_are_read_as_they_are(client):
    answer = go_on(client, prompt=[1, 2, 3], logprobs=2)
    assert answer.usage.prompt_tokens == 3
    told = answer.choices[0].logprobs
    assert len(told.tokens) == len(told.token_logprobs) == len(told.text_offset) > 0
    assert all(2 <= len(top) <= 3 for top in told.top_logprobs)
    with pytest.raises(openai.BadRequestError, match="10000000 is no token of this model"):
        go_on(client, prompt=[10_000_000])


def test_a_text_beyond_the_context_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError, match="context"):
        go_on(client, prompt="x" * 100_000)


def test_texts_that_mean_the_same_lie_near_each_other(client):
    texts = ["Ada moved to Lisbon.", "Ada lives in Portugal's capital.", "The oven is broken."]
    found = client.embeddings.create(model="default", input=texts)
    one, other, third = (each.embedding for each in found.data)
    likeness = [math.fsum(a * b for a, b in zip(one, each, strict=True)) for each in (other, third)]
    assert likeness[0] > likeness[1]
    assert len(one) == 384
    assert found.usage.prompt_tokens > 12


def test_the_loaded_model_can_be_got(client):
    assert client.models.retrieve("random-llama").id == "random-llama"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("maker/other")
