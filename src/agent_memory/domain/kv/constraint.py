"""What an answer is allowed to be. Knows tokens only; grammars and their compilers are an adapter's."""

from typing import Protocol


class Path(Protocol):
    """One answer on its way through a constraint."""

    def allowed(self) -> bytes:
        """Which tokens may come next: bit `i % 8` of byte `i // 8`, lowest bit first. What lies beyond is not allowed.
        There is always one: where nothing else can follow, a token that ends the answer.
        """
        ...

    def take(self, token: int) -> None:
        """It came. What is not allowed leaves nothing but the end."""
        ...


class Constraint(Protocol):
    """Immutable, and may be shared by many answers."""

    def begin(self) -> Path: ...
