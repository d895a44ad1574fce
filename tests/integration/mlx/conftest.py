import itertools

import pytest
from models import CONFIGS, make_model

from agent_memory.adapters.disk.agents import DiskAgentStore
from agent_memory.adapters.disk.blocks import DiskBlockStore
from agent_memory.adapters.disk.bundle import TarBundleFormat
from agent_memory.adapters.mlx.loading import load_model
from agent_memory.application.agents import Agents
from agent_memory.application.engine import Engine
from agent_memory.application.tiered_blocks import TieredBlocks
from agent_memory.application.write_behind import WriteBehind
from agent_memory.domain.kv.agents import AgentName
from agent_memory.domain.kv.attention import AttentionChoice
from agent_memory.domain.kv.ledger import Ledger
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.scheduler import Scheduler
from agent_memory.domain.kv.steps import Failed, Finished, Said, Started
from agent_memory.domain.kv.turn import Sampling, Turn, TurnId

NAMES = itertools.count()


class Bench:
    """An engine on a real model, driven by hand."""

    def __init__(self, runtime, folder, *, pool=1 << 30, **settings):
        self.store = DiskBlockStore(folder, 1 << 30, runtime.fingerprint, runtime.spec.identity)
        self.writer = WriteBehind(self.store, lambda: None)
        spec = runtime.spec
        scheduler = Scheduler(spec, Ledger(spec, pool), **settings)
        agents = DiskAgentStore(folder)
        self.engine = Engine(runtime, TieredBlocks(self.store, self.writer), scheduler, agents)
        self.agents = Agents(self.ask_holdings, TarBundleFormat())

    async def ask_holdings(self, question):
        answer = question(self.engine.holdings)
        self.writer.drain()
        self.engine.step()
        return answer

    def submit(self, tokens, count=16, *, tenant="tenant", sampling=None, marks=(), answers=(), agent=None):
        root = self.engine.namespace(tenant).root
        name, sampling = TurnId(f"t{next(NAMES)}"), sampling or Sampling(0)
        turn = Turn(name, root, list(tokens), count, sampling, marks=marks, answers=answers)
        turn.agent = None if agent is None else AgentName(tenant, agent)
        self.engine.submit(turn)
        return turn.id

    def rehearse(self, tokens, answers):
        root = self.engine.namespace("tenant").root
        self.engine.rehearse(Turn(TurnId(f"t{next(NAMES)}"), root, list(tokens), 0, answers=answers, only_read=True))
        self.finish()

    def finish(self, *turns):
        """Run to the end; (answer, cached tokens) of each turn."""
        answers, cached, open_turns = {turn: [] for turn in turns}, {}, set(turns)
        while open_turns or not self.engine.idle:
            for event in self.engine.step():
                match event:
                    case Started(turn, tokens):
                        cached[turn] = tokens
                    case Said(turn, token):
                        answers[turn].append(token)
                    case Finished(turn, _):
                        open_turns.discard(turn)
                    case Failed(_, error):
                        raise error
            self.writer.drain()
            self.engine.check()
        return [(answers[turn], cached[turn]) for turn in turns]

    def tow(self):
        """Close every parked cache: what comes is restored from blocks."""
        ledger = self.engine.scheduler.ledger
        while (turn := ledger.parking.longest_parked()) is not None:
            ledger._tow(turn)

    def ask(self, tokens, count=16, **options):
        return self.finish(self.submit(tokens, count, **options))[0]


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    return {kind: make_model(base / kind, kind) for kind in CONFIGS}


@pytest.fixture(scope="session")
def load(folders, tmp_path_factory):
    """Load each kind at each precision once; "llama, packed" is a llama that attends over packed blocks."""
    loaded = {}
    memory = tmp_path_factory.mktemp("memory")

    def get(kind, bits=4):
        if (kind, bits) not in loaded:
            folder, _, attention = kind.partition(", ")
            choice = AttentionChoice(attention or "expanded")
            loaded[kind, bits] = load_model(folders[folder], Precision.of(bits), memory, choice)
        return loaded[kind, bits]

    return get


@pytest.fixture
def bench(tmp_path):
    return lambda runtime, name="kv", **settings: Bench(runtime, tmp_path / name, **settings)
