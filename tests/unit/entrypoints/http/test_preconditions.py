"""What `If-Match` names."""

import pytest

from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.preconditions import etag_of, is_known, versions_in


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, None),
        ("*", None),
        (" * ", None),
        ('"1"', {1}),
        ("1", {1}),
        ('"1", "2"', {1, 2}),
        ('"1","2" ,"x"', {1, 2}),
        (', "1", , "2",', {1, 2}),
        ('W/"1"', set()),
        ('W/"1", "2"', {2}),
        ('"3-0123456789abcdef"', {3}),
        ('"3-0123456789abcde"', set()),
        ('"01"', set()),
        ('"+1"', set()),
        ('"1,2"', set()),
        ('"a"', set()),
        ('""', set()),
    ],
)
def test_names_the_versions_that_will_do(given, named):
    assert versions_in(given) == named


@pytest.mark.parametrize("given", ["", "abc", '"1', '"1" "2"', 'w/"1"', "*, 1", '"1", *', "-1", '"1",' * 500])
def test_what_is_no_etag_is_refused(given):
    with pytest.raises(InvalidInput, match="If-Match"):
        versions_in(given)


def test_an_etag_is_the_version_and_what_is_told_in_any_order():
    etag = etag_of(b'{"version": 12, "a": {"b": 1, "c": [1.5]}}')
    assert versions_in(etag) == {12}
    assert etag == etag_of(b'{"a": {"c": [1.5], "b": 1}, "version": 12}')
    assert etag != etag_of(b'{"a": {"c": [1.5], "b": 2}, "version": 12}')


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (None, False), ("*", True), (" * ", True), ('"1-a"', True), ('W/"1-a"', True), ('"2", W/"1-a" , "3"', True),
        ('"1"', False), ("1", False), ('"1-A"', False), ('"2-a", "3"', False),
    ],
)  # fmt: skip
def test_tells_what_is_known(given, known):
    assert is_known(given, '"1-a"') is known


@pytest.mark.parametrize("given", ["", "abc", '"1', "*, 1"])
def test_what_is_no_etag_is_not_known_but_refused(given):
    with pytest.raises(InvalidInput, match="If-None-Match"):
        is_known(given, '"1"')
