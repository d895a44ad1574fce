"""Writes what torch says of a dialogue into a published folder, for a test to hold mlx against:
``python -m training.small_model.reference CHECKPOINT FOLDER --architecture NAME``.

The weights are rounded as they are published, so that both compute with the same numbers.
"""

import argparse
from pathlib import Path
from random import Random

import torch
from torch import Tensor

from . import tokenizer as own_tokenizer
from .architectures import ARCHITECTURES, Architecture
from .batches import RowMaker
from .export import write_json

LENGTH = 400


def rounded(state: dict[str, Tensor], *, around_one: bool) -> dict[str, Tensor]:
    """``around_one``: norms are published as one more than they are trained."""

    def offset(name: str) -> int:
        return int(around_one and name.endswith("norm.weight"))

    return {name: (weight + offset(name)).to(torch.bfloat16).float() - offset(name) for name, weight in state.items()}


@torch.no_grad()
def log_probs(chosen: Architecture, state: dict[str, Tensor], tokens: list[int]) -> list[float]:
    """Of each token but the first, after all before it."""
    model = chosen.network(chosen.shape).eval()
    model.load_state_dict(state)
    asked = torch.ones(1, len(tokens) - 1, dtype=torch.bool)
    logits = model(torch.tensor([tokens[:-1]]), torch.arange(len(tokens) - 1), asked)
    found = logits.log_softmax(-1).gather(1, torch.tensor(tokens[1:])[:, None])
    return [round(value, 5) for value in found[:, 0].tolist()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("checkpoint", type=Path)
    options.add_argument("folder", type=Path)
    options.add_argument("--architecture", choices=sorted(ARCHITECTURES), required=True)
    given = options.parse_args()
    chosen = ARCHITECTURES[given.architecture]
    state = torch.load(given.checkpoint, weights_only=False)["model"]
    encoder = own_tokenizer.Encoder(own_tokenizer.load(given.folder))
    tokens, _ = RowMaker(encoder, Random("reference"), testing=True).row(LENGTH)
    weights = rounded(state, around_one=given.architecture != "gemma3_text")
    write_json(given.folder / "reference.json", {"tokens": tokens, "log_probs": log_probs(chosen, weights, tokens)})


if __name__ == "__main__":
    main()
