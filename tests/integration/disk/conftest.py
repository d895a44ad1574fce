import pytest
from disks import KEY


@pytest.fixture(params=["plain", "sealed"])
def key(request):
    """The key of the store under test: in both envelopes everything has to hold."""
    return KEY if request.param == "sealed" else None
