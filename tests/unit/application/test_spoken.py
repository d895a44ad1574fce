"""The tokens of an answer go with the text that they make up, and with no other."""

import pytest

from agent_memory.application.replies import Delta, Likelihood, Token
from agent_memory.application.spoken import Spoken
from agent_memory.application.utterance import Calling, Utterance
from agent_memory.domain.chat import Tool
from agent_memory.domain.kv.block import BlockHash
from agent_memory.domain.kv.turn import Turn, TurnId
from agent_memory.domain.speech import JSON_CALL, parse_json

CALL = '<tool_call>\n{"name": "look", "arguments": {"at": [1]}}\n</tool_call>'


class Letters:
    """A tokenizer whose tokens are letters."""

    def add(self, token):
        return chr(token)

    def finish(self):
        return ""


def deltas(text, parse=None):
    """Each text that is told, with the text of its tokens."""
    turn = Turn(TurnId("t"), BlockHash(b""), [], 9)
    spoken = Spoken(turn, Letters(), Utterance(calling=Calling(JSON_CALL, parse, (Tool("look"),))), ())
    pieces = [piece for letter in text for piece in spoken.hear(ord(letter), Token(Likelihood(letter, 0.0), ()))]
    pieces += spoken.rest()
    return [
        (piece.text, "".join(token.said.text for token in piece.tokens)) for piece in pieces if isinstance(piece, Delta)
    ]


@pytest.mark.parametrize("parse", [None, parse_json])
@pytest.mark.parametrize("ending", ["", "\n", "\n\n", f"\n{CALL}\n"])
def test_what_is_around_calls_has_no_log_probabilities(ending, parse):
    assert deltas(CALL + ending, parse) == []


@pytest.mark.parametrize("length", range(1, len(CALL)))
def test_nor_has_a_call_that_was_cut_off(length):
    assert all(text == tokens for text, tokens in deltas(CALL[:length]))


def test_text_beside_calls_has_its_own():
    told = deltas(f"I look.\n{CALL}\nSeen.")
    assert "".join(text for text, _ in told) == "I look.Seen."
    assert "".join(tokens for _, tokens in told) == "I look.Seen."
