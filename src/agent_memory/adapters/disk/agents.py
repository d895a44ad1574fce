"""Agents as rows of one SQLite file in the cache folder, in the envelope of the blocks: an id is data there, never a
name of anything, and where blocks are sealed so are the rows.

Whoever owns the folder has the file to himself.
"""

import hashlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from agent_memory.adapters.disk.envelope import Envelope, Plain
from agent_memory.domain.errors import CorruptBlock, Misconfigured
from agent_memory.domain.kv.agents import Agent, AgentName
from agent_memory.domain.kv.block import BlockHash, Part, PartKey

log = logging.getLogger(__name__)

FILE = "agents.sqlite"
_VERSION = 1
_DIGEST = 32  # bytes of a block's hash
_TABLE = "CREATE TABLE IF NOT EXISTS agents (name TEXT PRIMARY KEY, note BLOB NOT NULL) WITHOUT ROWID"


class _Note(msgspec.Struct, frozen=True, array_like=True):
    """`blocks` are hashes side by side, times are seconds."""

    tenant: str
    id: str
    created: float
    last_used: float
    blocks: bytes
    tokens: int
    turns: int
    hits: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    pinned: bool
    ttl: float | None
    forked_from: str | None


_decoder = msgspec.msgpack.Decoder(_Note)
_encoder = msgspec.msgpack.Encoder()


class DiskAgentStore:
    """A commit waits for no disk: it survives the end of the process at once, that of the power after a moment."""

    def __init__(self, folder: Path, envelope: Envelope | None = None) -> None:
        self._envelope = envelope or Plain()
        self._database = _opened_or_anew(folder / self._envelope.folder)
        if envelope is not None and (folder / FILE).exists():
            self._take_over(folder)

    def load(self) -> Iterable[Agent]:
        agents = []
        for (sealed,) in self._database.execute("SELECT note FROM agents"):
            try:
                agents.append(_agent(_decoder.decode(self._envelope.unwrap_note(sealed))))
            except (CorruptBlock, msgspec.DecodeError, ValueError, OverflowError) as error:
                log.warning("an agent cannot be read and is left out: %s", error)
        return agents

    def put(self, agent: Agent) -> None:
        note = self._envelope.wrap_note(_encoder.encode(_note(agent)))
        with _as_os_error():
            self._database.execute("REPLACE INTO agents VALUES (?, ?)", (self._name(agent.name), note))

    def delete(self, name: AgentName) -> None:
        with _as_os_error():
            self._database.execute("DELETE FROM agents WHERE name = ?", (self._name(name),))

    def close(self) -> None:
        self._database.close()

    def _name(self, name: AgentName) -> str:
        digest = hashlib.sha256(f"{len(name.tenant)} {name.tenant}{name.id}".encode()).hexdigest()
        return self._envelope.name(PartKey(BlockHash(digest), Part.LASTING))

    def _take_over(self, folder: Path) -> None:
        """What was written plain before there was a key, or while there was none for a time."""
        plain, sealed = DiskAgentStore(folder), {agent.name: agent for agent in self.load()}
        for agent in plain.load():
            self.put(sealed[agent.name].resumed(agent) if agent.name in sealed else agent)
        plain.close()
        for file in folder.glob(f"{FILE}*"):
            file.unlink()


def _opened_or_anew(folder: Path) -> sqlite3.Connection:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / FILE
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        log.warning("%s cannot be read and is put aside; its agents are unknown: %s", path, error)
    path.replace(path.with_suffix(".damaged"))
    for rest in folder.glob(f"{FILE}-*"):
        rest.unlink()
    return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    path.touch(mode=0o600)  # what SQLite puts beside it may be read by whoever may read this
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        _refuse_later(path, *database.execute("PRAGMA user_version").fetchone())
        database.execute(_TABLE)
        database.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        database.close()
        raise
    return database


def _refuse_later(path: Path, version: int) -> None:
    if version > _VERSION:
        raise Misconfigured(f"{path} was written by a later version of this program")


@contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"agents cannot be written down: {error}") from error


def _note(agent: Agent) -> _Note:
    return _Note(
        *agent.name,
        agent.created.timestamp(),
        agent.last_used.timestamp(),
        bytes.fromhex("".join(agent.blocks)),
        agent.tokens,
        agent.turns,
        agent.hits,
        agent.prompt_tokens,
        agent.cached_tokens,
        agent.generated_tokens,
        agent.pinned,
        None if agent.ttl is None else agent.ttl.total_seconds(),
        agent.forked_from,
    )


def _agent(note: _Note) -> Agent:
    return Agent(
        AgentName(note.tenant, note.id),
        datetime.fromtimestamp(note.created, UTC),
        datetime.fromtimestamp(note.last_used, UTC),
        tuple(BlockHash(note.blocks[at : at + _DIGEST].hex()) for at in range(0, len(note.blocks), _DIGEST)),
        note.tokens,
        note.turns,
        note.hits,
        note.prompt_tokens,
        note.cached_tokens,
        note.generated_tokens,
        note.pinned,
        None if note.ttl is None else timedelta(seconds=note.ttl),
        note.forked_from,
    )
