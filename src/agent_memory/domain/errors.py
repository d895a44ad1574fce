"""Every error that a caller of agent_memory can meet.

AgentMemoryError
├── InvalidInput       the request itself is wrong: names the field and the limit
├── NotFound           the thing named does not exist, or is not yours to see
├── Forgotten          what the same request has made before is forgotten, and is not made again
├── Conflict           the thing exists already, or is in a state that forbids the request
│   └── StaleVersion   it is not at the version that the request names
├── Forbidden          your key does not reach that far
├── RateLimited        you asked too often: says how long to wait
├── Overloaded         everybody asked too much: says how long to wait
├── Unavailable        a part we need (database, model) is not there right now
├── GenerationFailed   the model could not finish a turn
├── DeadlineExceeded   the answer was not complete in the time that it was given
├── CorruptBlock       a stored block is damaged or foreign: the tiers treat it as a miss
└── Misconfigured      settings, folders or ports that cannot work: found before the server listens
"""

CLOSED = "the memory is closed: it is used after what opened it was left"
FORKED = "the memory belongs to the process that opened it; one that was forked since has to open its own"


class AgentMemoryError(Exception):
    """The root: catch this to catch everything that is ours."""


class InvalidInput(AgentMemoryError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class NotFound(AgentMemoryError):
    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"no {kind} {name!r}")
        self.kind = kind
        self.name = name


class Forgotten(AgentMemoryError):
    pass


class Conflict(AgentMemoryError):
    pass


class StaleVersion(Conflict):
    pass


class Forbidden(AgentMemoryError):
    pass


class RateLimited(AgentMemoryError):
    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(AgentMemoryError):
    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(AgentMemoryError):
    """`retry_after` is in seconds, where it can be told."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class GenerationFailed(AgentMemoryError):
    pass


class DeadlineExceeded(AgentMemoryError):
    def __init__(self) -> None:
        super().__init__("the answer was not complete in the time that the request allowed for it")


class CorruptBlock(AgentMemoryError):
    pass


class Misconfigured(AgentMemoryError):
    pass
