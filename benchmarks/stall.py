"""How long does an agent that speaks fall silent while another's long prompt is read?

The longest gap between two of its tokens, from the last before the long prompt came to the first after that prompt's
first, held against the stall that is set and one step of both: the longest of the gaps afterwards, while both speak.
Ours at 4 and 16 bits and mlx-lm's server in alternating rounds on one model folder; a prompt is new in every round.

    python -m benchmarks.stall [--tokens 8192] [--stall-ms 500] [--rounds 3] [--json]
"""

import tempfile
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Thread

from benchmarks.client import Answer, ask, stream
from benchmarks.harness import arguments, bar, report, summary
from benchmarks.prompts import MODELS, letters_model, prompt
from benchmarks.servers import FOUR, SIXTEEN, Server, contestants

BEFORE, TOGETHER = 64, 64  # tokens that the first agent says before the other arrives, and both say together
ENDLESS = 20_000  # tokens; the first agent is left when the other has spoken
REST = 1.0  # seconds, so that what one server still writes is not in another's figure


@dataclass(frozen=True)
class Round:
    """Seconds, but for `tokens`: how many the first agent said in the wait for the other's first."""

    gap: float
    step: float
    wait: float
    tokens: int


class Speaker(Thread):
    """The first agent. It speaks until `leave`."""

    def __init__(self, answers: Iterator[Answer]) -> None:
        super().__init__(daemon=True)
        self._answers = answers
        self._leaving = False
        self.answer = next(answers)
        self.start()

    def run(self) -> None:
        with closing(self._answers):
            for answer in self._answers:
                self.answer = answer
                if self._leaving:
                    return

    def leave(self) -> list[float]:
        """When each of its tokens came."""
        self._leaving = True
        self.join()
        return self.answer.came


def one_round(server: Server, tokens: int, seed: int) -> Round:
    speaker = Speaker(stream(server, prompt(128, 2 * seed), ENDLESS))
    while len(speaker.answer.came) < BEFORE:
        time.sleep(0.01)
    other = ask(server, prompt(tokens, 2 * seed + 1), TOGETHER)
    came = speaker.leave()
    begun, over = bisect(came, other.sent), bisect(came, other.came[0])
    both = came[over : bisect(came, other.came[-1])]
    return Round(_longest(came[begun - 1 : over + 1]), _longest(both), other.first, over - begun)


def _longest(moments: list[float]) -> float:
    return max(after - before for before, after in pairwise(moments))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tokens", type=int, default=8192, help="of the long prompt")
    parser.add_argument("--stall-ms", type=int, default=500, help="the stall that is set")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", choices=MODELS, default="27m")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary, ExitStack() as stack:
        folder = Path(temporary)
        settings = {"SEMANTIC_MLX_MAX_STALL_MS": options.stall_ms}
        starts = contestants(letters_model(folder, options.model), folder, **settings)
        servers = {name: stack.enter_context(start()) for name, start in starts.items()}
        rounds: dict[str, list[Round]] = {name: [] for name in servers}
        for server in servers.values():
            ask(server, prompt(512, 0))  # the first request of a process pays for more than its tokens
        for number in range(options.rounds):
            for name, server in servers.items():
                time.sleep(REST)
                rounds[name].append(one_round(server, options.tokens, 1 + number))
    figures = {
        name: {
            "longest gap": summary(one.gap for one in taken),
            "longest step of both": summary(one.step for one in taken),
            "first token of the long prompt": summary(one.wait for one in taken),
            "tokens said in the wait": summary(one.tokens for one in taken),
        }
        for name, taken in rounds.items()
    }
    bars = [
        bar(
            f"{name}, longest gap of all rounds",
            max(one.gap for one in rounds[name]),
            at_most=round(options.stall_ms / 1000 + figures[name]["longest step of both"]["median"], 4),
        )
        for name in (FOUR, SIXTEEN)
    ]
    what = {"model": options.model, "prompt tokens": options.tokens, "set stall, ms": options.stall_ms}
    report("stall", what | {"seconds": figures, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
