"""Every door at once, for a few seconds, by clients that do not all behave; the benchmark does it for ten minutes."""

import pytest
from benchmarks.doors.__main__ import leaks, run

pytestmark = pytest.mark.integration


def test_nothing_stays_behind(models_dir, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_dir)
    figures = run(tmp_path, 5, 8)
    assert not any(leaks(figures).values()), figures
    assert figures["answered"] > 0
