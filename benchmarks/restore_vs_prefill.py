"""How long until the first token of the next turn after a crash and a restart?

Ours (4 and 16 bits) and mlx-lm's server on one model folder, in alternating rounds. In every round a server is killed
and started again, is asked the next question of its conversation, and then the one after that: for ours the first is a
restore from disk, for mlx-lm's a prefill of everything, and the second is a hit in memory for both. Each question comes
a second after the answer before it, and so does the crash. The first round has nothing to restore: it gives the cold
figures of ours.

    python -m benchmarks.restore_vs_prefill [--tokens 4096] [--rounds 5] [--json]
"""

import tempfile
import time
from pathlib import Path

from benchmarks.client import Talk, ask
from benchmarks.harness import arguments, bar, report, summary
from benchmarks.prompts import MODELS, letters_model, prompt
from benchmarks.servers import FOUR, PEER, SIXTEEN, Start, contestants

ANSWER = 32  # tokens
THINKING = 1.0  # seconds between an answer and what follows it
RESTORED, HIT, COLD = "after restart", "next turn", "cold"


def one_round(start: Start, talk: Talk, seed: int) -> dict[str, float]:
    """Seconds to the first token of both turns."""
    with start() as server:
        ask(server, prompt(96, seed))  # the first request of a process pays for more than its tokens
        time.sleep(THINKING)
        restored = talk.turn(server, ANSWER)
        time.sleep(THINKING)
        hit = talk.turn(server, ANSWER)
        time.sleep(THINKING)
    return {RESTORED: restored.first, HIT: hit.first}


def measure(folder: Path, model: str, tokens: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    starts = contestants(letters_model(folder, model), folder)
    talks = {name: Talk(prompt(tokens, 1)) for name in starts}
    samples: dict[str, dict[str, list[float]]] = {name: {COLD: [], RESTORED: [], HIT: []} for name in starts}
    for number in range(rounds + 1):
        for name, start in starts.items():
            taken = one_round(start, talks[name], 1000 + number)
            if number == 0:
                samples[name][COLD].append(taken[RESTORED])
            else:
                for what, seconds in taken.items():
                    samples[name][what].append(seconds)
    return samples


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", choices=MODELS, default="27m")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        samples = measure(Path(folder), options.model, options.tokens, options.rounds)
    seconds = {name: {what: summary(taken) for what, taken in kinds.items()} for name, kinds in samples.items()}
    medians = {name: {what: taken["median"] for what, taken in kinds.items()} for name, kinds in seconds.items()}
    bars = []
    for name in (FOUR, SIXTEEN):
        ours, theirs = medians[name][RESTORED], medians[PEER]
        bars += [
            bar(f"{name} after restart / {PEER} next turn", ours / theirs[HIT], at_most=1.25),
            bar(f"{PEER} after restart / {name} after restart", theirs[RESTORED] / ours, at_least=40),
        ]
    what = {"model": options.model, "prompt tokens": options.tokens, "answer tokens": ANSWER}
    report("restore_vs_prefill", what | {"seconds to the first token": seconds, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
