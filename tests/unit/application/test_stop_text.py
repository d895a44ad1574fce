"""StopText: an answer ends at the first stop string, wherever the pieces are cut."""

import random

import pytest

from agent_memory.application.stop_text import StopText


def shown(pieces, stops):
    text = StopText(stops)
    out = ""
    for piece in pieces:
        out += text.add(piece)
        if text.stopped:
            return out
    return out + text.finish()


def test_the_first_of_several_stops_wins():
    assert shown(["one END two STOP"], ["STOP", "END"]) == "one "


def test_what_only_looks_like_a_stop_is_shown():
    assert shown(["a\n", "\nb"], ["\n\n\n"]) == "a\n\nb"


def test_nothing_is_held_back_without_stops():
    text = StopText([])
    assert text.add("abc") == "abc"


@pytest.mark.parametrize("seed", range(50))
def test_cuts_do_not_matter(seed):
    dice = random.Random(seed)
    text = "".join(dice.choice("ab") for _ in range(30))
    stops = ["".join(dice.choice("ab") for _ in range(dice.randint(2, 5))) for _ in range(2)]
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    cuts = sorted(dice.sample(range(30), 5))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, 30], strict=True)]
    assert shown(pieces, stops) == text[: min(ends, default=30)]
