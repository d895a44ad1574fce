"""Several answers told as they come: in their own order each, and ended together."""

import asyncio

import pytest

from agent_memory.application.choices import together
from agent_memory.application.replies import Delta, Finish
from agent_memory.domain.errors import GenerationFailed

END = Finish("stop", 1, 0, 1)


class Spoken:
    def __init__(self, *pieces, pause=0.0):
        self.pieces, self.pause, self.closed = pieces, pause, False

    async def reply(self):
        try:
            for piece in self.pieces:
                await asyncio.sleep(self.pause)
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.closed = True


async def test_each_is_told_in_its_order():
    slow, quick = Spoken(Delta("a"), Delta("b"), END, pause=0.02), Spoken(Delta("c"), END)
    told = [piece async for piece in together([slow.reply(), quick.reply()])]
    assert [piece for number, piece in told if number == 0] == [Delta("a"), Delta("b"), END]
    assert [piece for number, piece in told if number == 1] == [Delta("c"), END]
    assert told[0] == (1, Delta("c"))


async def test_what_fails_ends_them_all():
    bad, good = Spoken(Delta("a"), GenerationFailed("no")), Spoken(*[Delta("b")] * 1000, END, pause=0.01)
    with pytest.raises(GenerationFailed):
        [piece async for piece in together([bad.reply(), good.reply()])]
    assert bad.closed
    assert good.closed


async def test_leaving_early_ends_them_all():
    spoken = [Spoken(*[Delta("b")] * 1000, END, pause=0.001) for _ in range(3)]
    replies = together([each.reply() for each in spoken])
    await anext(replies)
    await replies.aclose()
    assert all(each.closed for each in spoken)
