"""Rows of tokens for training: one long dialogue per row, with what is to be predicted."""

from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from .dialogues import Message, conversation
from .tokenizer import Encoder

LONGEST = 8192  # no training row is as long; positions are stretched up to here


@dataclass(frozen=True)
class Batch:
    """``spoken`` marks tokens of answers, ``values`` those that say a value, or whether it is known."""

    tokens: Tensor
    spoken: Tensor
    values: Tensor


class RowMaker:
    """Writes dialogues straight as tokens, so that they fill a row of any length."""

    def __init__(self, encoder: Encoder, rng: Random, *, testing: bool = False) -> None:
        self.encoder, self.rng, self.testing = encoder, rng, testing

    def row(self, length: int) -> tuple[list[int], list[int]]:
        tokens, kinds = [self.encoder.bos], [0]

        def take(message: Message) -> int:
            encoding = self.encoder.tokenizer.encode(message.content)
            answer = message.role == "assistant"
            start = message.content.rfind(message.key) if message.key else len(message.content)
            end = start + len(message.key)
            tokens.extend((self.encoder.marks[message.role], *encoding.ids, self.encoder.end))
            kinds.append(0)
            for left, right in encoding.offsets:
                telling = (right > start and left < end) or (decides(message) and left == 0)
                kinds.append(answer + (answer and telling))
            kinds.append(int(answer))
            return len(encoding.ids) + 2

        conversation(self.rng, length, take, testing=self.testing)
        return tokens[: length + 1], kinds[: length + 1]

    def batch(self, rows: int, length: int) -> Batch:
        made = [self.row(length) for _ in range(rows)]
        kinds = torch.tensor([kinds for _, kinds in made])
        return Batch(torch.tensor([tokens for tokens, _ in made]), kinds > 0, kinds > 1)


def decides(message: Message) -> bool:
    """Whether its first word says if the fact is known."""
    answered = bool(message.key) and not message.content.startswith("Got it")
    return answered or message.content.startswith("I don't know")


def picked(batch: Batch, share: float, generator: torch.Generator) -> Tensor:
    """Which predictions count: every word of an answer, and a share of all others."""
    chance = torch.rand(batch.tokens[:, 1:].shape, generator=generator)
    return batch.spoken[:, 1:] | (chance < share)


def positions(length: int, rng: Random, *, stretched: bool) -> Tensor:
    """For the global layers: at times with leaps between, so that short rows also teach long distances."""
    steps = torch.ones(length, dtype=torch.long)
    if stretched and length < LONGEST // 2:
        leaps = rng.randint(1, 4)
        for _ in range(leaps):
            steps[rng.randrange(length)] += rng.randint(0, (LONGEST - length) // leaps // 2)
    return steps.cumsum(0) - 1
