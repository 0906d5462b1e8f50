"""A piece of work, measured in the ways that were asked for: by the command's services, by Airflow, and its floor."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from floor import Floor, prepare_floor, run_floor
from meter import metered
from options import Options
from own_server import copied, postmaster
from sqlalchemy import Connection, Engine
from stopwatch import Stopwatch
from through_airflow import Airflow, Asked

from loyalty.errors import LoyaltyError
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import open_engine, transaction

MOST_RECONCILED = 100_000
MEASURED = "measured"  # the database in which things happen; Airflow's connection leads there
Run = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """Where and how it is measured."""

    server: EmbeddedPostgres
    options: Options
    airflow: Airflow


class Measured(Protocol):
    """Something to be measured, that begins with a copy of the database ``made``."""

    @property
    def name(self) -> str: ...

    @property
    def made(self) -> str: ...

    def measure(self, bench: Bench, members: int) -> Run:
        """The figures: each way with its runs, its median, and its ratio to the quickest floor."""


@dataclass(frozen=True)
class Case:
    """A piece of work of a journey.

    ``walk`` does it as the command does, with connections that it has closed at the end, and times its steps; ``check``
    says what holds after the work and after its floor, by name, or fails. ``asked`` is what Airflow is told to do.
    Before that, Airflow rehearses it on a copy of ``rehearsal``, so that its own beginnings are not measured.
    ``amid_fewer`` names the case that does the same work amid a part of the customers.
    """

    name: str
    made: str
    walk: Callable[[Engine, Stopwatch], object]
    check: Callable[[Connection], list[str]]
    floor: Floor
    asked: Asked | None = None
    rehearsal: str = ""
    amid_fewer: str | None = None

    def measure(self, bench: Bench, members: int) -> Run:
        """All ways in turns, so that what else the machine does meets each of them; but Airflow is there for itself."""
        runs: dict[str, list[Run]] = {}
        for _ in range(bench.options.runs):
            for connections in bench.options.floor_connections:
                runs.setdefault(f"floor over {connections}", []).append(_floor(bench, self, connections))
            if "command" in bench.options.ways or self.asked is None:
                runs.setdefault("command", []).append(by_command(bench, self, members))
        if "airflow" in bench.options.ways and self.asked:
            runs["airflow"] = list(_by_airflow(bench, self, self.asked, members))
        checks = next(one["checks"] for found in runs.values() for one in found if "checks" in one)
        compared = {"amid_fewer": self.amid_fewer} if self.amid_fewer else {}
        return {"case": self.name, "checks": checks, **compared, **figures_of(runs)}


def figures_of(runs: dict[str, list[Run]]) -> Run:
    """Of each way the median, and how it compares with the quickest floor; the rows are those that the floor wrote."""
    medians = {way: median(one["seconds"] for one in found) for way, found in runs.items()}
    floors = [took for way, took in medians.items() if way.startswith("floor")]
    rows = next(one["rows"] for found in runs.values() for one in found if "rows" in one)
    ways = {
        way: {
            "median_seconds": round(took, 4),
            "rows_per_second": round(rows / took),
            "ratio_to_floor": round(took / min(floors), 2),
            "runs": [{name: value for name, value in one.items() if name != "checks"} for one in runs[way]],
        }
        for way, took in medians.items()
    }
    return {"rows": rows, "ways": ways}


def by_command(bench: Bench, case: Case, members: int) -> Run:
    """One run of the command's services."""
    with copied(bench.server, MEASURED, case.made) as url:
        watch, engine = Stopwatch(), open_engine(url, pool_size=8)
        with metered(url, postmaster_of(bench)) as usage:
            case.walk(engine, watch)
            engine.dispose()
        checks = list(checked(url, case, members))
    return usage.as_json() | {"steps": watch.as_json(), "checks": checks}


def _floor(bench: Bench, case: Case, connections: int) -> Run:
    with copied(bench.server, MEASURED, case.made) as url:
        prepare_floor(url, case.floor)
        with metered(url, postmaster_of(bench)) as usage:
            floor = run_floor(url, case.floor, connections)
        list(checked(url, case))
    return usage.as_json() | floor.as_json()


def _by_airflow(bench: Bench, case: Case, asked: Asked, members: int) -> Iterator[Run]:
    with bench.airflow.running() as pythons:
        with copied(bench.server, MEASURED, case.rehearsal):
            bench.airflow.run(asked)
        for _ in range(bench.options.runs):
            with copied(bench.server, MEASURED, case.made) as url:
                with metered(url, postmaster_of(bench), pythons) as usage:
                    run = bench.airflow.run(asked)
                yield usage.as_json() | run.as_json() | {"checks": list(checked(url, case, members))}


def checked(url: str, case: Case, members: int | None = None) -> Iterator[str]:
    """What holds; where guards were on, of so many members, every invariant, too, unless the ledger is too large."""
    engine = open_engine(url)
    with engine.connect() as connection:
        yield from case.check(connection)
    if members and members <= MOST_RECONCILED:
        yield from fail_where_broken(engine, case.name)
    engine.dispose()


def fail_where_broken(engine: Engine, name: str) -> list[str]:
    """Every invariant holds, which is what is returned; else an error says which do not."""
    with transaction(engine) as connection:
        faults = broken(reconcile(connection))
    if faults:
        raise LoyaltyError(f"{name}: {faults}")
    return ["every invariant holds"]


def postmaster_of(bench: Bench) -> int:
    """The first process of the server, which runs."""
    found = postmaster(bench.server)
    assert found
    return found
