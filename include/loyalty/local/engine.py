"""A points engine beside the journeys, for demo and tests: it answers by events, and not everybody."""

from collections.abc import Collection
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Self

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from loyalty.errors import LoyaltyError
from loyalty.store.database import transaction
from loyalty.store.queries import query


@dataclass(frozen=True)
class Manners:
    """Whom the engine treats otherwise than by answering at once.

    It is ``silent`` about the locks of some, ``idle`` about the promotions of some, and ``refuses`` to lock some.
    """

    silent: Collection[str] = ()
    idle: Collection[str] = ()
    refuses: Collection[str] = ()
    message: str = "the account is in arbitration"


class OutsideEngine:
    """Answers requests every ``seconds`` in a thread of its own, as long as it is entered."""

    def __init__(self, database: Engine, manners: Manners, seconds: float = 0.2) -> None:
        self._database, self.manners, self._seconds = database, manners, seconds
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def answer(self) -> None:
        """Whoever has asked by now has the answer that the manners say."""
        manners = self.manners
        unlocked = [*manners.silent, *manners.refuses]
        with transaction(self._database) as connection:
            connection.execute(query("engine/confirm_locks"), {"others": unlocked})
        with transaction(self._database) as connection:
            connection.execute(query("engine/deactivate_promotions"), {"others": list(manners.idle)})
        with transaction(self._database) as connection:
            refused = {"customers": list(manners.refuses), "message": manners.message}
            connection.execute(query("engine/refuse_locks"), refused)

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            try:
                self.answer()
            except (DBAPIError, LoyaltyError):  # the database went away: ask again
                continue
