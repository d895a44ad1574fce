"""What the next prompt of a conversation will begin with, once the client sends the answer back.

A client may leave out what the model thought, and a template leaves out older thoughts; a call comes back in the
template's form, not in the model's tokens. Each of these is another beginning than the one that was spoken.
"""

from collections.abc import Iterator, Sequence

from agent_memory.application.prompt import Prompt
from agent_memory.application.replies import Answer
from agent_memory.domain.chat import Message
from agent_memory.domain.kv.block import common_prefix, pack
from agent_memory.ports.kv import ChatTokenizer, Rendered

MOST = 8192  # tokens that are read for it
_PROBES = ("1", "x")  # two messages that nothing of is the same


def beginnings(prompt: Prompt, answer: Answer, spoken: Sequence[int], tokenizer: ChatTokenizer) -> Iterator[Rendered]:
    """The conversation up to the end of the answer, in each form that differs from what was `spoken`: the prompt's
    tokens and the answer's. Answers that would take long to read again are not worth it.
    """
    seen = {tuple(spoken)}
    for reasoning in dict.fromkeys(("", answer.reasoning)):
        said = Message("assistant", answer.text, reasoning, tuple(answer.calls))
        begun = _begun(prompt, said, tokenizer)
        tokens = tuple(begun.tokens)
        new = len(tokens) - common_prefix(pack(begun.tokens), pack(list(spoken)))
        if 0 < new <= MOST and tokens not in seen:
            seen.add(tokens)
            yield begun


def _begun(prompt: Prompt, said: Message, tokenizer: ChatTokenizer) -> Rendered:
    """What two different next prompts have in common, up to where the answer ends."""
    one, other = (
        tokenizer.render((*prompt.messages, said, *_following(said, probe)), prompt.use.tools, thinking=prompt.thinking)
        for probe in _PROBES
    )
    common = common_prefix(pack(one.tokens), pack(other.tokens))
    stops = (at for at in range(common - 1, -1, -1) if one.tokens[at] in tokenizer.stop_tokens)
    end = max(next(stops, 0), max((end for _, end in one.answers if end <= common), default=0)) or common
    return Rendered(
        one.tokens[:end],
        tuple(mark for mark in one.marks if mark < end),
        tuple((start, stop) for start, stop in one.answers if stop <= end),
    )


def _following(said: Message, text: str) -> tuple[Message, ...]:
    if said.calls:
        return tuple(Message("tool", text, call_id=call.id) for call in said.calls)
    return (Message("user", text),)
