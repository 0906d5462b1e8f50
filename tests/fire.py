"""Customers who activate, deactivate, redeem and buy at random, many at once, and what became of each attempt."""

import random
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self
from uuid import UUID

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from ledger import record
from loyalty.services.promotions import activate_promotion, deactivate_promotion, redeem_promotion
from loyalty.services.reconcile import broken, reconcile
from loyalty.services.refusals import RefusedError

THREADS = 20
CHECK_EVERY = 100
CLOCK = text("SELECT clock_timestamp()")
HOLD = text("SELECT FROM loyalty.account WHERE profile_id = :id FOR NO KEY UPDATE")
RETURNED = text(
    "SELECT points FROM loyalty.event WHERE profile_id = :id AND refers_to = :key "
    "AND action = 'client.deactivatePromotion' AND source = 'shop'"
)
PROMOTIONS = ("coffee", "mug")


@dataclass(frozen=True)
class Attempt:
    """What a customer tried: done at that time of the database, its row held; or refused, and until when."""

    customer: str
    verb: str
    outcome: str
    at: datetime
    until: datetime | None
    points: int


class Fire:
    """Threads that go on as long as it is entered; every hundredth attempt one checks all invariants."""

    def __init__(self, url: URL, customers: dict[str, int], seed: int) -> None:
        self._engine = create_engine(url, poolclass=NullPool, connect_args={"options": "-c timezone=UTC"})
        self._ids, self._ended, self._counter = customers, Event(), count(1)
        self._lock = Lock()
        self._held: dict[str, list[UUID]] = {name: [] for name in customers}
        self._threads = [Thread(target=self._run, args=(random.Random(f"{seed}.{n}"),)) for n in range(THREADS)]
        self.attempts: list[Attempt] = []
        self.check_count = 0
        self.faults: list[object] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _run(self, chance: random.Random) -> None:
        try:
            with self._engine.connect() as connection:
                while not self._ended.is_set():
                    self._attempt(connection, chance)
                    if next(self._counter) % CHECK_EVERY == 0:
                        self._check()
        except Exception as error:  # whatever it is, the test is to show it
            self.faults.append(error)

    def _check(self) -> None:
        with self._engine.connect().execution_options(isolation_level="REPEATABLE READ") as snapshot:
            self.faults += broken(reconcile(snapshot))
        self.check_count += 1

    def _attempt(self, connection: Connection, chance: random.Random) -> None:
        name = chance.choice(list(self._ids))
        verb = chance.choice(("activate", "activate", "deactivate", "redeem", "buy", "buy"))
        with connection.begin():
            outcome, until, points = "done", None, 0
            try:
                points = getattr(self, f"_{verb}")(connection, name, chance)
            except RefusedError as error:
                outcome, until = error.reason, error.until
            if points is None:
                outcome = "done before"
            at = connection.scalar(CLOCK)
        self.attempts.append(Attempt(name, verb, outcome, at, until, points))

    def _activate(self, connection: Connection, name: str, chance: random.Random) -> int:
        key = UUID(int=chance.getrandbits(128))
        made = activate_promotion(connection, name, chance.choice(PROMOTIONS), key=key)
        self._held[name].append(key)
        return made.points

    def _deactivate(self, connection: Connection, name: str, chance: random.Random) -> int | None:
        """The points that came back just now; None, where the journey had deactivated the promotion before."""
        key = self._take(name, chance)
        try:
            deactivate_promotion(connection, name, key)
        except RefusedError:
            self._held[name].append(key)
            raise
        return connection.scalar(RETURNED, {"id": self._ids[name], "key": key})

    def _redeem(self, connection: Connection, name: str, chance: random.Random) -> int:
        key = self._take(name, chance)
        try:
            return redeem_promotion(connection, name, key).points
        except RefusedError:
            self._held[name].append(key)
            raise

    def _take(self, name: str, chance: random.Random) -> UUID:
        """An activation of the customer, which nobody else ends meanwhile."""
        with self._lock:
            held = self._held[name]
            return held.pop(chance.randrange(len(held))) if held else UUID(int=0)

    def _buy(self, connection: Connection, name: str, chance: random.Random) -> int:
        who, points = self._ids[name], chance.randint(1, 90)
        connection.execute(HOLD, {"id": who})
        at = connection.scalar(CLOCK)
        record(connection, who, "transaction.charge", at, params={"$totalAmount": points}, source="till")
        record(connection, who, "points.loyalty", at, points, source="till")
        return points
