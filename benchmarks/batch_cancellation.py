"""A whole batch cancellation at two sizes, step by step, and against its floor.

The journey is the one of `loyalty cancel`, in one process, on customers made from a seed. The floor is the bare SQL
that writes the same rows; both begin with a copy of the same database, and what each has written is checked against
what the making of the customers says must come out. Interrupting leaves nothing behind.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any
from unittest.mock import patch

from cancellation_floor import measure_floor
from common import own_server, seconds, vacuum, write_record
from made_customers import check, make_customers
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text

from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.load_program import load_program
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.apply_program import apply_program
from loyalty.services.decide_run import decide_run
from loyalty.services.preview_run import preview_run
from loyalty.services.reconcile import broken, reconcile
from loyalty.settings import PACKAGE
from loyalty.store.database import open_engine, server_version
from loyalty.store.schema import upgrade

PROMOTION = {"name": "coffee", "title": "A coffee", "required_points": 50, "valid_days": 30}
MOST_RECONCILED = 100_000
TABLE_WIDTH = 140
# The steps of a chunk by the name of what does them, and of the floor that writes the same.
CHUNK_STEPS = {
    "lock": "lock",
    "locks_answered": "wait for locks",
    "fail_without_lock": "fail without lock",
    "split_clients": "split clients",
    "deactivate": "deactivate",
    "deactivations_answered": "wait for deactivations",
    "fail_with_promotions": "fail with promotions",
    "deduct": "deduct",
    "release": "release",
}
STEPS = ("select", "preview", "approve", "cut", *CHUNK_STEPS.values(), "finish")


def main() -> None:
    """The table is printed, and the figures are in benchmarks/results."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--members", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes, ascending")
    arguments.add_argument("--seed", type=int, default=1, help="what the customers are made from")
    given = arguments.parse_args()
    with own_server() as server:
        programs = [measure(server, members, given.seed) for members in given.members]
    report(programs)


def measure(server: EmbeddedPostgres, members: int, seed: int) -> dict[str, Any]:
    """The journey and its floor with that many members, each in a copy of the same database."""
    program = program_with_a_promotion()
    made = f"made_{members}"
    with database(server, made) as connection:
        prepared_in = seconds(lambda: prepare(connection, program, members, seed))
    with database(server, "journey", copy_of=made) as connection:
        steps: dict[str, float] = dict.fromkeys(STEPS, 0.0)
        took = seconds(lambda: walk(connection, program, steps))
        check(connection)
        if members <= MOST_RECONCILED:
            with connection.begin():
                assert broken(reconcile(connection)) == []
        with connection.begin():
            sizes = sizes_of(connection)
    with database(server, "floor", copy_of=made) as connection:
        floor = measure_floor(connection)
        check(connection)
    for name in ("journey", "floor", made):
        on_server(server, f"DROP DATABASE {name}")
    floor_took = sum(floor.values())
    return sizes | {
        "seed": seed,
        "prepared_in": round(prepared_in, 1),
        "seconds": round(took, 3),
        "floor_seconds": round(floor_took, 3),
        "ratio_to_floor": round(took / floor_took, 2),
        "steps": {step: round(one, 4) for step, one in steps.items()},
        "floor": {step: round(one, 4) for step, one in floor.items()},
    }


def program_with_a_promotion() -> Program:
    """The shipped program, with one promotion."""
    program = load_program(PACKAGE / "definitions" / "program.yaml")
    return Program.model_validate(program.model_dump(mode="json") | {"promotions": [PROMOTION]})


@contextmanager
def database(server: EmbeddedPostgres, name: str, copy_of: str | None = None) -> Iterator[Connection]:
    """A connection to that database, which is new; a copy begins with nothing of it in the server's own memory."""
    if copy_of:
        on_server(server, f"CREATE DATABASE {name} TEMPLATE {copy_of} STRATEGY file_copy")
        server.stop()
        server.start()
    else:
        server.ensure_database(name)
    engine = open_engine(server.url(name))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def on_server(server: EmbeddedPostgres, statement: str) -> None:
    """Run where no transaction may be."""
    engine = open_engine(server.url("postgres"))
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(statement))
    engine.dispose()


def prepare(connection: Connection, program: Program, members: int, seed: int) -> None:
    """The ledger is there, with its customers, and the server knows how many of what."""
    with connection.begin():
        upgrade(connection)
        apply_program(connection, program)
    make_customers(connection, members=members, seed=seed, zone=program.timezone)
    vacuum(connection)


def walk(connection: Connection, program: Program, watch: dict[str, float]) -> None:
    """The run of `loyalty cancel --yes` is completed; ``watch`` holds the seconds of each step, all chunks together."""
    run = journey.settings_of(program)
    own, catalog = journey.catalog_of_run(load_catalog, program, run)
    with lap(watch, "select"):
        run_id = journey.snapshot(connection, own, catalog, run, run_key="bench")
    with lap(watch, "preview"), connection.begin():
        preview_run(connection, program, run_id)
    with lap(watch, "approve"), connection.begin():
        decide_run(connection, run_id, "approved", decided_by="bench")
    with lap(watch, "cut"):
        chunks = journey.cut(connection, run_id, size=run.chunk_size)
    with steps_timed(watch):
        for number in chunks:
            journey.cancel_chunk(connection, run_id, number, size=program.batch_size)
    with lap(watch, "finish"):
        journey.finish(connection, run_id)


@contextmanager
def lap(watch: dict[str, float], step: str) -> Iterator[None]:
    """What happens meanwhile is added to the step."""
    started = perf_counter()
    try:
        yield
    finally:
        watch[step] += perf_counter() - started


@contextmanager
def steps_timed(watch: dict[str, float]) -> Iterator[None]:
    """The steps of a chunk are timed where the journey's own walk calls them."""

    def timed(name: str, step: str) -> Any:
        work = getattr(journey, name)

        def clocked(*arguments: Any, **named: Any) -> Any:
            with lap(watch, step):
                return work(*arguments, **named)

        return patch.object(journey, name, clocked)

    with ExitStack() as patches:
        for name, step in CHUNK_STEPS.items():
            patches.enter_context(timed(name, step))
        yield


def sizes_of(connection: Connection) -> dict[str, Any]:
    """Members, the events there were before the run, and what it did."""
    run = connection.execute(text("SELECT member_count, points, returned FROM loyalty.journey_run")).one()
    events = connection.scalar(text("SELECT count(*) FROM loyalty.event WHERE run_id IS NULL"))
    return {
        "members": run.member_count,
        "events": events,
        "points": run.points,
        "returned": run.returned,
        "postgresql": server_version(connection),
    }


def report(programs: list[dict[str, Any]]) -> None:
    """A table for people, a JSON for the record."""
    first, last = programs[0], programs[-1]
    growth = round(per_member(last, last["seconds"]) / per_member(first, first["seconds"]), 2)
    Console(width=TABLE_WIDTH).print(table_of(programs))
    write_record("batch_cancellation", {"growth_per_member": growth, "programs": programs})


def table_of(programs: list[dict[str, Any]]) -> Table:
    """A line for each step and a total: seconds, members a second, the floor, and the growth from first to last."""
    sizes = "; ".join(f"{one['members']:,} members, {one['events']:,} events" for one in programs)
    table = Table("step", title=f"batch cancellation: {sizes}")
    for one in programs:
        for name in (f"{one['members']:,}: s", "members/s", "floor s", "ratio"):
            table.add_column(name, justify="right")
    table.add_column("growth", justify="right")
    for step in STEPS:
        lines = [(one, one["steps"][step], one["floor"].get(step)) for one in programs]
        table.add_row(step, *cells(lines))
    table.add_section()
    table.add_row("whole journey", *cells([(one, one["seconds"], one["floor_seconds"]) for one in programs]))
    return table


def cells(lines: list[tuple[dict[str, Any], float, float | None]]) -> Iterator[str]:
    """The cells of one line of the table; growth is that of the time per member."""
    for one, took, floor in lines:
        yield f"{took:.2f}"
        yield f"{one['members'] / took:,.0f}" if took else ""
        yield f"{floor:.2f}" if floor else ""
        yield f"{took / floor:.2f}" if floor else ""
    first, last = lines[0], lines[-1]
    yield f"{per_member(last[0], last[1]) / per_member(first[0], first[1]):.2f}"


def per_member(program: dict[str, Any], took: float) -> float:
    return took / program["members"]


if __name__ == "__main__":
    main()
