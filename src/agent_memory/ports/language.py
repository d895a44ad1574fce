"""What a conversation needs of a model's language: its tokenizer and chat template, and grammars in its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from agent_memory.domain.chat import Message, Tool
from agent_memory.domain.kv.constraint import Constraint
from agent_memory.domain.speech import Markers, Speech


@dataclass(frozen=True, slots=True)
class Rendered:
    """`marks` are positions that other conversations may share, such as the end of the system prompt; `answers` are
    where the assistant's messages begin and end, as far as that can be told to the token. The template may have begun
    a thought, so that the model is `thinking` from its first token on.
    """

    tokens: list[int]
    marks: tuple[int, ...] = ()
    answers: tuple[tuple[int, int], ...] = ()
    thinking: bool = False


class TextStream(Protocol):
    """Turns one answer's tokens into text as they come. Concatenated, the pieces are the text of all tokens."""

    def add(self, token: int) -> str:
        """The text that is certain by now; may be empty while a character is incomplete."""
        ...

    def finish(self) -> str:
        """What is left."""
        ...


class ChatTokenizer(Protocol):
    """The model's tokenizer and chat template. Used from one thread at a time."""

    @property
    def stop_tokens(self) -> frozenset[int]: ...

    @property
    def vocabulary(self) -> int:
        """How many tokens there are; their ids are below it."""
        ...

    @property
    def beginning(self) -> tuple[int, ...]:
        """What every text begins with for this model; often nothing."""
        ...

    def encode(self, text: str) -> list[int]:
        """Plain text as tokens, without a template and without special tokens."""
        ...

    @property
    def speech(self) -> Speech: ...

    def render(self, messages: Sequence[Message], tools: Sequence[Tool] = (), *, thinking: bool = True) -> Rendered:
        """The whole conversation as tokens, up to where the assistant speaks; a model that can is asked to think first,
        or not to. Raises InvalidInput when the template refuses the messages.
        """
        ...

    def message_of(
        self, messages: Sequence[Message], token: int, tools: Sequence[Tool] = (), *, thinking: bool = True
    ) -> int | None:
        """Which message this token of their rendering falls in; None behind them all, or where it cannot be told."""
        ...

    def text_of(self, token: int) -> str:
        """What it says when it stands alone."""
        ...

    def stream(self) -> TextStream: ...


@dataclass(frozen=True, slots=True)
class Grammar:
    """A language of answers: a JSON schema, a regular expression, or a grammar in Lark's notation. `field` is where a
    request had it.
    """

    kind: Literal["json_schema", "regex", "lark"]
    text: str
    field: str = "grammar"


@dataclass(frozen=True, slots=True)
class Calls:
    """Of which tools: their names and schemas are kept to. An answer holds one at least where they are `forced`, and
    one at most unless there may be `many`. Without tools, the marker that begins a call is never said.
    """

    tools: tuple[Tool, ...]
    markers: Markers
    forced: bool = False
    many: bool = True


@dataclass(frozen=True, slots=True)
class Foreword:
    """A thought that may come before what is kept to. It has `begun` where the prompt ends inside it."""

    markers: Markers
    begun: bool


@dataclass(frozen=True, slots=True)
class Form:
    """What an answer may be: text, of a `grammar` if there is one, or calls."""

    grammar: Grammar | None = None
    calls: Calls | None = None
    foreword: Foreword | None = None


class GrammarCompiler(Protocol):
    """Spells forms in the tokens of one tokenizer. May be used from any thread."""

    def compile(self, form: Form) -> Constraint:
        """Raises InvalidInput, naming the grammar's field or the tool, for one that is wrong or cannot be kept to."""
        ...
