"""What the next prompt of a conversation will begin with, once the client sends the answer back.

A client may leave out what the model thought, and a template leaves out older thoughts; a call comes back in the
template's form, not in the model's tokens. Each of these is another beginning than the one that was spoken.
"""

from collections.abc import Iterator, Sequence

from agent_memory.application.prompt import Prompt
from agent_memory.application.replies import Answer
from agent_memory.domain.chat import Message
from agent_memory.domain.kv.block import common_prefix, pack
from agent_memory.ports.language import ChatTokenizer, Rendered

MOST = 8192  # tokens that are read for it


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
    """A next prompt, up to where the answer ends."""
    one = _rendered(prompt, said, "1", tokenizer)
    if len(one.answers) == sum(message.role == "assistant" for message in (*prompt.messages, said)):
        end = one.answers[-1][1]
    else:  # it cannot be told for each answer: what another next prompt has in common with this one
        other = _rendered(prompt, said, "x", tokenizer)
        common = common_prefix(pack(one.tokens), pack(other.tokens))
        end = next((at for at in reversed(range(common)) if one.tokens[at] in tokenizer.stop_tokens), common)
    return Rendered(
        one.tokens[:end],
        tuple(mark for mark in one.marks if mark < end),
        tuple((start, stop) for start, stop in one.answers if stop <= end),
    )


def _rendered(prompt: Prompt, said: Message, text: str, tokenizer: ChatTokenizer) -> Rendered:
    talk = (*prompt.messages, said, *_following(said, text))
    return tokenizer.render(talk, prompt.use.tools, thinking=prompt.thinking)


def _following(said: Message, text: str) -> tuple[Message, ...]:
    if said.calls:
        return tuple(Message("tool", text, call_id=call.id) for call in said.calls)
    return (Message("user", text),)
