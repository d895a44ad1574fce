"""What is written is counted over restarts, and keeps to a daily budget."""

from datetime import date, timedelta

import pytest
from disks import PAYLOAD, ROOT, conversation, files, lasting, opened

from agent_memory.adapters.disk.meter import Meter
from agent_memory.domain.kv.block import Part
from agent_memory.domain.kv.wear import WritesSpent

TODAY = date(2026, 3, 1)


class Calendar:
    day = TODAY

    def __call__(self):
        return self.day


@pytest.fixture
def calendar():
    return Calendar()


def metered(folder, key, budget, calendar):
    return opened(folder, key, meter=Meter(folder / "written", budget, calendar))


def test_every_byte_is_counted_also_those_of_the_index(tmp_path, key, calendar):
    store = metered(tmp_path, key, None, calendar)
    for block in conversation(5):
        store.put(block, Part.LASTING, PAYLOAD, ROOT)
    lies = sum(path.stat().st_size for path in [*files(tmp_path), *tmp_path.rglob("index")])
    assert store.written == (lies, lies)


def test_the_counter_outlives_the_process_and_the_day(tmp_path, key, calendar):
    store = metered(tmp_path, key, None, calendar)
    store.put(conversation(1)[0], Part.LASTING, PAYLOAD, ROOT)
    today, total = store.written
    assert metered(tmp_path, key, None, calendar).written == (today, total)
    calendar.day += timedelta(days=1)
    assert store.written == metered(tmp_path, key, None, calendar).written == (0, total)


def test_what_exceeds_the_days_budget_is_withheld_until_the_next(tmp_path, key, calendar, caplog):
    blocks = conversation(20)
    store = metered(tmp_path, key, 5000, calendar)
    written = []
    for block in blocks:
        try:
            store.put(block, Part.LASTING, PAYLOAD, ROOT)
            written.append(block)
        except WritesSpent:
            store = metered(tmp_path, key, 5000, calendar)  # a restart does not help
    assert 1 <= len(written) < 10
    assert len(files(tmp_path)) == len(written)
    assert store.written.today <= 5000 + 1000
    assert all(store.get(lasting(block)) is not None for block in written)
    calendar.day += timedelta(days=1)
    store.put(blocks[-1], Part.LASTING, PAYLOAD, ROOT)


def test_it_says_so_once_a_day(tmp_path, calendar, caplog):
    store = metered(tmp_path, None, 100, calendar)
    for days in range(2):
        calendar.day = TODAY + timedelta(days=days)
        for block in conversation(3):
            with pytest.raises(WritesSpent):
                store.put(block, Part.LASTING, PAYLOAD, ROOT)
    assert caplog.text.count("kept in memory only until midnight") == 2


@pytest.mark.parametrize("damage", [b"", b"half a line", b'{"day": "yesterday"}', b"[]", b"\xff\xfe"])
def test_a_damaged_counter_begins_anew(tmp_path, damage, calendar, caplog):
    (tmp_path / "written").write_bytes(damage)
    store = metered(tmp_path, None, None, calendar)
    assert store.written == (0, 0)
    assert "the counter of written bytes is damaged" in caplog.text
    store.put(conversation(1)[0], Part.LASTING, PAYLOAD, ROOT)
    assert metered(tmp_path, None, None, calendar).written == store.written
