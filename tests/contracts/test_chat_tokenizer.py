"""What every ChatTokenizer promises, on each of them."""

import pytest

from agent_memory.adapters.in_memory.chat import ByteChatTokenizer
from agent_memory.domain.chat import Message

TEXTS = ["plain", "  indented\n\ttwice", "Grüße, 東京 🗼👩‍👩‍👧", "a" * 400, "", "trailing space ", "a\n\nb"]


@pytest.fixture(params=["in_memory", pytest.param("mlx", marks=pytest.mark.integration)])
def tokenizer(request, tmp_path):
    if request.param == "in_memory":
        return ByteChatTokenizer()
    from models import make_model

    from agent_memory.adapters.mlx.loading import load_model
    from agent_memory.domain.kv.precision import Precision

    return load_model(make_model(tmp_path / "model", "llama"), Precision(4), tmp_path).tokenizer


def said(tokenizer, text):
    """The tokens of a text, as an answer would bring them."""
    empty = tokenizer.render([Message("user", "")]).tokens
    full = tokenizer.render([Message("user", text)]).tokens
    return full[_common(empty, full) : len(full) - _common(empty[::-1], full[::-1])]


def _common(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@pytest.mark.parametrize("text", TEXTS)
def test_a_stream_gives_the_text_of_its_tokens(tokenizer, text):
    stream = tokenizer.stream()
    assert "".join(map(stream.add, said(tokenizer, text))) + stream.finish() == text


def test_no_half_characters_are_shown(tokenizer):
    stream = tokenizer.stream()
    assert all("�" not in stream.add(token) for token in said(tokenizer, "東京🗼"))


def test_a_stop_token_has_no_text(tokenizer):
    stream = tokenizer.stream()
    assert "".join(map(stream.add, tokenizer.stop_tokens)) + stream.finish() == ""


def test_a_longer_conversation_begins_with_the_shorter(tokenizer):
    messages = [Message("system", "Be brief."), Message("user", "Hello."), Message("assistant", "Yes?")]
    short, long = tokenizer.render(messages[:2]).tokens, tokenizer.render([*messages, Message("user", "Go on.")]).tokens
    assert long[: len(short)] == short


def test_the_end_of_the_system_prompt_is_marked(tokenizer):
    one = tokenizer.render([Message("system", "Be brief."), Message("user", "Hello.")])
    two = tokenizer.render([Message("system", "Be brief."), Message("user", "Goodbye.")])
    (mark,) = one.marks
    assert one.tokens[:mark] == two.tokens[:mark]
    assert tokenizer.render([Message("user", "Hello.")]).marks == ()


def test_answers_are_told_to_the_token(tokenizer):
    said = "Grüße, yes 🗼\n  and so on"
    messages = [Message("system", "Be brief."), Message("user", "Hello."), Message("assistant", said)]
    asked = tokenizer.render(messages[:2]).tokens
    rendered = tokenizer.render(
        [*messages, Message("user", "Go on."), Message("assistant", "On."), Message("user", "?")]
    )
    (start, end), (second, _) = rendered.answers
    assert rendered.tokens[:start] == asked
    stream = tokenizer.stream()
    assert "".join(map(stream.add, rendered.tokens[start:end])) + stream.finish() == said
    assert second > end


def test_a_token_is_found_in_its_message(tokenizer):
    messages = [Message("system", "Be brief."), Message("user", "Hello."), Message("user", "Where are you?")]
    both = [*messages[:2], Message("user", "Who are you?")]
    differs = _common(tokenizer.render(messages).tokens, tokenizer.render(both).tokens)
    assert tokenizer.message_of(messages, differs) == 2
    assert tokenizer.message_of(messages, 1) == 0
    assert tokenizer.message_of(messages, 10_000) is None


@pytest.mark.parametrize("text", [text for text in TEXTS if text])
def test_plain_text_comes_back_from_its_tokens(tokenizer, text):
    stream = tokenizer.stream()
    assert "".join(map(stream.add, tokenizer.encode(text))) + stream.finish() == text
    assert not set(tokenizer.encode(text)) & tokenizer.stop_tokens
