"""Customers who pay for promotions while a batch cancellation goes on: how long they wait for their answer.

They come at their own pace, whatever the answers before them take, each with a connection that is free. Whoever is
locked is refused, and must hear that at once; nobody else should notice the run.
"""

import random
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from threading import Event
from time import perf_counter, sleep
from typing import Any

import batch_run
from customers import check
from measure import MEASURED, Bench, last_of
from own_server import copied
from proof import proven
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from stopwatch import Stopwatch

from loyalty.model.program import Program
from loyalty.store.database import open_engine

A_SECOND = 50
CONNECTIONS = 32
QUIET_SECONDS = 2.0
SPEND = text("SELECT activation FROM loyalty.activate_promotion(:customer, 'coffee', gen_random_uuid())")
LOCKED, TOO_FEW = "LY423", "LY402"
Spread = dict[str, float | int | None]
CHECKS = {
    "every member is completed": "SELECT FROM loyalty.journey_member WHERE state <> 'completed'",
    "members are those that were expected": """
        SELECT FROM bench.expected FULL JOIN loyalty.journey_member AS member USING (profile_id)
        WHERE expected.amount IS NULL OR member.state IS NULL
        """,
    **{name: batch_run.CHECKS[name] for name in ("balances are the sums of events", "everybody was locked, nobody is")},
}


@dataclass(frozen=True)
class Answer:
    """When somebody asked, how long the answer took, and what it was (an SQLSTATE; empty: paid)."""

    asked_at: float
    seconds: float
    refusal: str


@dataclass(frozen=True)
class Spending:
    """A run, with customers who spend before it and meanwhile."""

    made: str
    program: Program

    name = "customers who spend while a batch cancellation runs"

    def measure(self, bench: Bench, members: int) -> Generator[dict[str, Any]]:
        """How long answers took: before each run, and meanwhile to those who were locked and to those who were not."""
        took: list[float] = []
        spreads: list[dict[str, Spread]] = []
        for to_prove in last_of(bench.options.runs, members):
            seconds, found, checks = self._run(bench, members, to_prove)
            took.append(seconds)
            spreads.append(found)
            yield {
                "case": self.name,
                "checks": checks,
                "run_seconds": took,
                "customers_a_second": A_SECOND,
                "milliseconds": {kind: medians([one[kind] for one in spreads]) for kind in found},
                "milliseconds_of_runs": spreads,
            }

    def _run(self, bench: Bench, members: int, to_prove: int | None) -> tuple[float, dict[str, Spread], list[str]]:
        """The seconds of a run, how long answers took, and what held afterwards."""
        with copied(bench.server, MEASURED, self.made) as url:
            engine = open_engine(url)
            with customers_spending(url, members, bench.options.seed) as answers:
                sleep(QUIET_SECONDS)
                began = perf_counter()
                batch_run.walk(engine, self.program, Stopwatch())
                ended = perf_counter()
            with engine.connect() as connection:
                checks = check(connection, CHECKS)
            if to_prove:
                checks += proven(engine, bench.options, to_prove, self.name)
            engine.dispose()
        meanwhile = [one for one in answers if began <= one.asked_at <= ended]
        spreads = {
            "before the run": spread([one for one in answers if one.asked_at < began]),
            "meanwhile, not locked": spread([one for one in meanwhile if one.refusal != LOCKED]),
            "meanwhile, locked and refused": spread([one for one in meanwhile if one.refusal == LOCKED]),
        }
        return round(ended - began, 4), spreads, checks


@contextmanager
def customers_spending(url: str, members: int, seed: int) -> Iterator[list[Answer]]:
    """Customers ask, one after the other, until the end; their answers are in the list then."""
    answers: list[Answer] = []
    ended, chance = Event(), random.Random(seed)
    engine = open_engine(url, pool_size=CONNECTIONS, max_overflow=0, isolation_level="AUTOCOMMIT")

    def spend(customer: int, asked_at: float) -> None:
        refusal = ""
        try:
            with engine.connect() as connection:
                connection.execute(SPEND, {"customer": f"customer-{customer}"})
        except DBAPIError as error:
            refusal = str(getattr(error.orig, "sqlstate", None))
            if refusal not in (LOCKED, TOO_FEW):
                raise
        answers.append(Answer(asked_at, perf_counter() - asked_at, refusal))

    def come() -> None:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            asked = []
            while not ended.wait(1 / A_SECOND):
                asked.append(pool.submit(spend, chance.randint(1, members), perf_counter()))
        for one in asked:
            one.result()

    # A shop's connections have been used before: what their first answer takes is not counted.
    for connection in [engine.connect() for _ in range(CONNECTIONS)]:
        connection.close()
    for customer in range(CONNECTIONS):
        spend(1 + customer % members, perf_counter())
    answers.clear()
    with ThreadPoolExecutor(1) as shop:
        coming = shop.submit(come)
        try:
            yield answers
        finally:
            ended.set()
        coming.result()
    engine.dispose()


def spread(answers: list[Answer]) -> Spread:
    """How many there are; the median, the 99th percentile and the longest, in milliseconds."""
    took = sorted(1000 * one.seconds for one in answers)

    def at(share: float) -> float | None:
        return round(took[min(len(took) - 1, int(share * len(took)))], 1) if took else None

    return {"count": len(took), "p50": at(0.5), "p99": at(0.99), "max": at(1)}


def medians(spreads: list[Spread]) -> Spread:
    """Of each figure the median of the runs that have it."""
    of_runs = {name: [known for one in spreads if (known := one[name]) is not None] for name in spreads[0]}
    return {name: median(found) if found else None for name, found in of_runs.items()}
