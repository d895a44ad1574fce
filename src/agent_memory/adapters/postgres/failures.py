"""What a failure of the database means to a caller, and whether it is worth another attempt."""

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from agent_memory.domain.errors import CLOSED, Unavailable

PASSING = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
# What the next attempt would meet as well; and who waited for a connection has no time left for another.
SHORT = (
    psycopg.errors.DiskFull,
    psycopg.errors.OutOfMemory,
    psycopg.errors.InsufficientResources,
    psycopg.errors.ConfigurationLimitExceeded,
)
# Others write the same at once: nothing is done, nothing is lost, and the next attempt comes after theirs.
ROLLED_BACK = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
LASTING = (psycopg.errors.QueryCanceled, psycopg.errors.ProgramLimitExceeded, *SHORT, PoolTimeout, PoolClosed)
ONLY_READS = psycopg.errors.ReadOnlySqlTransaction
KNOWN = (*PASSING, *LASTING, ONLY_READS)

_COME_BACK = 2.0  # seconds: within them a database that is back is in use again


def meant(error: BaseException) -> Unavailable:
    """By one of those that are `KNOWN`, of a database that is in use."""
    match error:
        case PoolClosed():
            return Unavailable(CLOSED)
        case psycopg.errors.QueryCanceled():
            told = "the database took longer than DB_COMMAND_TIMEOUT"
        case psycopg.errors.ProgramLimitExceeded():
            told = "the database cannot do that"
        case psycopg.errors.ReadOnlySqlTransaction():
            told = "the database takes no writes"
        case error if isinstance(error, SHORT):
            return short(error)
        case error if isinstance(error, ROLLED_BACK):
            return Unavailable(f"others write the same all the time: {first_line(error)}", _COME_BACK)
        case _:
            return away(error, _COME_BACK)
    return Unavailable(f"{told}: {first_line(error)}")


def away(error: BaseException, retry_after: float | None = None) -> Unavailable:
    return Unavailable(f"the database does not answer: {first_line(error)}", retry_after)


def short(error: BaseException) -> Unavailable:
    what = "has no room left on its disk" if isinstance(error, psycopg.errors.DiskFull) else "lacks resources"
    return Unavailable(f"the database {what}: {first_line(error)}")


def first_line(error: BaseException | None) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0]
