"""The model under examination, run by ``mlx_lm``, and conversations it can be questioned in."""

import copy
from collections.abc import Iterator
from pathlib import Path
from random import Random

import mlx.core as mx
from mlx_lm import load
from mlx_lm.models.cache import make_prompt_cache

from . import small_talk

Exchange = list[dict[str, str]]


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


class Student:
    """The model under examination, with the KV cache held at 16 or 4 bits."""

    def __init__(self, folder: Path, bits: int) -> None:
        self.model, self.tokenizer = load(str(folder))
        self.model.set_dtype(mx.float32)  # the same weights; mlx on a CPU is faster with them
        self.bits = bits

    def tokens(self, messages: Exchange, *, prompt: bool) -> list[int]:
        return self.tokenizer.apply_chat_template(messages, add_generation_prompt=prompt, return_dict=False)

    def read(self, tokens: list[int], cache: list) -> mx.array:
        for start in range(0, len(tokens), 256):
            logits = self.model(mx.array(tokens[start : start + 256])[None], cache=cache)[:, -1]
            mx.eval(logits)
            if self.bits < 16 and len(tokens) > 1:
                roughen(cache, self.bits)
        return logits

    def answer(self, tokens: list[int], cache: list, limit: int = 48) -> str:
        logits, said = self.read(tokens, cache), []
        while len(said) < limit:
            word = int(mx.argmax(logits))
            if word in self.tokenizer.eos_token_ids:
                break
            said.append(word)
            logits = self.read([word], cache)
        return self.tokenizer.decode(said)


class Sitting:
    """A conversation as far as it was read; questions are asked of copies, so none disturbs another."""

    def __init__(self, student: Student) -> None:
        self.student, self.messages, self.tokens = student, [], []
        self.cache = make_prompt_cache(student.model)

    def hear(self, messages: Exchange) -> None:
        self.messages = self.messages + messages
        tokens = self.student.tokens(self.messages, prompt=False)
        assert tokens[: len(self.tokens)] == self.tokens, "a longer prompt begins with the shorter one"
        self.student.read(tokens[len(self.tokens) :], self.cache)
        self.tokens = tokens

    def ask(self, question: str) -> str:
        tokens = self.student.tokens([*self.messages, said("user", question)], prompt=True)
        return self.student.answer(tokens[len(self.tokens) :], copy.deepcopy(self.cache))

    def talk(self, texts: Iterator[str], rng: Random, length: int) -> None:
        """Other talk until so many tokens are read."""
        while len(self.tokens) < length:
            text, reply = next(texts), rng.choice(small_talk.REACTIONS)
            if rng.random() < 0.3:
                text, reply = small_talk.exchange(rng)
            words = self.student.tokenizer.encode(text)[: length - len(self.tokens)]
            self.hear([said("user", self.student.tokenizer.decode(words)), said("assistant", reply)])


def roughen(cache: list, bits: int) -> None:
    """The cache as a quantised one gives it back, in groups of 64."""
    for layer in cache:
        for name in ("keys", "values"):
            packed = mx.quantize(getattr(layer, name), group_size=64, bits=bits)
            setattr(layer, name, mx.dequantize(*packed, group_size=64, bits=bits))
