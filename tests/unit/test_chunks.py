"""How many members a chunk of a run gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.services.chunks import even_size

LEAST = 50_000


@pytest.mark.parametrize(
    ("members", "at_once", "expected"),
    [
        (0, 2, 1_000_000),
        (300, 2, 1_000_000),
        (99_999, 2, 1_000_000),  # two chunks would have less than a range each
        (100_000, 2, 50_000),
        (1_000_000, 2, 500_000),
        (4_000_000, 2, 1_000_000),
        (5_000_000, 2, 833_334),  # six, and no fifth one alone
        (5_000_000, 1, 1_000_000),
        (5_000_000, 4, 625_000),
    ],
)
def test_chunks_are_even(members: int, at_once: int, expected: int) -> None:
    assert even_size(members, 1_000_000, at_once=at_once, least=LEAST) == expected


@given(
    members=st.integers(0, 10**8), most=st.integers(1, 10**7), at_once=st.integers(1, 16), least=st.integers(1, 10**6)
)
def test_a_chunk_is_never_larger_than_asked_for_and_only_made_smaller_down_to_a_range(
    members: int, most: int, at_once: int, least: int
) -> None:
    size = even_size(members, most, at_once=at_once, least=least)
    assert size == most or least <= size < most
