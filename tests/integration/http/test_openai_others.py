"""OpenAI's older completions, embeddings and model list, on parts that say what they are told to."""

import json
import struct
from base64 import b64decode

import pytest

from agent_memory.application.replies import Delta, Finish, Likelihood, Token
from agent_memory.domain.errors import GenerationFailed, Overloaded

TEXT, EMBED = "/v1/completions", "/v1/embeddings"
ONCE = {"model": "default", "prompt": "Once"}


def events(text):
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def token(text, logprob=-0.5):
    return Token(Likelihood(text, logprob), (Likelihood("else", -1.0),))


async def test_a_text_is_gone_on_with(client, conversation):
    told = (await client.post(TEXT, json=ONCE)).json()
    assert (told["object"], told["model"]) == ("text_completion", "scripted")
    assert told["choices"] == [{"text": "Hello", "index": 0, "finish_reason": "stop", "logprobs": None}]
    assert told["usage"]["prompt_tokens_details"] == {"cached_tokens": 8}
    [prompt] = conversation.prompts
    assert (prompt.given, prompt.messages, prompt.max_tokens) == ("Once", (), 16)


@pytest.mark.parametrize(
    ("prompt", "given"),
    [
        ("Once", ["Once"]),
        (["Once", "Twice"], ["Once", "Twice"]),
        ([5, 6], [(5, 6)]),
        ([[5, 6], [7]], [(5, 6), (7,)]),
    ],
)
async def test_a_prompt_is_text_or_tokens_or_a_list_of_them(client, conversation, prompt, given):
    told = (await client.post(TEXT, json={"prompt": prompt})).json()
    assert [each.given for each in conversation.prompts] == given
    assert [choice["index"] for choice in told["choices"]] == list(range(len(given)))
    assert told["usage"]["prompt_tokens"] == 12 * len(given)


async def test_choices_of_a_text_stand_together_and_share_its_reading(client, conversation):
    told = (await client.post(TEXT, json={"prompt": ["a", "b"], "n": 2, "seed": 7})).json()
    assert [each.given for each in conversation.prompts] == ["a", "a", "b", "b"]
    assert [each.sampling.seed for each in conversation.prompts] == [7, 8, 7, 8]
    assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (24, 8)


@pytest.mark.parametrize("prompt", ["Once", [1, 2]])
async def test_an_echo_shows_the_prompt_first(client, prompt):
    asked = {"prompt": prompt, "echo": True}
    whole = (await client.post(TEXT, json=asked)).json()["choices"][0]["text"]
    assert whole == ("Once" if prompt == "Once" else "[1, 2]") + "Hello"
    chunks = events((await client.post(TEXT, json=asked | {"stream": True})).text)
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == whole


async def test_a_stream_ends_with_the_reason_and_the_usage_if_asked_for(gpt, conversation):
    conversation.script = ["Hel", "lo", Finish("length", 12, 8, 2)]
    stream = await gpt.completions.create(**ONCE, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert [chunk.choices[0].text for chunk in chunks[:-1]] == ["Hel", "lo", ""]
    assert chunks[-2].choices[0].finish_reason == "length"
    assert (chunks[-1].choices, chunks[-1].usage.prompt_tokens) == ([], 12)


@pytest.mark.parametrize("stream", [False, True])
async def test_log_probabilities_say_where_their_tokens_begin(client, conversation, stream):
    conversation.script = [Delta("Hel", (token("He"), token("l"))), Delta("lo", (token("lo", -0.25),))]
    answer = await client.post(TEXT, json=ONCE | {"logprobs": 1, "stream": stream})
    parts = events(answer.text) if stream else [answer.json()]
    told = [part["choices"][0]["logprobs"] for part in parts if part["choices"][0]["logprobs"]]
    assert [offset for each in told for offset in each["text_offset"]] == [0, 2, 3]
    assert [text for each in told for text in each["tokens"]] == ["He", "l", "lo"]
    assert told[-1]["top_logprobs"][-1] == {"else": -1.0, "lo": -0.25}
    assert conversation.prompts[0].sampling.logprobs == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"echo": True, "logprobs": 1}, "logprobs"),
        ({"logprobs": 6}, "logprobs"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a", 1]}, "prompt"),
        ({"prompt": [[1], []]}, "prompt[1]"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": ["a"] * 9, "n": 2}, "prompt"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
async def test_a_wrong_field_is_named_in_openais_shape(client, fields, param):
    answer = await client.post(TEXT, json=ONCE | fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_errors_are_statuses_until_a_stream_has_begun(client, conversation):
    conversation.script = [Overloaded("32 turns wait already", 3)]
    assert (await client.post(TEXT, json=ONCE | {"stream": True})).status_code == 429
    conversation.script = ["Hel", GenerationFailed("the model failed")]
    answer = await client.post(TEXT, json=ONCE | {"stream": True})
    assert events(answer.text)[-1]["error"]["type"] == "server_error"


async def test_embeddings_are_unit_vectors_in_either_format(gpt, client):
    found = await gpt.embeddings.create(model="default", input=["Ada lives in Lisbon.", "x"])
    assert [each.index for each in found.data] == [0, 1]
    assert sum(value * value for value in found.data[0].embedding) == pytest.approx(1, abs=1e-5)
    assert (found.model, found.usage.prompt_tokens) == ("hashing-384", 5)
    packed = (await client.post(EMBED, json={"input": "x", "encoding_format": "base64"})).json()["data"][0]["embedding"]
    assert list(struct.unpack("<384f", b64decode(packed))) == pytest.approx(found.data[1].embedding)


async def test_embeddings_have_the_dimensions_of_their_model(client):
    assert (await client.post(EMBED, json={"input": "x", "dimensions": 384})).status_code == 200
    answer = await client.post(EMBED, json={"input": "x", "dimensions": 256})
    assert answer.json()["error"]["message"] == "dimensions: hashing-384 has 384, and cannot have others"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["x", ""]}, "input[1]"),
        ({"input": [1, 2]}, "input"),
        ({"input": [[1, 2]]}, "input"),
        ({"input": ["x", None]}, "input[1]"),
        ({"input": ["x"] * 2049}, "input"),
        ({"model": "ada"}, "model"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
async def test_a_wrong_field_of_embeddings_is_named(client, fields, param):
    answer = await client.post(EMBED, json={"input": "x"} | fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_the_loaded_model_is_listed_and_got_for_both_dialects(client):
    told = (await client.get("/v1/models")).json()
    assert (told["object"], told["has_more"], told["first_id"]) == ("list", False, "scripted")
    [model] = told["data"]
    assert (model["object"], model["type"], model["display_name"]) == ("model", "model", "scripted")
    assert model["created_at"].startswith("2023-11-14")
    assert (await client.get("/v1/models/scripted")).json() == model


async def test_another_model_is_not_found_in_the_clients_own_shape(client):
    assert (await client.get("/v1/models/maker/other")).json()["error"]["code"] == "model_not_found"
    answer = await client.get("/v1/models/maker/other", headers={"anthropic-version": "2023-06-01"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
