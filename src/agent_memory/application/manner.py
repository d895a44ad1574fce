"""How an answer is to be given: what it is held to, and how it is told apart.

A model whose calls are JSON is held to the tools' schemas from the marker that begins a call. One with a syntax of its
own is left to it, and its calls are read when they are complete; where it has to be held to something, that is JSON.
"""

from dataclasses import dataclass

from agent_memory.application.prompt import Prompt
from agent_memory.application.utterance import Calling, Utterance
from agent_memory.domain.chat import Tool
from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.speech import JSON_CALL, Markers, Speech, parse_json
from agent_memory.ports.language import Calls, Foreword, Form, Rendered


@dataclass(frozen=True, slots=True)
class Manner:
    """`form` None is any text."""

    form: Form | None
    calling: Calling | None
    thought: Markers | None
    thinking: bool

    @classmethod
    def of(cls, prompt: Prompt, speech: Speech, rendered: Rendered, *, constrained: bool) -> "Manner":
        """Raises InvalidInput for tools that cannot be asked for like this. What is given as it is, is gone on with as
        it is: nothing is told apart.
        """
        if prompt.given is not None:
            return cls(Form(prompt.grammar) if prompt.grammar else None, None, None, thinking=False)
        tools = _callable(prompt)
        own = speech.parse if constrained else speech.parse or parse_json
        held = prompt.use.choice not in ("auto", "none") or prompt.grammar is not None
        calls = calling = None
        if tools and own is not None and not held:
            calling = Calling(speech.call, own, tools)
        elif tools:
            calls = Calls(tools, JSON_CALL, forced=prompt.use.choice != "auto", many=prompt.use.parallel)
            calling = Calling(JSON_CALL)
        elif prompt.use.tools and prompt.grammar is None and constrained:
            calls = Calls((), speech.call)
        form = None
        if calls or prompt.grammar:
            thinks = speech.thought if prompt.thinking or rendered.thinking else None
            foreword = Foreword(thinks, rendered.thinking) if thinks else None
            form = Form(None if calls and calls.forced else prompt.grammar, calls, foreword)
        return cls(form, calling, speech.thought, rendered.thinking)

    def utterance(self) -> Utterance:
        return Utterance(self.thought, self.calling, thinking=self.thinking)


def _callable(prompt: Prompt) -> tuple[Tool, ...]:
    """The tools that may be called."""
    use = prompt.use
    if isinstance(use.choice, Tool):
        return (use.choice,)
    if use.choice == "required" and not use.tools:
        raise InvalidInput("tool_choice", "there are no tools to choose from")
    return () if use.choice == "none" else use.tools
