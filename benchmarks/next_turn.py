"""How long until the first token of the next turn, when what came before it is still in memory?

Ours at 4 and 16 bits and mlx-lm's server side by side on one model folder. Each leads a conversation of its own, of
one length, and all are asked in turns: first with a pause between an answer and the next question, in which ours reads
its answer again and writes it down, then without one.

    python -m benchmarks.next_turn [--tokens 1024 4096 8192] [--turns 9] [--pause 1] [--json]
"""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.client import Talk, ask
from benchmarks.harness import arguments, bar, report, summary
from benchmarks.prompts import MODELS, letters_model, prompt
from benchmarks.servers import FOUR, PEER, SIXTEEN, Server, contestants

ANSWER = 32  # tokens
LIMIT = 1.0


def measure(servers: dict[str, Server], tokens: int, turns: int, pause: float) -> dict[str, dict[str, list[float]]]:
    """With the pause the servers take turns one by one, without it conversation by conversation: the pause of the one
    would else be the turn of the other.
    """
    talks = {name: Talk(prompt(tokens, tokens)) for name in servers}
    paused: dict[str, list[float]] = {name: [] for name in servers}
    at_once: dict[str, list[float]] = {name: [] for name in servers}
    for name, server in servers.items():
        talks[name].turn(server, ANSWER)
    for _ in range(turns):
        for name, server in servers.items():
            time.sleep(pause)
            paused[name].append(talks[name].turn(server, ANSWER).first)
    for _ in range(turns // 3):
        for name, server in servers.items():
            time.sleep(pause)
            talks[name].turn(server, ANSWER)
            at_once[name] += [talks[name].turn(server, ANSWER).first for _ in range(3)]
    return {f"after {pause:g} s": paused, "at once": at_once}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 4096, 8192])
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between an answer and the next question")
    parser.add_argument("--model", choices=MODELS, default="27m")
    options = parser.parse_args()
    seconds = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary, ExitStack() as stack:
        folder = Path(temporary)
        starts = contestants(letters_model(folder, options.model), folder)
        servers = {name: stack.enter_context(start()) for name, start in starts.items()}
        for server in servers.values():
            ask(server, prompt(512, 0))  # the first request of a process pays for more than its tokens
        for tokens in options.tokens:
            for when, kinds in measure(servers, tokens, options.turns, options.pause).items():
                seconds[f"{tokens} tokens, {when}"] = {name: summary(taken) for name, taken in kinds.items()}
    bars = [
        bar(f"{name} / {PEER}, {case}", kinds[name]["median"] / kinds[PEER]["median"], at_most=LIMIT)
        for case, kinds in seconds.items()
        for name in (FOUR, SIXTEEN)
    ]
    figures = {"model": options.model, "answer tokens": ANSWER, "seconds to the first token": seconds, "bars": bars}
    report("next_turn", figures, keep=options.json)


if __name__ == "__main__":
    main()
