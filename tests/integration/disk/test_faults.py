"""Whatever becomes of the folder, before a start or under a running engine: every answer is the uncached one, and the
engine goes on. On the toy model, where one wrong cache entry changes every token that follows.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from disks import files, opened
from world import uncached

from agent_memory.adapters.in_memory.runtime import ToyRuntime
from agent_memory.application.engine import Engine
from agent_memory.application.read_ahead import ReadAhead
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import Finished, Said, Started
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId

PROMPT = tuple(random.Random(5).randrange(3) for _ in range(41))
OTHER_PROMPT = (*PROMPT[:22], *(random.Random(6).randrange(3) for _ in range(20)))


class Desk:
    """An engine on a folder, as a process opens it."""

    def __init__(self, folder: Path, key: bytes | None, weights: str = "toy", window: int = 0) -> None:
        self.runtime = ToyRuntime(vocabulary=3, window=window, weights=weights)
        self.weights, self.window = weights, window
        spec = self.runtime.spec
        self.store = opened(folder, key, model=self.runtime.fingerprint, spec=spec.identity)
        self.writer, self.ahead = WriteBehind(self.store, lambda: None), ReadAhead(self.store, 1 << 20)
        scheduler = Scheduler(spec, Ledger(spec, 1 << 20), max_turns=1)
        self.engine = Engine(self.runtime, TieredBlocks(self.store, self.writer, self.ahead), scheduler)
        self.asked = 0

    def ask(self, *prompts) -> list[int]:
        """Ask for them all at once; each answer is held against the uncached one. How many tokens were cached."""
        turns, said, cached = {}, {}, {}
        for prompt in prompts:
            self.asked += 1
            turn = TurnId(f"t{self.asked}")
            turns[turn], said[turn] = prompt, []
            root = self.engine.namespace("tenant").root
            self.engine.submit(Turn(turn, root, list(prompt), 6, Sampling(temperature=0)))
        finished = 0
        while finished < len(prompts) or not self.engine.idle:
            self.ahead.drain()
            for event in self.engine.step():
                match event:
                    case Started(turn, count):
                        cached[turn] = count
                    case Said(turn, token):
                        said[turn].append(token)
                    case Finished():
                        finished += 1
                    case _:
                        raise AssertionError(event)
            self.writer.drain()
            self.engine.check()
        for turn, prompt in turns.items():
            assert tuple(said[turn]) == uncached(self.weights, (True, self.window, False), prompt, 6)
        return [cached[turn] for turn in turns]


@pytest.fixture(autouse=True)
def no_power_cuts(monkeypatch):
    """What these tests do not try; it is most of their time."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture(params=[0, 6], ids=["full", "windowed"])
def window(request):
    return request.param


@pytest.fixture
def folder(tmp_path, key, window):
    """A conversation is on disk, and its process is gone."""
    folder = tmp_path / "kv"
    desk = Desk(folder, key, window=window)
    desk.ask(PROMPT)
    assert Desk(folder, key, window=window).ask(PROMPT) == [40]
    return folder


def each_file(change):
    """A fault that befalls every block file."""

    def befall(folder):
        for path in files(folder):
            change(path)

    return befall


def cut(share):
    return each_file(lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)]))


def cut_to(length):
    return each_file(lambda path: path.write_bytes(path.read_bytes()[:length]))


@each_file
def flip(path):
    data = bytearray(path.read_bytes())
    data[random.Random(path.name).randrange(len(data))] ^= 1 << random.Random(path.name).randrange(8)
    path.write_bytes(data)


@each_file
def flip_a_tensor(path):
    data = bytearray(path.read_bytes())
    data[-1 - random.Random(path.name).randrange(32)] ^= 4
    path.write_bytes(data)


def swap(folder):
    """Every file lies under another's name, of the same length where there is one."""
    paths = sorted(files(folder), key=lambda path: path.stat().st_size)
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)


@each_file
def become_a_folder(path):
    path.unlink()
    path.mkdir()


@each_file
def be_newer(path):
    path.write_bytes(path.read_bytes().replace(b'"version":"1"', b'"version":"2"'))


def become_a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("a file where the folder was")


FAULTS = {
    "empty": cut(0),
    "cut in the length": cut_to(5),
    "cut after the length": cut_to(8),
    "cut in the header": cut(0.3),
    "cut in the tensors": cut_to(-9),
    "cut by a byte": cut_to(-1),
    "a flipped bit": flip,
    "a flipped bit in the tensors": flip_a_tensor,
    "under another's name": swap,
    "a newer version": be_newer,
    "files became folders": become_a_folder,
    "files are gone": each_file(Path.unlink),
    "the folder is gone": shutil.rmtree,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_before_the_start(folder, key, window, fault):
    FAULTS[fault](folder)
    desk = Desk(folder, key, window=window)
    [cached] = desk.ask(PROMPT)
    assert cached == 0 or (fault == "a newer version" and key)  # there is no version to change in what is sealed
    desk.ask(OTHER_PROMPT, PROMPT)
    Desk(folder, key, window=window).ask(PROMPT)
    healed = Desk(folder, key, window=window).ask(PROMPT)
    assert healed == [40] or fault in ("a newer version", "files became folders")


@pytest.mark.parametrize("fault", [*FAULTS, "became a file"])
def test_a_fault_under_the_running_engine(folder, key, window, fault):
    desk = Desk(folder, key, window=window)
    (FAULTS | {"became a file": become_a_file})[fault](folder)
    [cached] = desk.ask(PROMPT)
    assert cached == 0 or (fault == "a newer version" and key)
    desk.ask(OTHER_PROMPT, PROMPT)
    assert desk.ask(PROMPT) == [40]  # from memory at least


@pytest.mark.parametrize("fault", ["a flipped bit in the tensors", "files are gone", "the folder is gone"])
def test_a_fault_while_the_next_turns_blocks_are_read_ahead(folder, key, window, fault):
    desk = Desk(folder, key, window=window)
    read = desk.store.get

    def fail_late(found):
        payload = read(found)
        if folder.exists() and desk.ahead.nbytes > 100:
            FAULTS[fault](folder)
        return payload

    desk.store.get = fail_late
    desk.ask((1, 2, 0, 1, 2), PROMPT, OTHER_PROMPT, PROMPT)


def test_another_model_of_equal_geometry_restores_nothing(folder, key, window):
    assert Desk(folder, key, "other", window).ask(PROMPT) == [0]


def test_a_model_with_another_window_restores_nothing(folder, key, window):
    assert Desk(folder, key, window=window + 3).ask(PROMPT) == [0]


def test_files_of_another_model_under_the_names_of_this_one_are_not_believed(folder, key, window):
    others = files(folder)
    desk = Desk(folder, key, "other", window)
    desk.ask(PROMPT)
    ours = [path for path in files(folder) if path not in others]
    for path, theirs in zip(ours, others, strict=True):
        path.write_bytes(theirs.read_bytes())
    assert Desk(folder, key, "other", window).ask(PROMPT) == [0]


@pytest.mark.parametrize("place", ["block", "index", "written"])
def test_a_full_disk_fails_the_write_and_nothing_else(folder, key, window, place):
    """Every write to /dev/full is answered with ENOSPC."""
    desk = Desk(folder, key, window=window)
    fresh = tuple((token + 1) % 3 for token in PROMPT)
    shelf = desk.store._shelves[0]
    if place == "block":
        path_of = shelf.path

        def full(found):
            path = path_of(found)
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                temporary = path.with_suffix(".tmp")
                temporary.unlink(missing_ok=True)
                temporary.symlink_to("/dev/full")
            return path

        shelf.path = full
    else:
        at = shelf.folder / "index" if place == "index" else folder / "written"
        at.unlink()
        at.symlink_to("/dev/full")
    assert desk.ask(fresh) == [0]
    assert desk.ask(fresh) == [40]
    stats = desk.engine.stats()
    assert (stats.write_errors_total > 0) == (place == "block")
    assert desk.ask(PROMPT) == [40]
    if place != "block":
        at.unlink()  # it can be read without end
    back = Desk(folder, key, window=window)
    assert back.ask(PROMPT) == [40]
    assert back.ask(fresh) == ([0] if place == "block" else [40])


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, "tests")
sys.path.insert(0, "tests/integration/disk")
from test_faults import Desk, PROMPT
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
desk = Desk(Path(sys.argv[1]), None)
print(desk.ask(PROMPT), desk.ask(PROMPT), desk.engine.stats().write_errors_total)
"""


@pytest.mark.parametrize("limit", [0, 1, 100, 400])
def test_a_process_that_may_not_write_serves_from_memory(tmp_path, limit):
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "kv"), str(limit)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.startswith("[0] [40] ")
    assert int(told.stdout.split()[-1]) > 10
    assert files(tmp_path / "kv") == []
    assert Desk(tmp_path / "kv", None).ask(PROMPT) == [0]


def test_a_spent_write_budget_leaves_blocks_in_memory(folder, key, window, tmp_path):
    desk = Desk(folder, key, window=window)
    desk.store._meter._wear.daily_budget = desk.store.written.today
    fresh = tuple((token + 1) % 3 for token in PROMPT)
    assert desk.ask(fresh) == [0]
    assert desk.ask(fresh) == [40]
    stats = desk.engine.stats()
    assert stats.writes_withheld_total > 0
    assert stats.write_errors_total == 0
    assert stats.bytes_written_total == desk.store.written.total > 0
    assert Desk(folder, key, window=window).ask(PROMPT) == [40]  # restores go on
