"""`loyalty bench`: the journeys that were asked for, at each size, in tables and in files of figures."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import award
import batch
import event_file
import mail
import rolling
from growth import growth_of, growth_within, lines_of
from measure import MEASURED, Bench, Measured
from options import read_options
from own_server import asked_for, on_server, own_server
from plot import draw
from record import write_record
from stopwatch import Stopwatch
from tables import show
from through_airflow import Airflow

from loyalty.errors import LoyaltyError

Cases = Callable[[Bench, int], Iterator[Measured]]
MADE = "SELECT datname FROM pg_database WHERE datname LIKE 'made%'"
# By the journey's name: the name of its record, and what is measured.
JOURNEYS: dict[str, tuple[str, Cases]] = {
    "batch": ("batch_cancellation", batch.cases),
    "rolling": ("rolling_expiry", rolling.cases),
    "award": ("award_points", award.cases),
    "import": ("import_events", event_file.cases),
    "mail": ("mail", mail.cases),
}


def main() -> None:
    """The tables are printed, the figures written; interrupted, it says so and nothing more."""
    options = read_options()
    try:
        with own_server() as server:
            bench = Bench(server, options, Airflow(server, MEASURED))
            for name in options.journeys:
                measure(name, bench)
    except BaseException as error:
        interrupted = asked_for(error)
        if interrupted:
            print(f"{interrupted}: nothing is left", file=sys.stderr)
            sys.exit(128 + interrupted.number)
        if isinstance(error, LoyaltyError):
            sys.exit(f"error: {error}")
        raise


def measure(name: str, bench: Bench) -> None:
    """One journey, at each size; what is measured so far stays, whatever becomes of the rest."""
    record, cases = JOURNEYS[name]
    options = bench.options
    if name == "batch" and options.repeat > 1:
        record = "batch_repeated"
    done: list[dict[str, Any]] = []
    for members in options.members:
        sizes = done
        with closing(_measure_size(bench, cases, members)) as found_so_far:
            for size in found_so_far:
                sizes = [*done, size]
                figures = {"journey": name, "asked": options.as_json(), **_figures(sizes)}
                path = write_record(record, figures, options.results)
        done = sizes
    found = _figures(done)
    show(done, found["growth_per_member"], found["amid_more"])
    print(path)
    lines = lines_of(done)
    if lines and len(done) > 1:
        draw(record.replace("_", " "), lines, path.with_suffix(".svg"))
        print(path.with_suffix(".svg"), flush=True)


def _figures(sizes: list[dict[str, Any]]) -> dict[str, Any]:
    amid_more = {what: ratio for size in sizes for what, ratio in growth_within(size).items()}
    return {"growth_per_member": growth_of(lines_of(sizes)), "amid_more": amid_more, "sizes": sizes}


def _measure_size(bench: Bench, cases: Cases, members: int) -> Generator[dict[str, Any]]:
    """The figures of one size, after each run with more; its databases are gone at the end."""
    found: list[dict[str, Any]] = []
    watch = Stopwatch()
    following = cases(bench, members)
    while True:
        with watch.lap("made in"):
            case = next(following, None)
        if case is None:
            break
        print(f"{case.name}, {members:,} customers", file=sys.stderr, flush=True)
        with closing(case.measure(bench, members)) as runs:
            for figures in runs:
                made = {"members": members, "made_in_seconds": round(watch.steps["made in"], 1)}
                yield made | {"cases": [*found, figures]}
        found.append(figures)
    while name := on_server(bench.server, MADE):
        on_server(bench.server, f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    main()
