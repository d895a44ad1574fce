"""What `If-Match` names."""

import pytest

from agent_memory.domain.errors import InvalidInput
from agent_memory.entrypoints.http.preconditions import versions_in


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
