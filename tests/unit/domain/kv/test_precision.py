"""Precision: what may be wanted, and what a tensor gets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.precision import GROUP_SIZES, Encoding, Precision


@pytest.mark.parametrize(
    ("written", "keys", "values"), [(4, 4, 4), ("16", 16, 16), ("k8v4", 8, 4), ("K16V4", 16, 4), (" k4v8 ", 4, 8)]
)
def test_bits_are_written_for_both_or_for_each(written, keys, values):
    precision = Precision.of(written)
    assert (precision.bits, precision.value_bits) == (keys, values)


def test_the_same_for_both_is_the_same_precision():
    assert Precision.of("k4v4") == Precision.of(4) == Precision(4)
    assert (str(Precision(4)), str(Precision.of("K8V4"))) == ("4", "k8v4")


@pytest.mark.parametrize("written", [3, "5", "k3v4", "k8v5", "v4k8", "k8", "four", "", "k8v4 "[:-1] + "x"])
def test_bits_that_do_not_exist_are_refused(written):
    with pytest.raises(Misconfigured, match="kv_bits must be 4, 8 or 16, or like k8v4"):
        Precision.of(written)


@pytest.mark.parametrize("group", [0, 16, 48, 256])
def test_a_group_that_does_not_exist_is_refused(group):
    with pytest.raises(Misconfigured, match="kv_group_size must be one of"):
        Precision(4, group)


@given(st.integers(1, 1024), st.sampled_from(GROUP_SIZES), st.sampled_from([4, 8]))
def test_the_group_is_the_largest_that_divides(dim, wanted, bits):
    encoding = Precision(bits, wanted).of_values(dim)
    possible = [group for group in GROUP_SIZES if group <= wanted and dim % group == 0]
    assert encoding == (Encoding(bits, max(possible)) if possible else Encoding(16))
    assert encoding.nbytes(dim) <= 2 * dim
    assert Precision(bits, wanted).of_keys(dim) == replace(encoding, rotated=encoding.quantized)


def test_keys_and_values_have_bits_of_their_own():
    precision = Precision.of("k8v4", 128)
    assert (precision.of_keys(128), precision.of_values(64)) == (Encoding(8, 128, rotated=True), Encoding(4, 64))
    assert Precision.of("k16v4").of_keys(128) == Encoding(16)
