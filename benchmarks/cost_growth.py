"""Does the first token of a hit cost no more than in proportion to what is restored?

One agent for every length of history, each length asked again and again: for hits from disk right after a kill and a
restart (out of the operating system's cache of files with --drop-page-cache), for hits in memory a second later. No
other agent has filled that server's memory before: what it holds for one is not there for the next, and memory that a
process has never had costs more than what is written to it where the machine is virtual. The exponent is the slope of
time over bytes, both as logarithms; it is given over all lengths, and between the two longest, where what costs the
same at every length weighs least.

    python -m benchmarks.cost_growth [--tokens 1024 ... 32768] [--rounds 3] [--drop-page-cache] [--json]
"""

import math
import os
import statistics
import tempfile
import time
from itertools import product
from pathlib import Path

from benchmarks.client import Talk
from benchmarks.harness import arguments, bar, report, summary
from benchmarks.many_agents import BITS, STORED
from benchmarks.prompts import letters_model, prompt
from benchmarks.servers import Server, ours

ANSWER = 16  # tokens
REST = 1.0  # seconds, so that what is still read again and written is not in the next figure
DISK, MEMORY = "from disk", "from memory"


class Remembered(Talk):
    """All its turns but the first have to be hits."""

    known = 0

    def first_token(self, server: Server) -> float:
        answer = self.turn(server, ANSWER)
        assert answer.cached >= self.known, f"{answer.cached} of {self.known} tokens were found"
        self.known = answer.usage["prompt_tokens"] + ANSWER - 1
        time.sleep(REST)
        return answer.first


def measure(folder: Path, lengths: list[int], rounds: int, *, drop: bool) -> dict[str, dict[int, list[float]]]:
    model = letters_model(folder, "1m")
    warm = Remembered(prompt(512, 0))
    talks = {tokens: Remembered(prompt(tokens, tokens)) for tokens in lengths}
    samples = {kind: {tokens: [] for tokens in lengths} for kind in (DISK, MEMORY)}
    for number, (tokens, talk) in product(range(rounds + 1), talks.items()):
        if drop:
            drop_page_cache(folder)
        with ours(model, folder / "data", bits=BITS) as server:
            warm.first_token(server)  # the first request of a process pays for more than its tokens
            first = talk.first_token(server)
            if number > 0:
                samples[DISK][tokens].append(first)
                samples[MEMORY][tokens].append(talk.first_token(server))
    return samples


def drop_page_cache(folder: Path) -> None:
    for path in folder.rglob("*.safetensors"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def exponent(seconds: dict[int, float]) -> float:
    bytes_ = [math.log(tokens * STORED) for tokens in seconds]
    return statistics.linear_regression(bytes_, [math.log(taken) for taken in seconds.values()]).slope


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 2048, 4096, 8192, 16384, 32768])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--drop-page-cache", action="store_true", help="read the files from the device (Linux)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        samples = measure(Path(folder), options.tokens, options.rounds, drop=options.drop_page_cache)
    figures, bars = {}, []
    for kind, lengths in samples.items():
        figures[kind] = {tokens: summary(taken) for tokens, taken in lengths.items()}
        medians = {tokens: statistics.median(taken) for tokens, taken in lengths.items()}
        longest = dict(list(medians.items())[-2:])
        bars.append(bar(f"exponent {kind}, all lengths", exponent(medians), at_most=1.0))
        bars.append(bar(f"exponent {kind}, the two longest", exponent(longest), at_most=1.0))
    sizes = {tokens: round(tokens * STORED) for tokens in options.tokens}
    what = {"model": "1m", "bits": BITS, "bytes restored, by tokens": sizes}
    report("cost_growth", what | {"seconds to the first token, by tokens": figures, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
