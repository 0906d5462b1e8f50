"""What was measured, as tables for people."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 150
MIB = 2**20
Figures = dict[str, Any]


def show(sizes: list[Figures]) -> None:
    """A table of the steps of each case at each size, and one of everything."""
    console = Console(width=WIDTH)
    for size in sizes:
        for case in size["cases"]:
            console.print(steps_of(size["members"], case))
    console.print(summary(sizes))


def steps_of(members: int, case: Figures) -> Table:
    """A line for each step: its seconds in the last run of each way, the floor's, the ratio to the quickest floor."""
    ways = {way: found["runs"][-1] for way, found in case["ways"].items()}
    table = Table("step", title=f"{case['case']}: {members:,} customers, {case['rows']:,} rows", title_justify="left")
    for way in ways:
        table.add_column(way, justify="right")
    for name in dict.fromkeys(step for run in ways.values() for step in run["steps"]):
        table.add_row(name, *(_seconds(run["steps"].get(name)) for run in ways.values()))
    table.add_section()
    table.add_row("by the clock", *(_seconds(run["seconds"]) for run in ways.values()))
    return table


def summary(sizes: list[Figures]) -> Table:
    """A line for each way of each case at each size."""
    table = Table(title="by the clock; median of the runs", title_justify="left")
    for column in (
        "customers",
        "case",
        "way",
        "s",
        "rows/s",
        "to floor",
        "no task",
        "WAL",
        "disk",
        "temp",
        "python",
        "db",
    ):
        table.add_column(column, justify="left" if column in ("case", "way") else "right")
    for size in sizes:
        for case in size["cases"]:
            for way, found in case["ways"].items():
                table.add_row(f"{size['members']:,}", case["case"], way, *_cells(found))
        table.add_section()
    return table


def _cells(found: Figures) -> Iterator[str]:
    run = found["runs"][-1]
    yield f"{found['median_seconds']:.2f}"
    yield f"{found['rows_per_second']:,}"
    yield f"{found['ratio_to_floor']:.2f}"
    yield _seconds(run.get("overhead_seconds"))
    for name in ("wal_bytes", "disk_bytes", "temp_bytes"):
        yield f"{run[name] / MIB:,.0f} MiB"
    yield f"{run['python_together_mib']:,} MiB"
    yield f"{run['database_mib']:,} MiB"


def _seconds(took: float | None) -> str:
    return "" if took is None else f"{took:.2f}"
