"""What was measured, as tables for people."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 150
MIB = 2**20
Figures = dict[str, Any]


def show(sizes: list[Figures], growth: dict[str, float], amid_more: dict[str, float]) -> None:
    """A table of the steps of each case at each size, one of everything, and how the time per customer grows."""
    console = Console(width=WIDTH)
    for size in sizes:
        for case in size["cases"]:
            table = next(table for key, table in TABLES.items() if key in case)
            console.print(table(size["members"], case))
    if any("ways" in case for size in sizes for case in size["cases"]):
        console.print(summary(sizes))
    for name, ratio in growth.items():
        console.print(f"{name}: a customer takes {ratio} times as long at {sizes[-1]['members']:,} customers")
    for name, ratio in amid_more.items():
        console.print(f"{name}: {ratio} times as long as amid a part of the customers")


def steps_of(members: int, case: Figures) -> Table:
    """A line for each step: its seconds in the last run of each way."""
    last_runs = {way: found["runs"][-1] for way, found in case["ways"].items()}
    ways = {way: run for way, run in last_runs.items() if "steps" in run}
    table = Table("step", title=f"{case['case']}: {members:,} customers, {case['rows']:,} rows", title_justify="left")
    for way in ways:
        table.add_column(way, justify="right")
    for name in dict.fromkeys(step for run in ways.values() for step in run["steps"]):
        table.add_row(name, *(_seconds(run["steps"].get(name)) for run in ways.values()))
    table.add_section()
    table.add_row("by the clock", *(_seconds(run["seconds"]) for run in ways.values()))
    return table


def answers_of(members: int, case: Figures) -> Table:
    """A line for each kind of customers who spent."""
    table = Table("milliseconds", title=f"{case['case']}: {members:,} customers", title_justify="left")
    for column in ("answers", "p50", "p99", "longest"):
        table.add_column(column, justify="right")
    for name, found in case["milliseconds"].items():
        figures = ("" if found[of] is None else f"{found[of]:,.1f}" for of in ("p50", "p99", "max"))
        table.add_row(name, f"{found['count']:,}", *figures)
    return table


def rounds_of(members: int, case: Figures) -> Table:
    """A line for each of the runs in a row."""
    title = f"{case['case']}: {members:,} customers; last to first {case['last_to_first']}"
    table = Table("run", title=title, title_justify="left")
    for column in ("s", "events after it", "WAL", "disk"):
        table.add_column(column, justify="right")
    for number, run in enumerate(case["runs"], 1):
        sizes = (f"{run[name] / MIB:,.0f} MiB" for name in ("wal_bytes", "disk_bytes"))
        table.add_row(str(number), _seconds(run["seconds"]), f"{run['events']:,}", *sizes)
    return table


TABLES = {"ways": steps_of, "milliseconds": answers_of, "runs": rounds_of}


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
            for way, found in case.get("ways", {}).items():
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
        yield f"{run[name] / MIB:,.0f} MiB" if name in run else ""
    for name in ("python_together_mib", "database_mib"):
        yield f"{run[name]:,} MiB" if name in run else ""


def _seconds(took: float | None) -> str:
    return "" if took is None else f"{took:.2f}"
