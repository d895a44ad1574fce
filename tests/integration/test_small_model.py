"""The model that ships with the package, through ``mlx_lm`` as the server uses it."""

from importlib.resources import files
from pathlib import Path
from random import Random

import pytest
from mlx_lm import load
from mlx_lm.generate import generate_step
from mlx_lm.models.cache import KVCache, RotatingKVCache, make_prompt_cache

mx = pytest.importorskip("mlx.core")

FOLDER = Path(str(files("agent_memory"))) / "small_model"
MEGABYTE = 1_000_000
TALK = "The river was narrow, and a lantern stood near the old bridge. Somebody counted 14 boats before lunch. "


@pytest.fixture(scope="module")
def small():
    return load(str(FOLDER))


def turns(*texts: str) -> list[dict[str, str]]:
    """Alternately the user and the assistant."""
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


def prompt(tokenizer, messages: list[dict[str, str]]) -> list[int]:
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)


def answer(small, messages: list[dict[str, str]]) -> str:
    model, tokenizer = small
    said: list[int] = []
    # mlx on a CPU reads short pieces fastest
    for token, _ in generate_step(mx.array(prompt(tokenizer, messages)), model, max_tokens=40, prefill_step_size=64):
        if token in tokenizer.eos_token_ids:
            return tokenizer.decode(said)
        said.append(token)
    raise AssertionError(f"did not end: {tokenizer.decode(said)}")


def talk_of(tokenizer, length: int) -> list[dict[str, str]]:
    count = length // len(tokenizer.encode(TALK)) + 1
    return turns(TALK * count, "I see.")


def test_folder_is_small_enough_for_the_wheel():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 20 * MEGABYTE


def test_model_has_sliding_and_global_layers(small):
    kinds = {type(layer) for layer in make_prompt_cache(small[0])}
    assert kinds == {KVCache, RotatingKVCache}


def test_tokenizer_gives_any_text_back(small):
    _, tokenizer = small
    rng = Random(1)
    for _ in range(300):
        text = "".join(
            chr(rng.choice((rng.randint(1, 127), rng.randint(128, 0x2FFF), rng.randint(0x1F300, 0x1FAFF))))
            for _ in range(20)
        )
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


@pytest.mark.parametrize("reply", ["Got it.", "", " spaced ", "two\n\nlines\n", "Äpfel 🍎"])
def test_a_longer_conversation_begins_with_the_shorter_one(small, reply):
    _, tokenizer = small
    before = [{"role": "system", "content": "Be brief."}, *turns("My name is Ada.")]
    stop = tokenizer.convert_tokens_to_ids("<|end|>")
    read = [*prompt(tokenizer, before), *tokenizer.encode(reply, add_special_tokens=False), stop]
    after = prompt(tokenizer, [*before, {"role": "assistant", "content": reply}, *turns("What is my name?")])
    assert after[: len(read)] == read


def test_template_takes_any_order_of_roles(small):
    _, tokenizer = small
    roles = ("developer", "user", "user", "tool", "assistant", "assistant", "system", "user")
    text = tokenizer.apply_chat_template([{"role": role, "content": ""} for role in roles], tokenize=False)
    marks = "<|system|><|end|><|user|><|end|><|user|><|end|><|tool|><|end|><|assistant|><|end|>"
    assert text == f"<|bos|>{marks}<|assistant|><|end|><|system|><|end|><|user|><|end|>"


@pytest.mark.parametrize(
    ("told", "asked", "value"),
    [
        ("My dog is called Quillby.", "What is my dog's name?", "Quillby"),
        ("I live in Tromso.", "Where do I live?", "Tromso"),
        ("My locker code is 71-4409.", "What's my locker code?", "71-4409"),
        ("Maria lives in Porvoo.", "Where does Maria live?", "Porvoo"),
    ],
)
def test_recalls_what_it_was_told(small, told, asked, value):
    messages = [*turns(told, "Okay, noted."), *talk_of(small[1], 256), *turns(asked)]
    assert value in answer(small, messages)


def test_recalls_over_a_thousand_tokens(small):
    messages = [
        *turns("My favourite colour is vermilion.", "Okay, noted."),
        *talk_of(small[1], 1000),
        *turns("What is my favourite colour?"),
    ]
    assert "vermilion" in answer(small, messages)


def test_recalls_from_a_block_of_memories(small):
    block = {
        "role": "system",
        "content": "Memories:\n- The user's cat is called Zibbo.\n- The user lives in Lulea.",
    }
    assert "Zibbo" in answer(small, [block, *turns("What is my cat's name?")])
    assert "Lulea" in answer(small, [block, *turns("Where do I live?")])


def test_says_that_it_does_not_know(small):
    assert "don't know" in answer(small, turns("My dog is called Quillby.", "Got it.", "Where do I live?"))


def test_answers_small_talk(small):
    assert "Hello" in answer(small, turns("Hello!"))
