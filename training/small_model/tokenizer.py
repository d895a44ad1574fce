"""Our tokenizer: byte-level BPE over generated dialogues, so that any text goes in and comes out unchanged.

Turns are marked by special tokens alone. They are hard borders, so a longer conversation always
begins with the very tokens of the shorter one, which is what reusing a KV cache needs.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .dialogues import Message, conversations

VOCABULARY = 2048
PAD, BOS, EOS, SYSTEM, USER, ASSISTANT, TOOL, END = SPECIALS = (
    "<|pad|>", "<|bos|>", "<|eos|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>",
)  # fmt: skip
MARKS = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT, "tool": TOOL}
# Words keep the space before them; digits stand alone, so numbers of any length are copied digit by digit.
PIECES = r"'(?:s|m|t|d|ve|re|ll)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{%- set role = message['role'] -%}
{%- if role == 'developer' -%}{%- set role = 'system' -%}{%- endif -%}
{%- if role not in ['system', 'user', 'assistant', 'tool'] -%}{%- set role = 'user' -%}{%- endif -%}
{{- '<|' + role + '|>' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- elif message['content'] -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""


def sample(seed: int, count: int) -> Iterator[str]:
    for messages in islice(conversations(seed, 2000, lambda message: len(message.content)), count):
        yield from (message.content for message in messages)


def build(seed: int = 1, count: int = 6000) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample(seed, count), trainer)
    return tokenizer


class Encoder:
    """Turns messages into tokens exactly as the chat template does."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.marks = {role: tokenizer.token_to_id(mark) for role, mark in MARKS.items()}
        self.bos, self.end = tokenizer.token_to_id(BOS), tokenizer.token_to_id(END)

    def __call__(self, message: Message) -> list[int]:
        return [self.marks[message.role], *self.tokenizer.encode(message.content).ids, self.end]


def load(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
