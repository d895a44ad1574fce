"""How long does it take to find the longest known prefix of a prompt among 100,000 blocks?

The prefix index alone, as the scheduler asks it. A prompt of 32K tokens whose blocks are all known; one that leaves
what is known in its last block; one that nobody has seen.

    python -m benchmarks.lookup [--blocks 100000] [--tokens 32768] [--json]
"""

import random
import time
from statistics import quantiles

from agent_memory.domain.kv.block import CacheBlock, Namespace, pack
from agent_memory.domain.kv.prefix import PrefixIndex
from benchmarks.harness import arguments, bar, report

BLOCK = 256
ROUNDS = 200
ROOT = Namespace("tenant", "model", "spec").root


def filled(blocks: int, tokens: int, dice: random.Random) -> tuple[PrefixIndex, list[list[int]]]:
    """Conversations of `tokens` tokens each, until there are `blocks` blocks."""
    index, told = PrefixIndex(BLOCK, reach=0), []
    while len(index) < blocks:
        text = [dice.randrange(128_000) for _ in range(tokens)]
        parent = ROOT
        for start in range(0, tokens, BLOCK):
            block = CacheBlock.after(parent, start, pack(text[start : start + BLOCK]))
            index.add(block, local=False)
            parent = block.hash
        told.append(text)
    return index, told


def measure(index: PrefixIndex, prompts: list[list[int]], expected: int) -> dict[str, float]:
    seconds = []
    for text in prompts:
        started = time.perf_counter()
        match = index.match(ROOT, pack(text), len(text) - 1)
        seconds.append(time.perf_counter() - started)
        assert match.length == expected, f"{match.length} of {expected} tokens found"
    cuts = quantiles(seconds, n=100)
    return {"p50 ms": round(1000 * cuts[49], 3), "p99 ms": round(1000 * cuts[98], 3)}


def run(blocks: int, tokens: int) -> dict[str, object]:
    dice = random.Random(1)
    index, told = filled(blocks, tokens, dice)
    known = [dice.choice(told) for _ in range(ROUNDS)]
    leaving = [[*text[:-100], *(200_000 for _ in range(100))] for text in known]
    unseen = [[dice.randrange(200_000, 300_000) for _ in range(tokens)] for _ in range(ROUNDS)]
    cases = {
        "all known": measure(index, known, tokens - 1),
        "leaves in its last block": measure(index, leaving, tokens - 100),
        "never seen": measure(index, unseen, 0),
    }
    bars = [bar(f"p50 ms, {case}", figures["p50 ms"], at_most=5) for case, figures in cases.items()]
    return {"blocks": len(index), "tokens": tokens} | cases | {"bars": bars}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--blocks", type=int, default=100_000)
    parser.add_argument("--tokens", type=int, default=32_768)
    options = parser.parse_args()
    report("lookup", run(options.blocks, options.tokens), keep=options.json)


if __name__ == "__main__":
    main()
