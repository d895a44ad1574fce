"""Models on MLX. Importing this package loads OpenBLAS, where there is one, before anything imports `mlx.core`, and
has the C library keep what MLX frees.
"""

from agent_memory.adapters.mlx.blas import load_blas
from agent_memory.adapters.mlx.heap import keep_freed_memory

BLAS = load_blas()
keep_freed_memory()
