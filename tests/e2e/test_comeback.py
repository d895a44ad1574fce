"""An agent chats, the server is killed, the agent comes back: it is remembered to the token, and answers the same."""

import signal
import time
from functools import partial

import httpx
import pytest
from models import make_model

# Of each way to remember one: all keys and values, those of a window, with sinks, latent ones with an index, a state
# beside them, a state alone, a state and a window. All the others: `tests/integration/mlx/test_parity.py`.
KINDS = ["llama", "gemma3_text", "gpt_oss", "deepseek_v32", "qwen3_next", "mamba2", "recurrent_gemma"]
LONG = "Tell me about the harbour, the market and the three bridges, one after the other. " * 12


def ask(server, messages, **options):
    body = {"model": "default", "messages": messages, "temperature": 0, "max_tokens": 24, **options}
    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


def text_of(answer):
    return answer["choices"][0]["message"]["content"]


def cached(answer):
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_server_remembers_the_conversation_to_the_token(kind, start, tmp_path):
    model = make_model(tmp_path / kind, kind)
    again = partial(start, tmp_path / "data", "--model", str(model), SEMANTIC_ADMIN_KEY="sesame")
    server = again().wait_ready()
    messages = [{"role": "system", "content": "You are a guide."}, {"role": "user", "content": LONG}]
    for question in ("And the castle?", "Where do I eat?"):
        last = ask(server, messages)
        messages += [{"role": "assistant", "content": text_of(last)}, {"role": "user", "content": question}]
    last = ask(server, messages)
    time.sleep(1)
    server.signal(signal.SIGKILL)
    server.wait()

    messages += [{"role": "assistant", "content": text_of(last)}, {"role": "user", "content": "Thank you. And now?"}]
    server = again().wait_ready()
    back = ask(server, messages)
    server.wait_for_no_turn()  # what a turn stands on would stay
    emptied = httpx.delete(f"{server.url}/admin/caches", headers={"X-Admin-Key": "sesame"})
    assert emptied.status_code == 200, emptied.text
    anew = ask(server, messages)
    assert cached(back) >= last["usage"]["prompt_tokens"] - 1
    assert cached(anew) == 0
    assert text_of(back) == text_of(anew)


def test_streamed_text_is_the_text_that_is_not_streamed(start, tmp_path):
    model = make_model(tmp_path / "llama", "llama")
    server = start(tmp_path / "data", "--model", str(model)).wait_ready()
    messages = [{"role": "user", "content": "Grüße aus 東京 🗼\n\tindented"}]
    whole = ask(server, messages, temperature=0.9, seed=11, max_tokens=60)
    body = {"messages": messages, "temperature": 0.9, "seed": 11, "max_tokens": 60, "stream": True, "model": "default"}
    pieces = []
    with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                choices = httpx.Response(200, content=line[6:]).json()["choices"]
                pieces += [choice["delta"].get("content") or "" for choice in choices]
    assert "".join(pieces) == text_of(whole)


def test_a_client_that_leaves_frees_its_place(start, tmp_path):
    model = make_model(tmp_path / "llama", "llama")
    server = start(tmp_path / "data", "--model", str(model)).wait_ready()
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 20_000, "stream": True, "model": "default"}
    for _ in range(4):
        with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body, timeout=60) as answer:
            next(answer.iter_lines())
    assert text_of(ask(server, [{"role": "user", "content": "still there?"}])) is not None
    server.wait_for_no_turn()
