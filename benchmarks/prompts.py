"""What is asked, and of whom: prompts of random words, and a random model that answers in letters.

One token is one byte, and the model never ends an answer itself, so that lengths are what the benchmark says.
"""

import random
from pathlib import Path

from tests.models import make_model
from tokenizers import Tokenizer

from benchmarks.client import Messages

MODELS = {
    # in fp32: what a two-core machine reads 4096 tokens with in seconds, not minutes
    "27m": {"hidden_size": 512, "num_hidden_layers": 8, "intermediate_size": 1536, "num_attention_heads": 8},
    # small beside its cache of 2048 numbers a token, as the 27m has: for what is about the cache alone
    "1m": {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 128, "max_position_embeddings": 40960},
    # for a GPU
    "1b": {
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "intermediate_size": 8192,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "dtype": "bfloat16",
    },
}
WORDS = [
    "harbour",
    "market",
    "bridge",
    "lantern",
    "winter",
    "copper",
    "garden",
    "letter",
    "window",
    "river",
    "silver",
    "morning",
]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEMPLATE = 5 + len("system\n\nuser\n\nassistant\n")  # what begins and what ends a message is one token each


def letters_model(folder: Path, name: str) -> Path:
    """A llama of random weights whose head has nothing but zeros for all other tokens."""
    path = make_model(folder / f"llama-{name}", "llama", **MODELS[name])
    from agent_memory.adapters.mlx.loading import mx

    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    weights = mx.load(str(path / "model.safetensors"))
    rows = mx.zeros((weights["lm_head.weight"].shape[0], 1), weights["lm_head.weight"].dtype)
    rows[mx.array([tokenizer.token_to_id(letter) for letter in LETTERS])] = 1
    weights["lm_head.weight"] = weights["lm_head.weight"] * rows
    mx.save_safetensors(str(path / "model.safetensors"), weights)
    return path


def prompt(tokens: int, seed: int) -> Messages:
    """Of exactly that many tokens, 80 or more; two of different seeds differ almost from the first on."""
    dice = random.Random(seed)
    system = f"{dice.randrange(10**6):06}: you are a guide."
    room = tokens - TEMPLATE - len(system)
    text = " ".join(dice.choice(WORDS) for _ in range(room // 5))
    return [{"role": "system", "content": system}, {"role": "user", "content": text[:room]}]
