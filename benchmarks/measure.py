"""One piece of work, measured in the ways that were asked for: by the command's services, by Airflow, and its floor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from floor import Floor, prepare_floor, run_floor
from meter import metered
from options import Options
from own_server import copied, postmaster
from sqlalchemy import Connection, Engine
from stopwatch import Stopwatch
from through_airflow import Airflow, Asked

from loyalty.local.postgres import EmbeddedPostgres
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import open_engine

MOST_RECONCILED = 100_000
MEASURED = "measured"  # the database in which things happen; Airflow's connection leads there


@dataclass(frozen=True)
class Case:
    """A piece of work on a copy of the database ``made``.

    ``walk`` does it as the command does, with connections that it has closed at the end, and times its steps; ``check``
    says what holds after the work and after its floor, by name, or fails. ``asked`` is what Airflow is told to do.
    """

    name: str
    made: str
    walk: Callable[[Engine, Stopwatch], None]
    check: Callable[[Connection], list[str]]
    floor: Floor
    asked: Asked | None = None


@dataclass(frozen=True)
class Bench:
    """Where and how it is measured."""

    server: EmbeddedPostgres
    options: Options
    airflow: Airflow


@dataclass
class Ways:
    """The runs of one case, by the way they went."""

    runs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)


def measure(bench: Bench, case: Case, members: int) -> dict[str, Any]:
    """The figures of the case: each way with its runs, its median, and its ratio to the quickest floor."""
    ways = Ways()
    for _ in range(bench.options.runs):
        for connections in bench.options.floor_connections:
            ways.runs.setdefault(f"floor over {connections}", []).append(_floor(bench, case, connections))
        for way, run in (("command", _command), ("airflow", _airflow)):
            if way in bench.options.ways and (way == "command" or case.asked):
                ways.runs.setdefault(way, []).append(run(bench, case, ways, members))
    return {"case": case.name, "checks": ways.checks, **_summed_up(ways.runs)}


def _summed_up(runs: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Of each way the median, and how it compares with the floor that was quickest."""
    medians = {way: median(one["seconds"] for one in found) for way, found in runs.items()}
    floors = [took for way, took in medians.items() if way.startswith("floor")]
    rows = next(one["rows"] for found in runs.values() for one in found if "rows" in one)
    return {
        "rows": rows,
        "ways": {
            way: {
                "median_seconds": round(took, 4),
                "rows_per_second": round(rows / took),
                "ratio_to_floor": round(took / min(floors), 2),
                "runs": runs[way],
            }
            for way, took in medians.items()
        },
    }


def _floor(bench: Bench, case: Case, connections: int) -> dict[str, Any]:
    with copied(bench.server, MEASURED, case.made) as url:
        prepare_floor(url, case.floor)
        with metered(url, _postmaster(bench)) as usage:
            floor = run_floor(url, case.floor, connections)
        _checked(url, case, None)
    return usage.as_json() | floor.as_json()


def _command(bench: Bench, case: Case, ways: Ways, members: int) -> dict[str, Any]:
    with copied(bench.server, MEASURED, case.made) as url:
        watch, engine = Stopwatch(), open_engine(url, pool_size=8)
        with metered(url, _postmaster(bench)) as usage:
            case.walk(engine, watch)
            engine.dispose()
        ways.checks = _checked(url, case, members)
    return usage.as_json() | {"steps": {step: round(took, 4) for step, took in watch.steps.items()}}


def _airflow(bench: Bench, case: Case, ways: Ways, members: int) -> dict[str, Any]:
    assert case.asked
    with copied(bench.server, MEASURED, case.made) as url:
        pythons = bench.airflow.start()
        with metered(url, _postmaster(bench), pythons) as usage:
            run = bench.airflow.run(case.asked)
        ways.checks = _checked(url, case, members)
    return usage.as_json() | run.as_json()


def _checked(url: str, case: Case, members: int | None) -> list[str]:
    """What holds; in a ledger that is not too large, whose guards were on, every invariant, too."""
    engine = open_engine(url)
    with engine.connect() as connection:
        names = case.check(connection)
        if members and members <= MOST_RECONCILED:
            with connection.begin():
                assert broken(reconcile(connection)) == []
            names.append("every invariant holds")
    engine.dispose()
    return names


def _postmaster(bench: Bench) -> int:
    found = postmaster(bench.server)
    assert found
    return found
