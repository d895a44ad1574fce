"""A process is killed while it writes blocks; the benchmark does it a hundred times."""

from benchmarks import block_crashes


def test_what_was_written_is_there_after_a_kill_and_nothing_else():
    result = block_crashes.run(6)
    faults = {name: count for name, count in result.items() if name not in ("trials", "acknowledged")}
    assert not any(faults.values()), faults
    assert result["acknowledged"] > 0
