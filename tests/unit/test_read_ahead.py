"""Pieces are made ahead of whoever takes them, in their order, and no further than asked."""

import threading
import time
from collections.abc import Iterator

import pytest

from loyalty.services.read_ahead import read_ahead


def counted(made: list[int], count: int, *, failing_at: int | None = None) -> Iterator[int]:
    for n in range(count):
        if n == failing_at:
            raise ValueError(f"piece {n} cannot be made")
        made.append(n)
        yield n


def settled(made: list[int], count: int) -> list[int]:
    """What has been made once ``count`` pieces were, and a little later."""
    for _ in range(500):
        if len(made) >= count:
            break
        time.sleep(0.01)
    time.sleep(0.05)
    return list(made)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_all_pieces_come_in_their_order(count: int) -> None:
    assert list(read_ahead(counted([], count), 2)) == list(range(count))


def test_pieces_are_made_while_one_is_worked_on_and_not_many() -> None:
    made: list[int] = []
    pieces = read_ahead(counted(made, 100), 2)
    assert next(pieces) == 0
    assert settled(made, 3) == [0, 1, 2]
    pieces.close()


def test_a_failure_comes_after_all_pieces_before_it() -> None:
    pieces = read_ahead(counted([], 10, failing_at=5), 3)
    assert [next(pieces) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="piece 5"):
        next(pieces)


def test_nothing_is_made_once_nobody_takes_any_more() -> None:
    made: list[int] = []
    before = threading.active_count()
    pieces = read_ahead(counted(made, 100), 2)
    next(pieces)
    pieces.close()
    left = list(made)
    assert threading.active_count() == before
    assert settled(made, 0) == left
    assert len(left) <= 3
