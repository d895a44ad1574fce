"""Do 20 agents share a memory that holds five of them, for a thousand turns, without growth and without a miss?

Each agent has a history of 4096 tokens, and comes back to it with another question every time. The budget holds the
blocks of five of them beside what one turn works with; the disk's budget holds all of them, and is soon filled by what
was said, so that both tiers evict from then on. Memory is the server's resident set, read whenever every agent has had
a turn, beside what it was when the model had just been loaded (on a GPU the cache is not part of it: then only the hits
count).

    python -m benchmarks.many_agents [--agents 20] [--tokens 4096] [--turns 1000] [--json]
"""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.client import Messages, Talk, ask
from benchmarks.harness import arguments, bar, report, summary
from benchmarks.prompts import letters_model, prompt
from benchmarks.servers import Server, ours

ANSWER = 16  # tokens
BITS = 4
MB = 1 << 20
# A token of the small model's cache: 4 layers of 2 heads, keys and values of 128, 4 bits and an fp16 scale and bias
# for each 64; and what a turn works with: the same numbers in fp32.
NUMBERS = 4 * 2 * 2 * 128
STORED, WORKING = NUMBERS * (4 + 32 / 64) / 8, NUMBERS * 4
HOLDS = 5
# MB beside model and budget: what attention computes with while a piece of 1024 tokens looks back on 4096 in fp32 and
# the allocator keeps, what is on its way to the disk, and the books
BESIDE = 160
GROWTH = 8  # MB in a thousand turns: what the allocator may be off between two readings


@dataclass(frozen=True)
class Return:
    cached: int
    of: int
    seconds: float


class Agent:
    def __init__(self, server: Server, tokens: int, number: int) -> None:
        self._server = server
        talk = Talk(prompt(tokens, number))
        first = talk.turn(server, ANSWER)
        *self._history, _ = talk.messages
        # All but the answer's last token, which nobody has read, and what the template puts after it.
        self.known = first.usage["prompt_tokens"] + ANSWER - 1

    def comes_back(self, number: int) -> Return:
        question: Messages = [{"role": "user", "content": f"{number}: and then?"}]
        answer = ask(self._server, self._history + question, ANSWER)
        return Return(answer.cached, self.known, answer.first)


def resident(server: Server) -> float:
    return psutil.Process(server.pid).memory_info().rss / MB


def slope(values: list[float], per: float) -> float:
    return statistics.linear_regression([number * per for number in range(len(values))], values).slope


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--turns", type=int, default=1000)
    options = parser.parse_args()
    longest = options.tokens + 128
    budget = max(64, round(longest * (HOLDS * STORED + WORKING) / MB))
    disk = max(64, round(1.25 * options.agents * longest * STORED / MB))
    settings = {"SEMANTIC_MLX_CACHE_BUDGET_MB": budget, "AGENT_MEMORY_DISK_BUDGET_MB": disk}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        model = letters_model(Path(folder), "1m")
        with ours(model, Path(folder) / "data", bits=BITS, **settings) as server:
            loaded = resident(server)
            ask(server, prompt(longest, 10**6), ANSWER)
            worked = resident(server)
            begun = time.perf_counter()
            agents = [Agent(server, options.tokens, number) for number in range(options.agents)]
            memory, returns = [resident(server)], []
            for number in range(options.turns):
                returns.append(agents[number % options.agents].comes_back(number))
                if number % options.agents == options.agents - 1:
                    memory.append(resident(server))
            seconds = time.perf_counter() - begun
    growth = 1000 * slope(memory[len(memory) // 5 :], options.agents)
    hits = sum(one.cached >= one.of for one in returns) / len(returns)
    bars = [
        bar("MB resident at most, beside the model as loaded", max(memory) - loaded, at_most=budget + BESIDE),
        bar("MB of growth in a thousand turns, after the first fifth", growth, at_most=GROWTH),
        bar("share of returns that found all they had read", hits, at_least=1.0),
    ]
    figures = {
        "model": "1m",
        "agents": options.agents,
        "turns": options.turns,
        "history tokens": agents[0].known,
        "MB budget": budget,
        "MB disk budget": disk,
        "MB of one agent's blocks": round(longest * STORED / MB, 2),
        "MB resident, model loaded": round(loaded),
        "MB resident, after one prompt": round(worked),
        "MB resident, every round of agents": [round(reading) for reading in memory],
        "fewest cached tokens": min(r.cached for r in returns),
        "seconds to the first token": {"median": summary(r.seconds for r in returns)["median"]},
        "seconds in all": round(seconds),
    }
    report("many_agents", figures | {"bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
