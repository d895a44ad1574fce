"""Writer and reader on threads of their own, a pool that holds a fraction, damage all the while: the answers are the
uncached ones.
"""

import random
import threading

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
from agent_memory.domain.kv.steps import Failed, Finished, Said, Started
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId


class Office:
    def __init__(self, folder, key, window):
        self.runtime, self.window = ToyRuntime(vocabulary=3, window=window), window
        spec = self.runtime.spec
        store = opened(folder, key, 60_000, model=self.runtime.fingerprint, spec=spec.identity)
        self.woken = threading.Event()
        self.writer, self.ahead = WriteBehind(store, self.woken.set), ReadAhead(store, 600)
        self.writer.start()
        self.ahead.start()
        scheduler = Scheduler(spec, Ledger(spec, 3000), max_turns=2)
        self.engine = Engine(self.runtime, TieredBlocks(store, self.writer, self.ahead), scheduler)
        self.asked, self.cached, self.from_disk = {}, 0, 0

    def submit(self, prompt):
        turn = TurnId(f"t{len(self.asked)}")
        self.asked[turn] = (prompt, [])
        root = self.engine.namespace("tenant").root
        self.engine.submit(Turn(turn, root, list(prompt), 4, Sampling(temperature=0)))

    def work(self):
        """Until everybody is answered."""
        waiting = len(self.engine.scheduler.queue.waiting)
        while waiting:
            self.woken.clear()
            for event in self.engine.step():
                waiting -= self.hear(event)
            self.engine.check()
            if self.engine.idle:
                self.woken.wait(0.01)

    def hear(self, event):
        match event:
            case Started(_, cached, disk):
                self.cached += cached
                self.from_disk += disk
            case Said(turn, token):
                self.asked[turn][1].append(token)
            case Finished(turn):
                prompt, said = self.asked[turn]
                assert tuple(said) == uncached("toy", (True, self.window, False), prompt, 4)
                return True
            case Failed(_, error):
                raise error
        return False

    def close(self):
        self.engine.close()


@pytest.mark.parametrize("window", [0, 6])
@pytest.mark.parametrize("seed", range(3))
def test_agents_that_come_back_to_a_full_house(tmp_path, key, window, seed, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)
    dice = random.Random(seed)
    histories = [tuple(dice.randrange(3) for _ in range(24)) for _ in range(6)]
    office = Office(tmp_path, key, window)
    for _ in range(18):  # how much of it comes from the disk depends on the threads
        for number in dice.sample(range(6), 4):
            histories[number] += tuple(dice.randrange(3) for _ in range(3))
            office.submit(histories[number])
        office.work()
        found = files(tmp_path)
        if found and dice.random() < 0.5:
            dice.choice(found).write_bytes(b"damage")
    office.close()
    assert office.from_disk > 100
    assert office.cached >= office.from_disk
