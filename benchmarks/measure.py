"""A piece of work, measured in the ways that were asked for: by the command's services, by Airflow, and its floor."""

import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

from floor import Floor, prepare_floor, run_floor
from meter import metered
from options import Options
from own_server import copied, postmaster
from proof import proven
from sqlalchemy import Connection, Engine
from stopwatch import Stopwatch
from through_airflow import Airflow, Asked

from loyalty.local.postgres import EmbeddedPostgres
from loyalty.store.database import open_engine

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

    def measure(self, bench: Bench, members: int) -> Generator[Run]:
        """The figures, again after each run: each way with its runs, its median, its ratio to the quickest floor."""


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

    def measure(self, bench: Bench, members: int) -> Generator[Run]:
        """Each way with its runs, its median, and its ratio to the quickest floor."""
        runs: dict[str, list[Run]] = {}
        compared = {"amid_fewer": self.amid_fewer} if self.amid_fewer else {}
        for way, run in self._runs(bench, members):
            runs.setdefault(way, []).append(run)
            print(f"  {way}: {run['seconds']:.1f} s", file=sys.stderr, flush=True)
            checks = [one["checks"] for found in runs.values() for one in found if "checks" in one]
            yield {"case": self.name, "checks": checks[-1] if checks else [], **compared, **figures_of(runs)}

    def _runs(self, bench: Bench, members: int) -> Iterator[tuple[str, Run]]:
        """All ways in turns, so that what else the machine does meets each of them; but Airflow is there for itself."""
        for number, to_prove in enumerate(last_of(bench.options.runs, members)):
            for connections in bench.options.floor_connections if number < bench.options.floor_runs else ():
                yield f"floor over {connections}", _floor(bench, self, connections)
            if "command" in bench.options.ways or self.asked is None:
                yield "command", _by_command(bench, self, to_prove)
        if "airflow" in bench.options.ways and self.asked:
            yield from _by_airflow(bench, self, self.asked, members)


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


def last_of(runs: int, members: int) -> Iterator[int | None]:
    """For each run the members whose ledger is to be proven after it: those of the last one."""
    yield from (None,) * (runs - 1)
    yield members


def _by_command(bench: Bench, case: Case, to_prove: int | None) -> Run:
    with copied(bench.server, MEASURED, case.made) as url:
        watch, engine = Stopwatch(), open_engine(url, pool_size=8)
        with metered(url, postmaster_of(bench)) as usage:
            case.walk(engine, watch)
            engine.dispose()
        return usage.as_json() | {"steps": watch.as_json(), "checks": _checked(bench, case, url, to_prove)}


def _floor(bench: Bench, case: Case, connections: int) -> Run:
    with copied(bench.server, MEASURED, case.made) as url:
        prepare_floor(url, case.floor)
        with metered(url, postmaster_of(bench)) as usage:
            floor = run_floor(url, case.floor, connections)
        _checked(bench, case, url)
    return usage.as_json() | floor.as_json()


def _by_airflow(bench: Bench, case: Case, asked: Asked, members: int) -> Iterator[tuple[str, Run]]:
    """Of each run what it took until all was written, and the whole of it, where it is not cut short."""
    with bench.airflow.running() as pythons:
        with copied(bench.server, MEASURED, case.rehearsal):
            bench.airflow.run(asked, whole=True)
        for to_prove in last_of(bench.options.runs, members):
            with copied(bench.server, MEASURED, case.made) as url:
                with metered(url, postmaster_of(bench), pythons) as usage:
                    run = bench.airflow.run(asked, whole=bool(to_prove) or not bench.options.cut_short)
                figures = usage.as_json() | run.as_json() | {"checks": _checked(bench, case, url, to_prove)}
            if run.written is not None:
                yield f"airflow until {asked.written_by}", figures | {"seconds": run.written}
            if run.whole:
                yield "airflow", figures


def _checked(bench: Bench, case: Case, url: str, to_prove: int | None = None) -> list[str]:
    """What holds; also what is proven of a ledger of so many members, on which guards were on."""
    engine = open_engine(url)
    with engine.connect() as connection:
        checks = case.check(connection)
    if to_prove:
        checks += proven(engine, bench.options, to_prove, case.name)
    engine.dispose()
    return checks


def postmaster_of(bench: Bench) -> int:
    """The first process of the server, which runs."""
    found = postmaster(bench.server)
    assert found
    return found
