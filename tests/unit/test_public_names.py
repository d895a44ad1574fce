"""What `import agent_memory` gives, and what it does not load."""

import subprocess
import sys

import agent_memory


def test_every_public_name_is_there():
    for name in agent_memory.__all__:
        assert getattr(agent_memory, name).__name__ == name


def test_importing_the_package_loads_no_technology():
    technology = {"litestar", "mlx", "msgspec", "numpy", "onnxruntime", "psycopg", "prometheus_client", "typer"}
    program = f"import agent_memory, sys; print(*{technology} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert loaded.split() == []
