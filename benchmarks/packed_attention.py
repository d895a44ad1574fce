"""What does a spoken token's attention cost over expanded keys and values, over packed ones, and over packed ones that
are unpacked for it? And over packed ones by mlx-lm's own quantized attention?

One layer, the kinds in turn; the type that models compute in on this device.
"""

import time
from collections.abc import Callable, Iterator

from agent_memory.adapters.mlx.attention import PackedTensor, attend  # before MLX itself: it loads a fast BLAS
from agent_memory.adapters.mlx.codec import Codec
from agent_memory.adapters.mlx.loading import backend, mx
from agent_memory.domain.kv.precision import Encoding
from benchmarks.harness import arguments, report, summary

SHAPES = {"llama 8B": (32, 8, 128), "no shared heads": (16, 16, 128)}  # query heads, key heads, numbers in each
LENGTHS = ((1024, 1), (4096, 1), (4096, 4))  # tokens, turns together
SCALE = 0.1


def kinds(heads: int, kv_heads: int, dim: int, tokens: int, turns: int) -> Iterator[tuple[str, Callable[[], mx.array]]]:
    from mlx_lm.models.base import quantized_scaled_dot_product_attention

    compute = mx.float32 if mx.default_device().type == mx.cpu else mx.bfloat16
    queries = mx.random.normal((turns, heads, 1, dim)).astype(compute)
    keys, values = (mx.random.normal((turns, kv_heads, tokens, dim)).astype(compute) for _ in range(2))
    mx.eval(queries, keys, values)
    yield "expanded", lambda: attend(queries, keys, values, None, SCALE, mask=None)
    for bits in (4, 8):
        codec = Codec(Encoding(bits, 64), dim, compute, mx.float16 if compute == mx.float32 else compute)
        packed = [PackedTensor(codec.pack(side), codec) for side in (keys, values)]
        mx.eval([side.packed for side in packed])

        def unpacked(packed: list[PackedTensor] = packed, codec: Codec = codec) -> mx.array:
            return attend(queries, *(codec.unpack(side.packed) for side in packed), None, SCALE, mask=None)

        def theirs(packed: list[PackedTensor] = packed, bits: int = bits) -> mx.array:
            sides = [side.packed for side in packed]
            return quantized_scaled_dot_product_attention(queries + 0, *sides, SCALE, None, group_size=64, bits=bits)

        yield f"packed {bits} bits", lambda packed=packed: attend(queries, *packed, None, SCALE, mask=None)
        yield f"unpacked {bits} bits", unpacked
        yield f"mlx-lm {bits} bits", theirs


def measure(shape: tuple[int, int, int], tokens: int, turns: int, rounds: int) -> dict[str, object]:
    """Milliseconds of each kind."""
    found = dict(kinds(*shape, tokens, turns))
    samples: dict[str, list[float]] = {name: [] for name in found}
    for run in found.values():
        mx.eval(run())
    for _ in range(rounds):
        for name, run in found.items():
            started = time.perf_counter()
            mx.eval(run())
            samples[name].append(1000 * (time.perf_counter() - started))
    return {name: summary(taken) for name, taken in samples.items()}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    figures = {
        f"{name}, {tokens} tokens, {turns} turns": measure(shape, tokens, turns, options.rounds)
        for name, shape in SHAPES.items()
        for tokens, turns in LENGTHS
    }
    report("packed_attention", {"backend": backend(), "milliseconds": figures}, keep=options.json)


if __name__ == "__main__":
    main()
