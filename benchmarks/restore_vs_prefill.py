"""How long until the first token: of a cold prompt, of the next turn, and of the next turn after a crash?

Ours (4 and 16 bits) and mlx-lm's server, side by side on one model folder, in alternating rounds, each round with
prompts nobody has seen. Both have the same BLAS, and a second before each next turn and before the crash.

`python -m benchmarks.restore_vs_prefill [--tokens 4096] [--rounds 5]`
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.models import make_model

from benchmarks.harness import ask, mlx_lm, ours, summary, write

# 27 million parameters in fp32: what a two-core machine can read 4096 tokens with in seconds, not minutes
SIZES = {"hidden_size": 512, "num_hidden_layers": 8, "intermediate_size": 1536, "num_attention_heads": 8}
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
THINKING = 1.0  # seconds between an answer and what follows it


def prompt(tokens: int, seed: int) -> list[dict[str, str]]:
    dice = random.Random(seed)
    text = ""
    while len(text) < tokens - 60:  # one token a byte, and the template's own
        text += dice.choice(WORDS) + " "
    return [{"role": "system", "content": "You are a guide."}, {"role": "user", "content": text}]


def next_turn(messages: list[dict[str, str]], answer: dict) -> list[dict[str, str]]:
    said = answer["choices"][0]["message"].get("content") or ""
    return [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": "And then?"}]


def one_round(start, tokens: int, seed: int) -> dict[str, float]:
    """`start` opens a server; one that has a disk finds it again the second time."""
    messages = prompt(tokens, seed)
    with start() as server:
        ask(server, prompt(64, seed + 1))  # the first request of a process pays for more than its tokens
        cold, answer = ask(server, messages)
        messages = next_turn(messages, answer)
        time.sleep(THINKING)
        hot, answer = ask(server, messages)
        messages = next_turn(messages, answer)
        time.sleep(THINKING)
    with start() as server:
        ask(server, prompt(64, seed + 2))
        restart, _ = ask(server, messages)
    return {"cold": cold, "next_turn": hot, "after_restart": restart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    samples: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder) / "llama-27m", "llama", **SIZES)
        servers = {
            "agent-memory 4 bits": lambda: ours(model, Path(folder) / "4"),
            "agent-memory 16 bits": lambda: ours(model, Path(folder) / "16", bits=16),
            "mlx_lm.server": lambda: mlx_lm(model),
        }
        for number in range(options.rounds):
            for name, start in servers.items():
                for what, seconds in one_round(start, options.tokens, 1000 * number).items():
                    samples.setdefault(name, {}).setdefault(what, []).append(seconds)
    seconds = {name: {what: summary(list_) for what, list_ in kinds.items()} for name, kinds in samples.items()}
    ratios = {}
    for name in ("agent-memory 4 bits", "agent-memory 16 bits"):
        mine, theirs = seconds[name], seconds["mlx_lm.server"]
        ratios[name] = {
            "cold / mlx_lm.server cold": mine["cold"]["median"] / theirs["cold"]["median"],
            "next turn / mlx_lm.server next turn": mine["next_turn"]["median"] / theirs["next_turn"]["median"],
            "after restart / mlx_lm.server next turn": mine["after_restart"]["median"] / theirs["next_turn"]["median"],
            "own cold / own after restart": mine["cold"]["median"] / mine["after_restart"]["median"],
            "mlx_lm.server after restart / after restart": theirs["after_restart"]["median"]
            / mine["after_restart"]["median"],
        }
        ratios[name] = {what: round(ratio, 3) for what, ratio in ratios[name].items()}
    what = {"prompt_tokens": options.tokens, "model": "Llama, 27M parameters, fp32, random weights"}
    print(write("restore_vs_prefill", what | {"seconds": seconds, "ratios": ratios}).read_text())


if __name__ == "__main__":
    main()
