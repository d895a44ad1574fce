"""How many tokens a second do agents that speak at the same time get, all together?

Ours at 4 and 16 bits and mlx-lm's server, which batches in full precision only, side by side on one model folder. All
agents of a round begin together, with prompts of unequal length; counted is the time in which every one of them speaks.
Every round has servers of its own: where the weights of a process come to lie makes it a tenth faster or slower.

    python -m benchmarks.decode_speed [--agents 1 2 4 8] [--answer 256] [--rounds 5] [--json]
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.client import ask
from benchmarks.harness import arguments, bar, report, summary
from benchmarks.prompts import MODELS, letters_model, prompt
from benchmarks.servers import FOUR, PEER, SIXTEEN, Server, contestants

REST = 1.0  # seconds, so that what one server still writes is not in another's figure
LIMITS = {FOUR: 0.95, SIXTEEN: 1.0}


def together(server: Server, agents: int, answer: int, seed: int) -> float:
    """Tokens a second while all speak."""
    prompts = [prompt(128 + 32 * agent, 100 * seed + agent) for agent in range(agents)]
    with ThreadPoolExecutor(agents) as threads:
        answers = list(threads.map(lambda messages: ask(server, messages, answer), prompts))
    begun, over = max(a.came[0] for a in answers), min(a.came[-1] for a in answers)
    assert begun < over, "the first had ended before the last began: the answers are too short"
    return sum(begun < came <= over for a in answers for came in a.came) / (over - begun)


def measure(folder: Path, options) -> dict[int, dict[str, list[float]]]:
    samples: dict[int, dict[str, list[float]]] = {agents: {} for agents in options.agents}
    settings = {"SEMANTIC_MLX_MAX_BATCH_SIZE": max(options.agents)}
    model = letters_model(folder, options.model)
    for number in range(options.rounds):
        with ExitStack() as stack:
            starts = contestants(model, folder / str(number), **settings)
            servers = {name: stack.enter_context(start()) for name, start in starts.items()}
            for server in servers.values():
                together(server, 2, 32, 0)  # the first requests of a process pay for more than their tokens
            for agents in options.agents:
                for name, server in servers.items():
                    time.sleep(REST)
                    speed = together(server, agents, options.answer, 1 + number)
                    samples[agents].setdefault(name, []).append(speed)
    return samples


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--agents", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--answer", type=int, default=256, help="tokens")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", choices=MODELS, default="27m")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        samples = measure(Path(folder), options)
    speeds = {agents: {name: summary(taken) for name, taken in kinds.items()} for agents, kinds in samples.items()}
    bars = [
        bar(f"{name} / {PEER}, {agents} agents", kinds[name]["median"] / kinds[PEER]["median"], at_least=least)
        for agents, kinds in speeds.items()
        for name, least in LIMITS.items()
    ]
    figures = {"model": options.model, "tokens a second, by agents": speeds, "bars": bars}
    report("decode_speed", figures, keep=options.json)


if __name__ == "__main__":
    main()
