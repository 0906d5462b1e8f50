"""The next pieces of something are made while the one before is worked on."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")


def read_ahead(pieces: Iterator[Piece], count: int) -> Generator[Piece, None, None]:
    """The same pieces in the same order, made by one other thread, at most ``count`` ahead of whoever takes them.

    What fails in there is raised where the failed piece would have been taken. Nothing is made any more when this ends.
    """
    with ThreadPoolExecutor(1) as maker:
        coming = deque(maker.submit(next, pieces, None) for _ in range(count))
        try:
            while (piece := coming.popleft().result()) is not None:
                coming.append(maker.submit(next, pieces, None))
                yield piece
        finally:
            for one in coming:
                one.cancel()
