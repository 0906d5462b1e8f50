"""The floor of mail: letters already rendered are handed over, over as many connections in as many processes."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from loyalty.mail.handover import Fate, MailServer


@contextmanager
def floor_of_mail(server: MailServer, letters: list[bytes], count: int, connections: int) -> Iterator["MailFloor"]:
    """A floor whose processes are there before the clock runs."""
    processes = min(connections, os.cpu_count() or 1)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        list(pool.map(len, [letters] * processes))
        yield MailFloor(
            pool, server, letters, [count // connections + (at < count % connections) for at in range(connections)]
        )


class MailFloor:
    """So many letters a connection, those given again and again."""

    def __init__(self, pool: ProcessPoolExecutor, server: MailServer, letters: list[bytes], counts: list[int]) -> None:
        self._pool, self._server, self._letters, self._counts = pool, server, letters, counts

    def run(self) -> None:
        """All are handed over."""
        processes = min(len(self._counts), os.cpu_count() or 1)
        shares = [self._counts[at::processes] for at in range(processes)]
        for done in [self._pool.submit(_work, self._server, self._letters, share) for share in shares]:
            done.result()


def _work(server: MailServer, letters: list[bytes], counts: list[int]) -> None:
    with ThreadPoolExecutor(len(counts)) as pool:
        list(pool.map(lambda count: _hand_over(server, letters, count), counts))


def _hand_over(server: MailServer, letters: list[bytes], count: int) -> None:
    with server.connect() as handover:
        for at in range(count):
            answer = handover.send("points@example.org", "c@example.org", letters[at % len(letters)])
            assert answer.fate is Fate.SENT
