"""OpenAI's own client talks to the real server. The weights are random, so only the form of answers is known."""

import json

import openai
import pytest

pytestmark = pytest.mark.integration
NEVER_ENDS = {"257": -100}  # the token that would end an answer

STORY = [{"role": "user", "content": "Once upon a time there was a memory that never forgot. " * 10}]


def ask(client, **options):
    asked = {"model": "default", "messages": STORY, "max_tokens": 8, "temperature": 0} | options
    return client.chat.completions.create(**asked)


def test_the_model_list_has_the_folder_it_was_started_with(client):
    assert [model.id for model in client.models.list()] == ["random-llama"]


def test_the_second_time_the_prompt_is_remembered(client):
    first, second = ask(client), ask(client)
    assert second.choices[0].message.content == first.choices[0].message.content
    assert second.usage.prompt_tokens_details.cached_tokens >= second.usage.prompt_tokens - 1
    assert second.usage.completion_tokens <= 8


def test_streamed_and_not_streamed_say_the_same(client):
    whole = ask(client).choices[0]
    with ask(client, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.message.content
    assert chunks[-2].choices[0].finish_reason == whole.finish_reason
    assert chunks[-1].usage.prompt_tokens > 500


def test_a_seed_makes_an_answer_repeatable(client):
    answers = [ask(client, temperature=1, seed=7).choices[0].message.content for _ in range(2)]
    assert answers[0] == answers[1]


def test_a_prompt_beyond_the_context_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError, match="context"):
        ask(client, messages=[{"role": "user", "content": "x" * 100_000}])


def test_a_miss_is_explained_where_it_is_asked_for(client):
    told = [{"role": "system", "content": "You keep a diary. " * 20}, {"role": "user", "content": "What is new?"}]
    ask(client, messages=told)
    other = [told[0], {"role": "user", "content": "What was old?"}]
    answer = ask(client, messages=other, extra_body={"x_cache": True})
    report, usage = answer.model_extra["x_cache"], answer.usage
    assert report["memory_tokens"] + report["disk_tokens"] == usage.prompt_tokens_details.cached_tokens > 100
    assert report["computed_tokens"] == usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens
    assert report["first_difference"]["message"] == 1
    assert report["first_difference"]["token"] == report["known_tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_takes_too_long_is_a_timeout(client, stream):
    with pytest.raises(openai.APIError, match="in the time that the request") as caught:
        endless = {"max_tokens": 5000, "temperature": 1, "logit_bias": NEVER_ENDS}
        list(ask(client, **endless, stream=stream, extra_headers={"X-Request-Timeout": "0.2"}))
    assert caught.value.code == "deadline_exceeded"


def test_a_timeout_that_is_no_number_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError, match="X-Request-Timeout: must be a number of seconds"):
        ask(client, extra_headers={"X-Request-Timeout": "soon"})


def test_log_probabilities_are_told_for_each_token(client):
    choice = ask(client, logprobs=True, top_logprobs=2).choices[0]
    assert len(choice.logprobs.content) in (7, 8)  # 7 and the end
    for token in choice.logprobs.content:
        assert token.logprob == token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob
    with ask(client, logprobs=True, stream=True) as stream:
        streamed = [t for c in stream for choice in c.choices if choice.logprobs for t in choice.logprobs.content]
    assert [t.token for t in streamed] == [t.token for t in choice.logprobs.content]
    assert [t.logprob for t in streamed] == pytest.approx([t.logprob for t in choice.logprobs.content], abs=1e-3)


def test_choices_are_told_apart(client):
    answer = ask(client, n=3, temperature=1, seed=3)
    texts = [choice.message.content for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len(set(texts)) == 3
    with ask(client, n=3, temperature=1, seed=3, stream=True) as stream:
        parts = [(c.index, c.delta.content or "") for chunk in stream for c in chunk.choices]
    assert ["".join(text for index, text in parts if index == n) for n in range(3)] == texts


def test_a_schema_is_kept_to(client):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    schema["additionalProperties"] = False
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    for seed in range(5):
        answer = ask(client, response_format=wanted, max_tokens=50, temperature=1, seed=seed).choices[0]
        assert answer.finish_reason == "stop"
        assert json.loads(answer.message.content).keys() == {"ok"}


def test_a_schema_that_is_none_is_a_bad_request(client):
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "strin"}}}
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, response_format=wanted)
    assert caught.value.param == "response_format.json_schema.schema"


def test_a_bias_on_no_token_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError, match="logit_bias: 99999999 is no token of this model"):
        ask(client, logit_bias={"99999999": 1})


def test_a_client_that_leaves_leaves_nothing_running(client, server):
    with ask(client, stream=True, max_tokens=5000, temperature=1) as stream:
        next(iter(stream))
    server.wait_for_no_turn()
