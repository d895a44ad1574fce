"""What is measured of all memories at once, held against what the domain says of each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent_memory.adapters.postgres.scope_index import Held, Words
from agent_memory.domain.semantic.recall import WordStatistics
from agent_memory.domain.semantic.words import bm25, rarity

ASKED = list(range(10))
SAID = st.lists(
    st.lists(st.integers(-3, 14), max_size=12).map(lambda few: few * 11 if len(few) > 10 else few), max_size=9
)


@given(SAID, st.data())
def test_all_at_once_bm25_is_to_the_last_bit_what_it_is_of_each(said, data):
    places = data.draw(st.none() | st.sets(st.sampled_from(range(len(said)))).map(sorted) if said else st.none())
    words = Words.of([sorted(each) for each in said])
    held = Held(words.lengths, None if places is None else np.array(places, dtype=np.intp))
    left = [said[place] for place in held.places]
    frequencies = {word: sum(word in each for each in left) for word in ASKED}
    mean_length = sum(map(len, left)) / len(left) if left else 0.0
    statistics = WordStatistics(len(left), mean_length, frequencies)
    names, counts_of_each = words.counts({word: str(word) for word in ASKED})
    rarities = [rarity(frequencies[int(name)], len(left)) for name in names]
    found = held.bm25(held.of(counts_of_each), rarities).tolist()
    assert names == [str(word) for word in ASKED if any(word in each for each in said)]
    counted = [{word: each.count(word) for word in ASKED if word in each} for each in left]
    assert found == [bm25(counts, len(each), statistics) for counts, each in zip(counted, left, strict=True)]
    assert held.mean_length == mean_length
