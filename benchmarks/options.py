"""What a benchmark is asked for."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record import RESULTS

JOURNEYS = ("batch", "rolling", "award", "import", "mail")
FORMATS = ("csv", "parquet")
WAYS = {"command": ("command",), "airflow": ("airflow",), "both": ("command", "airflow")}


@dataclass(frozen=True)
class Options:
    """The journeys and sizes to be measured, and how."""

    journeys: tuple[str, ...]
    members: tuple[int, ...]
    events: int
    seed: int
    runs: int
    floor_runs: int
    ways: tuple[str, ...]
    floor_connections: tuple[int, ...]
    chunk_size: int | None
    spend: bool
    fewer: int
    preview: bool
    formats: tuple[str, ...]
    repeat: int
    prove: bool
    cut_short: bool
    results: Path

    def as_json(self) -> dict[str, Any]:
        """What the figures depend on."""
        named = ("seed", "runs", "floor_runs", "floor_connections", "chunk_size", "fewer", "cut_short")
        return {"events_per_member": self.events} | {name: getattr(self, name) for name in named}


def read_options(words: Sequence[str] | None = None) -> Options:
    """The options of the command line; what does not go together is told, and ends the program."""
    asked = argparse.ArgumentParser(
        prog="loyalty bench",
        description="Measure journeys on customers made from a seed, on a server of its own of which nothing is left.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = asked.add_argument
    add("--journey", nargs="+", choices=JOURNEYS, default=["batch"], help="what is measured")
    add("--members", type=_count, nargs="+", default=[100_000, 1_000_000], help="customers, one size after the other")
    add("--events-per-member", type=_count, default=10, help="events of each customer")
    add("--seed", type=int, default=1, help="what the customers are made from")
    add("--via", choices=WAYS, default="command", help="the services of the command line, or real Airflow")
    add("--runs", type=_count, default=1, help="how often everything is measured; the median counts")
    add("--floor-runs", type=_count, default=None, help="how often the floor is; as often as everything")
    add("--floor-connections", type=_count, nargs="+", default=[1, 2], help="over how many the floor is written")
    add("--chunk-size", type=_count, default=None, help="batch: members of a chunk; as program.yaml says")
    add("--spend", action="store_true", help="batch: measure customers who spend while it runs")
    add(
        "--fewer",
        type=int,
        choices=(10, 100),
        default=10,
        help="rolling: so many times fewer customers for a night as busy",
    )
    add("--preview", action="store_true", help="batch: measure how long it takes to count whom it would be about")
    add("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="import: of what files")
    add("--repeat", type=_count, default=1, help="batch: so many runs in a row on the same database, and nothing else")
    add("--prove", action="store_true", help="check every invariant, and some customers one by one, at any size")
    add("--cut-short", action="store_true", help="Airflow: end each run but the last once all is written")
    add("--results", type=Path, default=RESULTS, help="the folder for the figures")
    given = asked.parse_args(words)
    return Options(
        journeys=tuple(dict.fromkeys(given.journey)),
        members=tuple(sorted(given.members)),
        events=given.events_per_member,
        seed=given.seed,
        runs=given.runs,
        floor_runs=min(given.floor_runs or given.runs, given.runs),
        ways=WAYS[given.via],
        floor_connections=tuple(given.floor_connections),
        chunk_size=given.chunk_size,
        spend=given.spend,
        fewer=given.fewer,
        preview=given.preview,
        formats=tuple(given.formats),
        repeat=given.repeat,
        prove=given.prove,
        cut_short=given.cut_short,
        results=given.results,
    )


def _count(word: str) -> int:
    number = int(word.replace("_", ""))
    if number < 1:
        raise ValueError(word)
    return number
