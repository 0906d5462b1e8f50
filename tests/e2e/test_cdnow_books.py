"""Real purchases: on every day the books are what the simulation, the balances and the months say."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from databases import HOME
from ledger import program_of, settle
from loyalty.local.cdnow import fetch_purchases
from loyalty.local.simulation import Story, play, read_points
from loyalty.services.apply_program import apply_program
from loyalty.services.close_days import close_days
from loyalty.services.look import balances, rollforward
from loyalty.services.read_books import ageing, closed_days, cohorts, months
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.queries import Row

FIRST, LAST = date(1997, 1, 1), date(1998, 6, 30)
CUSTOMERS = 300
HALF = date(1997, 10, 15)
FLOWS = ("earned", "redeemed", "expired")
PROGRAM = program_of()
CUSTOMER = text("INSERT INTO loyalty.profile (customer_id) SELECT unnest(CAST(:customers AS text[]))")
FACTS = text(
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source) "
    "SELECT profile_id, gen_random_uuid(), CASE WHEN points > 0 THEN 'points.loyalty' "
    "ELSE 'client.activatePromotion' END, at, points, jsonb_build_object(CASE WHEN points > 0 THEN 'points' "
    "ELSE 'promotionRequireRedeemedPoints' END, abs(points)), 'test' "
    "FROM jsonb_to_recordset(CAST(:facts AS jsonb)) AS f(customer_id text, at timestamptz, points bigint) "
    "JOIN loyalty.profile USING (customer_id) ORDER BY profile_id, at"
)


@pytest.fixture(scope="module")
def stories() -> Mapping[str, Story]:
    earned = read_points(fetch_purchases(Path(os.environ[HOME]) / "cdnow"))
    return {customer: play(earned[customer], LAST) for customer in sorted(earned)[:CUSTOMERS]}


@pytest.fixture(scope="module")
def connection(module_database: Engine, stories: Mapping[str, Story]) -> Iterator[Connection]:
    """The stories are told, settled and closed, a third of them late: after half of the days were closed."""
    early, late = dict(list(stories.items())[CUSTOMERS // 3 :]), dict(list(stories.items())[: CUSTOMERS // 3])
    with module_database.connect() as connection:
        with connection.begin():
            apply_program(connection, PROGRAM)
        for part, through in ((early, HALF), (late, LAST)):
            with connection.begin():
                connection.execute(CUSTOMER, {"customers": list(part)})
                connection.execute(FACTS, {"facts": json.dumps(list(facts(part)))})
            settle(connection, PROGRAM, through)
            close_days(connection, PROGRAM, first=FIRST if through == HALF else None, last=through)
        yield connection


def facts(stories: Mapping[str, Story]) -> Iterator[dict[str, object]]:
    for customer, story in stories.items():
        for day, points in story.earned.items():
            yield {"customer_id": customer, "at": f"{day}T00:00Z", "points": points}
        for day, points in story.redeemed.items():
            yield {"customer_id": customer, "at": f"{day}T12:00Z", "points": -points}


@pytest.fixture(scope="module")
def days(connection: Connection) -> list[Row]:
    with connection.begin():
        return closed_days(connection)


def of_the_day(stories: Mapping[str, Story], day: date) -> tuple[int, int, int]:
    return tuple(sum(getattr(one, name).get(day, 0) for one in stories.values()) for name in FLOWS)  # type: ignore[return-value]


def test_every_day_is_what_the_simulation_says_and_what_came_late_is_told_once(
    stories: Mapping[str, Story], days: list[Row]
) -> None:
    assert [row["day"] for row in days] == [FIRST + timedelta(days=n) for n in range(546)]
    late = dict(list(stories.items())[: CUSTOMERS // 3])
    early = dict(list(stories.items())[CUSTOMERS // 3 :])
    held = 0
    for row in days:
        known = early if row["day"] <= HALF else stories
        assert tuple(row[name] for name in FLOWS) == of_the_day(known, row["day"])
        if row["day"] == HALF + timedelta(days=1):
            told = [of_the_day(late, FIRST + timedelta(days=n)) for n in range((HALF - FIRST).days + 1)]
            assert row["prior_days"] == sum(earned - redeemed - expired for earned, redeemed, expired in told) > 0
            held += row["prior_days"]
        else:
            assert row["prior_days"] == 0
        held += row["earned"] - row["redeemed"] - row["expired"]
        assert row["closing"] == held
    assert held == sum(story.closing for story in stories.values())


def test_every_day_opens_with_the_balances_of_its_midnight(connection: Connection, days: list[Row]) -> None:
    with connection.begin():
        for row in days:
            if row["day"] > HALF + timedelta(days=1):  # all is known of these
                at = datetime.combine(row["day"], time(), UTC)
                held = sum(one["balance"] for one in balances(connection, at))
                assert held == row["opening"] - row["expired"], row["day"]


def test_the_months_are_those_of_the_rollforward(connection: Connection, days: list[Row]) -> None:
    with connection.begin():
        rolled = {row["month"]: row for row in rollforward(connection)}
    for month in months([row for row in days if row["day"] >= date(1997, 11, 1)]):
        row = rolled[month["month"]]
        assert {name: row[name] for name in ("opening", *FLOWS, "closing")} == {
            name: month[name] for name in ("opening", *FLOWS, "closing")
        }


def test_ageing_and_cohorts_come_to_every_closing(
    connection: Connection, days: list[Row], stories: Mapping[str, Story]
) -> None:
    with connection.begin():
        lots = Counter[date]()
        for row in ageing(connection, None, None):
            lots[row["day"]] += row["points"]
        assert {row["day"]: row["closing"] for row in days if row["closing"]} == dict(lots)
        found = cohorts(connection)
        assert broken(reconcile(connection)) == []
    assert sum(row["remaining"] for row in found) == days[-1]["closing"]
    for name in FLOWS:
        assert sum(row[name] for row in found) == sum(sum(getattr(one, name).values()) for one in stories.values())
