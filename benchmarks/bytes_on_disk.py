"""How many bytes does an agent of 32K tokens take on disk, of what all its layers would take in 16 bits?

Measured on the files that the store wrote, headers and all, for models with random weights: what is kept depends on the
geometry alone. The hidden size is tiny, heads and windows are as in real models. Each model reads one prompt of that
length, and each a conversation that grows to it over several turns.

    python -m benchmarks.bytes_on_disk [--tokens 32768] [--turns 8] [--bits 4] [--json]
"""

import tempfile
from itertools import count
from pathlib import Path

from tests.models import make_model

from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.mlx.loading import load_model
from agent_memory.application.engine import Engine
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import Failed, Said
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId
from benchmarks.harness import arguments, bar, report

SIZES = {"hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 4}
WIDE = SIZES | {"head_dim": 128, "max_position_embeddings": 65_536}
GEMMA = {"num_hidden_layers": 6, "sliding_window_pattern": 6, "query_pre_attn_scalar": 128}
MODELS = {  # kind, sizes, and the bar
    "full attention": ("llama", {"num_hidden_layers": 2}, 0.29),
    "five windows of 512 to one full": ("gemma3_text", GEMMA | {"sliding_window": 512}, 0.08),
    "five windows of 1024 to one full": ("gemma3_text", GEMMA | {"sliding_window": 1024}, 0.08),
}
ANSWER = 32
NAMES = count()


def engine_on(folder: Path, runtime) -> Engine:
    store = DiskBlockStore(folder, 64 << 30, runtime.fingerprint, runtime.spec.identity)
    writer = WriteBehind(store, lambda: None)
    writer.start()
    scheduler = Scheduler(runtime.spec, Ledger(runtime.spec, 8 << 30), chunk=512)
    return Engine(runtime, TieredBlocks(store, writer), scheduler)


def say(engine: Engine, tokens: list[int], answers: list[tuple[int, int]]) -> list[int]:
    root = engine.namespace("benchmark").root
    turn = Turn(TurnId(f"t{next(NAMES)}"), root, tokens, ANSWER, Sampling(temperature=0), answers=tuple(answers))
    engine.submit(turn)
    said = []
    while not engine.idle:
        for event in engine.step():
            match event:
                case Said(_, token):
                    said.append(token)
                case Failed(_, error):
                    raise error
    return said


def converse(engine: Engine, tokens: int, turns: int) -> int:
    """A conversation that grows to so many tokens; how many are kept at the end."""
    history: list[int] = []
    answers: list[tuple[int, int]] = []
    for number in range(turns):
        length = tokens * (number + 1) // turns - ANSWER
        history += [(7 * at * at + at) % 256 for at in range(len(history), length)]
        said = say(engine, list(history), answers)
        answers.append((len(history), len(history) + len(said)))
        history += said
    return len(history)


def measure(model: Path, tokens: int, turns: int, bits: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as place:
        runtime = load_model(model, Precision(bits), Path(place)).runtime
        engine = engine_on(Path(place) / "kv", runtime)
        kept = converse(engine, tokens, turns)
        engine.close()
        files = {part: list(Path(place).glob(f"kv/??/*.{part}.*")) for part in ("lasting", "local")}
        sizes = {part: sum(file.stat().st_size for file in found) for part, found in files.items()}
    wanted = runtime.spec.layers
    all_layers = 2 * kept * sum(layer.kv_heads * (layer.key_dim + layer.value_dim) for layer in wanted)
    return {
        "tokens": kept,
        "turns": turns,
        "files": {part: len(found) for part, found in files.items()},
        "bytes": sizes,
        "bytes_per_token": round(sum(sizes.values()) / kept, 1),
        "of_all_layers_in_fp16": round(sum(sizes.values()) / all_layers, 4),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--bits", type=int, default=4)
    options = parser.parse_args()
    figures, bars = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, (kind, sizes, limit) in MODELS.items():
            model = make_model(Path(folder) / name.replace(" ", "-"), kind, **(WIDE | sizes))
            for turns in (1, options.turns):
                what = f"{name}, {'one turn' if turns == 1 else f'{turns} turns'}"
                figures[what] = measure(model, options.tokens, turns, options.bits)
                bars.append(
                    bar(f"of all layers in fp16: {what}", figures[what]["of_all_layers_in_fp16"], at_most=limit)
                )
    report("bytes_on_disk", {"bits": options.bits, "measured": figures, "bars": bars}, keep=options.json)


if __name__ == "__main__":
    main()
