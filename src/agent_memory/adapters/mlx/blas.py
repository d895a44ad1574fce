"""A fast BLAS for MLX on Linux CPUs.

The CPU wheel is linked against the reference BLAS (4-6 GFLOP/s on two cores). OpenBLAS, loaded into the process
before it, answers the same symbols 25 to 40 times as fast. On macOS MLX uses Accelerate; on CUDA this does not matter.
"""

import ctypes
import sys

_CANDIDATES = ("libopenblas.so.0", "libopenblasp.so.0", "libblis.so.4", "libflexiblas.so.3")
ADVICE = "reference BLAS, slow on CPU (install OpenBLAS: apt install libopenblas0-pthread, or dnf install openblas)"


def load_blas() -> str | None:
    """The library that was loaded, or None where there is none to load. Must run before `mlx.core` is imported."""
    if sys.platform != "linux":
        return None
    for name in _CANDIDATES:
        try:
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return name
    return None
