import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_memory.domain.semantic.tokens import tokens_of, tokens_up_to

# What the vocabulary that the patterns were fitted to reads.
READ = [
    ("She moved to Lisbon in May 2023 and works as a nurse at the city hospital.", 19),
    ("我妹妹住在北京。她在医院工作。", 19),
    ("佐藤さんの社員番号はXK427です。", 19),
    ("Моя сестра живёт в Москве и работает врачом.", 24),
    ("मेरी बहन दिल्ली में रहती है।", 28),
    ("أختي تعيش في القاهرة وتعمل طبيبة.", 31),
    ('{"id": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "ok": true, "n": [1, 2, 3]}', 43),
    ("https://example.org/a/b?id=42&lang=de mail: ana.m@example.org", 26),
    ("def f(self, x: int) -> None:\n        self._x = x", 18),
    ("👩\u200d👩\u200d👧\u200d👦🚀😀🎉 party!", 23),
]


@pytest.mark.parametrize(("text", "read"), READ)
def test_tokens_are_rather_over_than_underestimated(text, read):
    assert read <= tokens_of(text) <= 1.5 * read


@given(st.characters(exclude_characters=" ", exclude_categories=["Cs", "Cn"]))
def test_no_character_is_nothing(character):
    assert tokens_of(character * 100) >= (5 if character.isspace() else 17)


@given(st.text(), st.integers(0, 20))
def test_what_does_not_fit_is_told_by_its_beginning(text, most):
    assert (tokens_up_to(most, text * 50) > most) == (tokens_of(text * 50) > most)


def test_there_is_no_text_without_tokens():
    assert tokens_of("") == 1


def test_white_space_is_nearly_none():
    assert tokens_of(" " * 400) < 20
