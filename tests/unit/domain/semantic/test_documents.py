import json

import pytest

from agent_memory.domain.errors import InvalidInput
from agent_memory.domain.semantic.documents import Entries

DOCUMENT = """ {"count": 2, "odd": {"results": [0]}, "relations": [{"a": "]"}], "results" :
  [ {"text": "one, \\"two\\" ]}"}, 12, [3, {}], "t\u00fc", null, true ], "next": null} """
ENTRIES = [{"text": 'one, "two" ]}'}, 12, [3, {}], "t\u00fc", None, True]


def read(document, size=None, longest=1000):
    entries, size = Entries(("results", "memories"), longest), size or len(document) or 1
    found = []
    for start in range(0, len(document), size):
        found += entries.read(document[start : start + size])
    return found + list(entries.read("", last=True))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_entries_are_the_same_however_the_document_is_cut(size):
    assert read(DOCUMENT, size) == ENTRIES
    assert read(json.dumps(ENTRIES), size) == ENTRIES


def test_an_entry_comes_as_soon_as_it_is_whole():
    entries = Entries(("results",), 1000)
    assert list(entries.read('{"results": [{"n": 1}, {"n"')) == [{"n": 1}]
    assert list(entries.read(": 2}, 5")) == [{"n": 2}]
    assert list(entries.read("0")) == []
    assert list(entries.read("]}")) == [50]
    assert list(entries.read("", last=True)) == []


@pytest.mark.parametrize("document", ["[]", '{"results": []}', '{"memories": [], "a": [1]}', "\ufeff[]\n"])
def test_a_list_may_be_empty(document):
    assert read(document, 1) == []


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "is not JSON from character 1 on"), ("nonsense", "is not JSON from character 1 on"),
        ("5", "is not JSON"), ("{", "is not JSON"), ('{"results"', "is not JSON"), ('{"results":', "is not JSON"),
        ("[", "is not JSON from character 2 on"), ('{"results": {}}', "has no list of results or memories"),
        ('{"text": "x"}', "has no list of results"), ("[" * 5000, "is nested too deeply"),
        ("\udcff\udcfe[", "is not valid UTF-8"), (f'["{"x" * 2000}"]', "a part of more than 1000 characters"),
    ],
)  # fmt: skip
def test_what_has_no_list_is_refused(document, says):
    with pytest.raises(InvalidInput, match=f"document: .*{says}"):
        read(document, 500, 1000 if "x" in document else 10_000)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("", "is not JSON from character 3 on"), (", {", "is not JSON"), (", nonsense]", "is not JSON"),
        ("] [2]", "ends before its last character"), (f', "{"x" * 2000}", 2]', "a part of more than 1000"),
        (", " + "[" * 100_000, "is nested too deeply|more than 1000"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 700])
def test_what_comes_before_the_place_where_a_document_breaks_is_read(rest, says, size):
    *found, error = read("[1 " + rest, size)
    assert found == [1]
    assert isinstance(error, InvalidInput)
    with pytest.raises(InvalidInput, match=says):
        raise error


def test_an_entry_that_is_no_utf8_is_refused_in_its_place():
    first, error, last = read('["a", "caf\udce9", "b"]')
    assert (first, str(error), last) == ("a", "entry: is not valid UTF-8", "b")


def test_no_more_is_held_than_an_entry():
    entries = Entries(("results",), 1000)
    assert list(entries.read("[")) == []
    for _ in range(1000):
        assert list(entries.read(f'"{"x" * 100}", ')) == ["x" * 100]
        assert len(entries._text) < 200


def test_a_number_that_is_cut_anywhere_is_read_whole():
    document = '{"took": 1.5e-3, "results": [1, 2.25, -3E+2], "score": 12.25}'
    for cut in range(1, len(document)):
        entries = Entries(("results",), 1000)
        assert [*entries.read(document[:cut]), *entries.read(document[cut:], last=True)] == [1, 2.25, -300]
