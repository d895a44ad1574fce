"""Parts that many tests share: one database server and one prepared embedding model for the whole run."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agent_memory.adapters.onnx.installation import installed
from agent_memory.adapters.postgres.cluster import Cluster
from agent_memory.adapters.postgres.embedded import Server

# How long an example takes is the machine's matter.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# Where several of us run side by side, each has a core: the threads of a BLAS would only wait for those of the others.
# What they compute with several threads is the same: `tests/integration/mlx/test_threads.py`.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def conninfo(tmp_path_factory):
    server = Server(Cluster(tmp_path_factory.mktemp("data")))
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    installed(folder)
    return folder
