import math
import re
from array import array

import pytest

from agent_memory.application.sound_vectors import SoundVectors
from agent_memory.domain.errors import Unavailable
from agent_memory.domain.semantic.memory import Embedding


class Written:
    """Gives what it is told to."""

    model, dimension = "raw", 2

    def __init__(self, *given) -> None:
        self.given = [each if isinstance(each, Embedding) else Embedding("raw", each) for each in given]

    async def embed(self, texts, *, tenant="default"):
        return self.given

    async def count(self, texts):
        return 7 * len(texts)


def floats(*values):
    return array("f", values)


async def test_scales_to_length_1():
    given = (floats(3, 4), array("d", [3e200, 4e200]), [3, 4], floats(0.003, 0.004))
    for embedding in await SoundVectors(Written(*given)).embed(["x"] * 4):
        assert embedding.vector.tolist() == pytest.approx([0.6, 0.8])
        assert embedding.vector.typecode == "f"


async def test_leaves_what_is_sound_as_it_is():
    given = Written(floats(0.6, 0.8), floats(0, 0))
    embeddings = await SoundVectors(given).embed(["x", "y"])
    assert all(one is other for one, other in zip(embeddings, given.given, strict=True))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (floats(math.nan, 1), "not finite"),
        (floats(math.inf, 1), "not finite"),
        (["x", "y"], "cannot be used"),
        (floats(1), "1 dimensions instead of 2"),
        (floats(1, 0, 0), "3 dimensions instead of 2"),
        (Embedding("other", floats(1, 0)), "of the model 'other'"),
    ],
)
async def test_refuses_what_cannot_be_compared(given, told):
    with pytest.raises(Unavailable, match=f"^the embedding model 'raw' gave .*{re.escape(told)}"):
        await SoundVectors(Written(floats(1, 0), given)).embed(["x", "y"])


async def test_refuses_another_number_of_vectors():
    with pytest.raises(Unavailable, match="'raw' gave 1 vectors for 2 texts"):
        await SoundVectors(Written(floats(1, 0))).embed(["x", "y"])


async def test_tells_what_is_asked_to_whom_it_concerns():
    class Telling(Written):
        async def embed(self, texts, *, tenant="default", asked=False):
            return [Embedding("raw", floats(0, 1) if asked else floats(1, 0))]

    sound = SoundVectors(Telling())
    vectors = [(await sound.embed(["x"], asked=asked))[0].vector for asked in (True, False)]
    assert vectors == [floats(0, 1), floats(1, 0)]
    assert len(await SoundVectors(Written(floats(1, 0))).embed(["x"], asked=True)) == 1


async def test_is_otherwise_what_it_is_around():
    sound = SoundVectors(Written())
    assert (sound.model, sound.dimension, await sound.count(["a", "b"])) == ("raw", 2, 14)
