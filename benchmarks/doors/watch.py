"""What the server holds while nobody asks: turns, tasks, files, memory. Compared, it shows what is leaked."""

import re
import time
from dataclasses import asdict, dataclass

import httpx
import psutil

PATIENCE = 120
_TURNS = ("turns_running", "turns_waiting")


@dataclass(frozen=True)
class Held:
    turns: int
    parked: int
    """Caches of turns that have ended, left open for the next ones: they go when the caches are cleared."""
    pending_writes: int
    tasks: int
    client_connections: int
    """Without the one that asks."""
    database_connections: int
    database_in_use: int
    database_waiting: int
    files: int
    """Open descriptors, without the connections to clients and to the database, which go by themselves."""
    threads: int
    memory_mb: float

    @property
    def idle(self) -> bool:
        left = (self.turns, self.pending_writes, self.client_connections, self.database_in_use, self.database_waiting)
        return not any(left)


def held(url: str, pid: int) -> Held:
    told = httpx.get(f"{url}/metrics", timeout=60).text

    def metric(name: str) -> int:
        return round(sum(map(float, re.findall(rf"^agent_memory_{name} (\S+)$", told, re.MULTILINE))))

    process, port = psutil.Process(pid), int(url.rpartition(":")[2])
    with process.oneshot():
        inet = [each for each in process.net_connections("inet") if each.raddr]
        clients = [each for each in inet if each.laddr.port == port and each.status != psutil.CONN_TIME_WAIT]
        pool = metric('db_pool_connections{state="idle"}') + metric('db_pool_connections{state="in_use"}')
        return Held(
            turns=sum(metric(f"engine_{name}") for name in _TURNS),
            parked=metric("engine_turns_parked"),
            pending_writes=metric("engine_pending_writes"),
            tasks=metric("event_loop_tasks"),
            client_connections=len(clients),
            database_connections=pool,
            database_in_use=metric('db_pool_connections{state="in_use"}'),
            database_waiting=metric("db_pool_waiting"),
            files=process.num_fds() - len(clients) - pool,
            threads=process.num_threads(),
            memory_mb=round(process.memory_info().rss / 1e6, 1),
        )


def settled(url: str, pid: int) -> Held:
    """Once nothing is going on, and has not been for as long as the database's figures take to be counted anew."""
    ends, quiet = time.monotonic() + PATIENCE, 0
    while True:
        now = held(url, pid)
        quiet = quiet + 1 if now.idle else 0
        if quiet == 7 or time.monotonic() > ends:
            return now
        time.sleep(1)


def more(before: Held, after: Held) -> dict[str, float]:
    """What there is now that was not, by name."""
    was = asdict(before)
    return {name: round(value - was[name], 1) for name, value in asdict(after).items()}
