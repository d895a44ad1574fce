"""What a scrape answers: the figures of this process, or of all worker processes of a server together.

Workers write their figures to files in one folder, which the variable names before this library is imported.
"""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def scrape(registry: CollectorRegistry) -> bytes:
    folder = os.environ.get(FOLDER)
    if folder is not None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, folder)
    return generate_latest(registry)


def forget_worker(pid: int, folder: Path) -> None:
    """What a worker that has ended had open is open no more; what it counted stays counted."""
    mark_process_dead(pid, str(folder))
