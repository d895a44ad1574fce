"""Models on MLX. Importing this package loads OpenBLAS, where there is one, before anything imports `mlx.core`."""

from agent_memory.adapters.mlx.blas import load_blas

BLAS = load_blas()
