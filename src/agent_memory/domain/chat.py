"""What is said in a conversation, free of any vendor's dialect."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """`role` is system, user, assistant or tool."""

    role: str
    content: str
