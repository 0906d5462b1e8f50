"""Periods at their edges, also where clocks change."""

from datetime import UTC, datetime, timedelta

import pytest

from integration.definitions.rows import Rows, warsaw
from loyalty.model.aggregates import Aggregate
from loyalty.model.periods import Period, between, last, lifetime, since, until

MICROSECOND = timedelta(microseconds=1)
NOON = "2026-06-15T12:00:00"


def counted(rows: Rows, period: Period, as_of: str | datetime, moments: list[datetime]) -> list[datetime]:
    """The moments that lie in the period, each recorded for a customer of its own."""
    owners = {}
    for moment in moments:
        owner = rows.customer()
        rows.event(owner, "visit", moment)
        owners[owner] = moment
    visits = Aggregate(name="asked", function="count", actions="visit", period=period)
    found = rows.values(visits, as_of)
    return [moment for owner, moment in owners.items() if found[owner] == 1]


def edge(moment: str | datetime) -> list[datetime]:
    """Just before the moment, at it, just after it."""
    at = warsaw(moment) if isinstance(moment, str) else moment
    at = at.astimezone(UTC)
    return [at - MICROSECOND, at, at + MICROSECOND]


@pytest.mark.parametrize(
    ("period", "moment", "inside"),
    [
        (lifetime(), NOON, "-.."),
        (lifetime().before(days=182), "2025-12-15T12:00:00", "--."),
        (last(hours=1), "2026-06-15T11:00:00", ".--"),
        (last(hours=1), NOON, "-.."),
        (last(days=1), "2026-06-14T12:00:00", ".--"),
        (last(weeks=2), "2026-06-01T12:00:00", ".--"),
        (last(months=1), "2026-05-15T12:00:00", ".--"),
        (last(years=1), "2025-06-15T12:00:00", ".--"),
        (last(hours=24).before(days=182), "2025-12-14T12:00:00", "..-"),
        (last(hours=24).before(days=182), "2025-12-15T12:00:00", "--."),
        (last(years=20).before(days=182), "2005-12-15T12:00:00", "..-"),
        (last(days=1).before(hours=2), "2026-06-14T10:00:00", "..-"),
        (last(days=1).before(hours=2), "2026-06-15T10:00:00", "--."),
        (between(warsaw("2026-05-01"), warsaw("2026-06-01")), "2026-05-01", ".--"),
        (between(warsaw("2026-05-01"), warsaw("2026-06-01")), "2026-06-01", "-.."),
        (since(warsaw("2026-05-01")), "2026-05-01", ".--"),
        (since(warsaw("2026-05-01")), NOON, "-.."),
        (until(warsaw("2026-05-01")), "2026-05-01", "-.."),
        (until(warsaw("2027-05-01")), NOON, "-.."),
    ],
    ids=lambda one: one.describe() if not isinstance(one, str) else one,
)
def test_a_period_holds_its_edges_as_defined(rows: Rows, period: Period, moment: str, inside: str) -> None:
    moments = edge(moment)
    expected = [one for one, sign in zip(moments, inside, strict=True) if sign == "-"]
    assert counted(rows, period, NOON, moments) == expected


@pytest.mark.parametrize(
    ("as_of", "period", "start"),
    [
        ("2026-03-30", last(days=1), "2026-03-29"),
        ("2026-10-26", last(days=1), "2026-10-25"),
        ("2026-03-31", last(months=1), "2026-02-28"),
        ("2026-04-01", last(months=1), "2026-03-01"),
        ("2028-02-29", last(years=1), "2027-02-28"),
        ("2026-03-30T02:30:00", last(days=1), "2026-03-29T03:30:00"),
        ("2026-10-26T02:30:00", last(days=1), "2026-10-25T02:30:00"),
        ("2026-07-01", last(weeks=26), "2025-12-31"),
    ],
)
def test_days_and_longer_are_those_of_the_calendar_in_warsaw(
    rows: Rows, as_of: str, period: Period, start: str
) -> None:
    moments = edge(start)
    assert counted(rows, period, as_of, moments) == moments[1:]


@pytest.mark.parametrize(
    ("as_of", "start"),
    [("2026-03-30", "2026-03-28T23:00:00"), ("2026-10-26", "2026-10-25T01:00:00"), ("2026-06-15", "2026-06-14")],
)
def test_twenty_four_hours_pass_by_the_clock_whatever_the_calendar_shows(rows: Rows, as_of: str, start: str) -> None:
    moments = edge(start)
    assert counted(rows, last(hours=24), as_of, moments) == moments[1:]


@pytest.mark.parametrize("first", ["2026-03-27", "2026-10-23", "2026-06-10"])
def test_consecutive_days_before_a_validity_partition_time(rows: Rows, first: str) -> None:
    """Each moment is in exactly one of the days, those of clock changes too."""
    nights = [warsaw(first) + timedelta(days=days) for days in range(6)]
    start = (nights[0] - timedelta(days=182)).astimezone(UTC)
    moments = [start + timedelta(minutes=30 * step) for step in range(1, 5 * 48 - 2)]
    owners = {}
    for moment in moments:
        owner = rows.customer()
        rows.event(owner, "visit", moment)
        owners[owner] = 0
    visits = Aggregate(name="asked", function="count", actions="visit", period=last(days=1).before(days=182))
    for night in nights:
        for owner, count in rows.values(visits, night).items():
            owners[owner] += int(count)
    assert set(owners.values()) == {1}


@pytest.mark.parametrize("change", ["2026-03-29", "2026-10-25"])
def test_the_last_24_hours_lose_or_repeat_an_hour_where_clocks_change(rows: Rows, change: str) -> None:
    """What the default segment is free of: the seed's own period leaves a gap after a day of 25 hours."""
    midnight = warsaw(change)
    moments = [midnight + timedelta(minutes=30), midnight + timedelta(hours=12)]
    nights = [midnight + timedelta(days=182 + days) for days in (0, 1, 2)]
    seen = [counted(rows, last(hours=24).before(days=182), night, moments) for night in nights]
    times = sum(moments[0] in found for found in seen)
    assert times == {"2026-03-29": 1, "2026-10-25": 0}[change]
