"""What a frozen batch cancellation would do, before anything is touched."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from tabulate import tabulate

from loyalty.model.program import Program
from loyalty.store.queries import query

LARGEST = 20


@dataclass(frozen=True)
class Band:
    """Members whose points have so many digits; 0 digits: nothing to cancel."""

    digits: int
    member_count: int
    points: int

    @property
    def words(self) -> str:
        """The band as a range of points."""
        if self.digits == 0:
            return "0"
        return f"{10 ** (self.digits - 1):,} to {10**self.digits - 1:,}"


@dataclass(frozen=True)
class Preview:
    """Members, points and money to be cancelled; how they are spread; who loses most; who is left alone, and why."""

    run_id: int
    member_count: int
    points: int
    money: Decimal
    currency: str
    nothing_count: int
    excluded_count: int
    excluded_points: int
    bands: tuple[Band, ...]
    largest: tuple[tuple[str, int], ...]
    excluded: tuple[tuple[str, int, int], ...]

    def lines(self) -> list[str]:
        """The preview as Markdown, which reads well as plain text too."""
        return [
            f"**Run {self.run_id}: {self.points:,} points of {self.member_count:,} members** "
            f"({self.money:,.2f} {self.currency}) are to be cancelled.",
            "",
            f"{self.nothing_count:,} of them have nothing to cancel. "
            f"{self.excluded_count:,} more, with {self.excluded_points:,} points, are left alone.",
            *_table(
                "Distribution",
                ("points", "members", "points in all"),
                [(band.words, f"{band.member_count:,}", f"{band.points:,}") for band in self.bands],
            ),
            *_table(
                "Who loses most", ("customer", "points"), [(_plain(who), f"{points:,}") for who, points in self.largest]
            ),
            *_table(
                "Left alone",
                ("because of", "members", "points"),
                [(_plain(why), f"{count:,}", f"{points:,}") for why, count, points in self.excluded],
            ),
        ]


def preview_run(connection: Connection, program: Program, run_id: int) -> Preview:
    """The preview of the run's members as they were frozen."""
    run: dict[str, Any] = {"run_id": run_id}
    totals = connection.execute(query("cancel/preview_totals"), run).one()
    bands = connection.execute(query("cancel/preview_distribution"), run)
    largest = connection.execute(query("cancel/preview_largest"), run | {"shown": LARGEST})
    excluded = connection.execute(query("cancel/preview_excluded"), run)
    return Preview(
        run_id=run_id,
        money=totals.points * program.point_value,
        currency=program.currency,
        bands=tuple(Band(*band) for band in bands),
        largest=tuple((row.customer_id, row.points) for row in largest),
        excluded=tuple((row.detail, row.member_count, row.points) for row in excluded),
        **totals._asdict(),
    )


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    numbers = ("left", *("right" for _ in head[1:]))
    return ["", f"**{title}**", "", tabulate(rows, head, tablefmt="pipe", colalign=numbers, disable_numparse=True)]


def _plain(text: str) -> str:
    """The text with what Markdown or HTML would read as its own made harmless."""
    return "".join(f"&#{ord(letter)};" if letter in "|<>&*`[\n\r" else letter for letter in text)
