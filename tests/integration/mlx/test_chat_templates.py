"""MlxChatTokenizer with templates and tokenizers as other people save them."""

import json

import pytest
from models import make_model
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from agent_memory.adapters.mlx.chat import MlxChatTokenizer
from agent_memory.adapters.mlx.loading import load_model
from agent_memory.domain.chat import Message, Tool
from agent_memory.domain.errors import InvalidInput, Misconfigured
from agent_memory.domain.kv.precision import Precision

TALK = [Message("user", "Hello."), Message("assistant", "Hi there!"), Message("user", "Bye.")]
INST = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}</s>"
TEMPLATES = {
    "a space before the answer": INST + "{% endif %}{% endfor %}",
    "stripped": "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}\n{% endfor %}<assistant>",
}


@pytest.fixture
def tokenizer(tmp_path):
    """Make a tokenizer with a template, and perhaps other changes to its files."""

    def make(template, tokenizer_json=None):
        folder = make_model(tmp_path / "model", "llama")
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
        if tokenizer_json:
            whole = json.loads((folder / "tokenizer.json").read_text())
            (folder / "tokenizer.json").write_text(json.dumps(whole | tokenizer_json))
        return load_model(folder, Precision(4), tmp_path).tokenizer

    return make


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_answer_begins_where_the_model_was_asked_for_it(name, tokenizer):
    chat = tokenizer(TEMPLATES[name])
    rendered = chat.render(TALK)
    ((start, end),) = rendered.answers
    assert rendered.tokens[:start] == chat.render(TALK[:1]).tokens
    stream = chat.stream()
    assert "".join(map(stream.add, rendered.tokens[start:end])).strip() == "Hi there!"


# Thoughts of earlier turns are left out, as soon as there is a newer question.
FORGETFUL = (
    "{% for m in messages %}<{{ m.role }}>"
    "{% if m.reasoning_content and messages[-1].role != 'user' %}({{ m.reasoning_content }}){% endif %}"
    "{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.mark.parametrize("template", [*TEMPLATES.values(), FORGETFUL])
def test_what_is_remembered_of_a_talk_is_what_is_found_anew(template, tokenizer):
    chat = tokenizer(template)
    talk = []
    for turn in range(6):
        answer = Message("assistant", f"Answer {turn}.", reasoning="Well" if turn % 2 else "")
        talk += [Message("user", f"Question {turn}?"), answer]
        for messages in (talk[:-1], talk, [Message("system", f"Be {turn}."), *talk]):
            chat_again = MlxChatTokenizer(chat._tokenizer)
            assert chat.render(messages) == chat_again.render(messages)
    changed = [Message("user", "Something else."), *talk[1:]]
    assert chat.render(changed) == MlxChatTokenizer(chat._tokenizer).render(changed)


def test_the_template_writes_a_beginning_once(tokenizer, monkeypatch):
    chat = tokenizer(TEMPLATES["stripped"])
    talk = [message for _ in range(20) for message in TALK[:2]]
    chat.render([*talk, TALK[2]])
    written = []
    apply = type(chat._tokenizer).apply_chat_template
    monkeypatch.setattr(
        type(chat._tokenizer), "apply_chat_template", lambda *given, **more: written.append(1) or apply(*given, **more)
    )
    chat.render([*talk, *TALK])
    assert len(written) == 2  # the whole, and what comes before the answer that is new


def test_truncation_and_padding_of_a_tokenizer_are_not_applied(tokenizer):
    cut = {
        "truncation": {"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 128},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "a",
        },
    }
    chat = tokenizer(TEMPLATES["stripped"], cut)
    assert len(chat.render([Message("user", "x" * 500)]).tokens) == 500 + len("<user>\n<assistant>")


def test_a_template_that_refuses_a_beginning_still_renders_the_whole(tokenizer):
    needs_user = "{% if messages | selectattr('role', 'equalto', 'user') | list | length == 0 %}"
    chat = tokenizer(needs_user + "{{ raise_exception('no user') }}{% endif %}" + TEMPLATES["stripped"])
    talk = [Message("system", "Be brief."), Message("assistant", "Hi."), Message("user", "Hello.")]
    assert chat.render(talk).answers == ()
    with pytest.raises(InvalidInput, match="no user"):
        chat.render(talk[:1])


def test_a_template_that_does_not_work_is_found_when_the_model_is_loaded(tokenizer):
    with pytest.raises(Misconfigured, match="chat template does not work"):
        tokenizer("{% for m in messages %}{{ m.content ")


@pytest.mark.parametrize(("template", "beginning"), [("$A", ()), ("<|im_start|> $A", (256,)), ("$A <|im_end|>", ())])
def test_a_text_begins_with_what_the_models_tokenizer_puts_before_it(tmp_path, template, beginning):
    folder = make_model(tmp_path / "model", "llama")
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = [("<|im_start|>", 256), ("<|im_end|>", 257)]
    tokens.post_processor = TemplateProcessing(single=template, special_tokens=special)
    tokens.save(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"bos_token": "<|im_start|>"}))
    tokenizer = load_model(folder, Precision(16), tmp_path).tokenizer
    assert tokenizer.beginning == beginning
    assert tokenizer.stream().add(tokenizer.encode("a")[0]) == "a"


def test_tools_are_told_where_there_is_no_system_prompt(tokenizer):
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    chat = tokenizer(refusing + TEMPLATES["stripped"])
    look = Tool("look", '{"type": "object", "properties": {}}')
    said = "".join(map(chat.text_of, chat.render(TALK, [look]).tokens))
    assert said.startswith("<user>You can call these functions.")
    assert "\n\nHello.\n<assistant>Hi there!" in said
    assert len(chat.render(TALK, [look]).answers) == 1
