"""How long until the first token of a prompt that nobody has seen?

Ours at 4 and 16 bits and mlx-lm's server (in full precision, its fastest) run side by side on one model folder; each
is asked every prompt, in turns, with a second of rest between.

    python -m benchmarks.cold_first_token [--tokens 1024 4096 8192] [--rounds 3] [--json]
"""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.client import ask
from benchmarks.harness import arguments, bar, report, summary
from benchmarks.prompts import MODELS, letters_model, prompt
from benchmarks.servers import FOUR, PEER, SIXTEEN, contestants

REST = 1.0  # seconds, so that what one server still writes is not in another's figure
LIMIT = 1.05


def measure(folder: Path, model: str, sizes: list[int], rounds: int) -> dict[int, dict[str, list[float]]]:
    samples: dict[int, dict[str, list[float]]] = {tokens: {} for tokens in sizes}
    with ExitStack() as stack:
        starts = contestants(letters_model(folder, model), folder)
        servers = {name: stack.enter_context(start()) for name, start in starts.items()}
        for server in servers.values():
            ask(server, prompt(512, 0))  # the first request of a process pays for more than its tokens
        for number in range(rounds):
            for tokens in sizes:
                for name, server in servers.items():
                    time.sleep(REST)
                    answer = ask(server, prompt(tokens, 1 + number))
                    samples[tokens].setdefault(name, []).append(answer.first)
    return samples


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096, 8192])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", choices=MODELS, default="27m")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        samples = measure(Path(folder), options.model, options.tokens, options.rounds)
    seconds = {tokens: {name: summary(taken) for name, taken in kinds.items()} for tokens, kinds in samples.items()}
    bars = [
        bar(f"{name} / {PEER}, {tokens} tokens", kinds[name]["median"] / kinds[PEER]["median"], at_most=LIMIT)
        for tokens, kinds in seconds.items()
        for name in (FOUR, SIXTEEN)
    ]
    figures = {"model": options.model, "seconds to the first token, by prompt tokens": seconds, "bars": bars}
    report("cold_first_token", figures, keep=options.json)


if __name__ == "__main__":
    main()
