"""The expiry cases with their expected results, and wrong algorithms that they must catch."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine, text

from ledger import balance, expired, profile, program_of, record, settle, wipe
from loyalty.services.apply_program import apply_program

SCENARIOS = json.loads((Path(__file__).parents[1] / "scenarios.json").read_text(encoding="utf-8"))
ACTION = {"spend": "client.activatePromotion", "return": "client.deactivatePromotion"}
NAMES = [scenario["name"] for scenario in SCENARIOS]


def play(connection: Connection, scenario: dict[str, Any]) -> dict[str, Any]:
    """What the ledger makes of the scenario, in the form of its expectation."""
    program = program_of(scenario["timezone"], scenario["validity_days"])
    zone = ZoneInfo(scenario["timezone"])
    with connection.begin():
        wipe(connection)
        apply_program(connection, program)
        customer = profile(connection, "the customer")
    nets = []
    for step in scenario["steps"]:
        with connection.begin():
            for fact in step.get("record", []):
                kind = ACTION.get(fact["kind"], fact["kind"])
                record(connection, customer, kind, datetime.fromisoformat(fact["at"]), fact["points"])
        if "run" in step:
            day = datetime.fromisoformat(step["run"]).astimezone(zone).date()
            nets.append(settle(connection, program, day).points)
    with connection.begin():
        nights = {night: points for (_, night), points in expired(connection).items()}
        return {"expired": nights, "balance": balance(connection, customer), "net_of_each_run": nets}


def expectation(scenario: dict[str, Any]) -> dict[str, Any]:
    zone = ZoneInfo(scenario["timezone"])
    nights = {datetime.fromisoformat(at).astimezone(zone).date(): n for at, n in scenario["expect"]["expired"].items()}
    return scenario["expect"] | {"expired": nights}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_scenario(module_database: Engine, scenario: dict[str, Any]) -> None:
    with module_database.connect() as connection:
        assert play(connection, scenario) == expectation(scenario)


# Each takes one thing that the rule says out of the function that settles.
UNSPENT = "loyalty.total(s.unspent) OVER past AS unspent"
USED, MATURED = "WHERE s.at <> 'infinity'", "WHERE s.at = 'infinity'"
WRONG = {
    "a spend counts from whenever it was, not from its midnight": (
        UNSPENT,
        f"(coalesce(sum(s.unspent) FILTER ({MATURED}) OVER past, 0)"
        f" + coalesce(sum(s.unspent) FILTER ({USED}) OVER (PARTITION BY s.profile_id), 0))::bigint AS unspent",
    ),
    "points are taken that were spent since": ("least(n.unspent, n.room)", "n.unspent"),
    "what expired once may come back with a return": (
        "max(greatest(0, least(n.unspent, n.room))) OVER nights",
        "greatest(0, least(n.unspent, n.room))",
    ),
    "points expire without regard to what was used": ("-e.used AS unspent", "0::bigint AS unspent"),
    "only the points due on the day itself count": (
        UNSPENT,
        f"(coalesce(sum(s.unspent) FILTER ({USED}) OVER past, 0)"
        " + CASE WHEN s.at = 'infinity' THEN s.unspent ELSE 0 END)::bigint AS unspent",
    ),
    "what was recorded is forgotten": ("n.recorded - lag(n.recorded, 1, 0::bigint) OVER nights", "0::bigint"),
    "only what is left now limits, not the lowest level since": (
        "min(f.held) OVER (PARTITION BY f.profile_id ORDER BY f.midnight DESC, f.at DESC)",
        "last_value(f.held) OVER (PARTITION BY f.profile_id ORDER BY f.midnight, f.at"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
    ),
}
WRONG_TIME = {
    "points live to the end of their last day": """
        CREATE OR REPLACE FUNCTION loyalty.due_on(earned_at timestamptz, validity_days integer, zone text) RETURNS date
        IMMUTABLE RETURN timezone(zone, earned_at)::date + validity_days + 1""",
    "a spend at midnight counts for that midnight": """
        CREATE OR REPLACE FUNCTION loyalty.day_after(moment timestamptz, zone text) RETURNS date
        IMMUTABLE RETURN timezone(zone, moment - interval '1 microsecond')::date + 1""",
    "days are 24 hours": """
        CREATE OR REPLACE FUNCTION loyalty.due_on(earned_at timestamptz, validity_days integer, zone text) RETURNS date
        IMMUTABLE RETURN timezone(
            zone, earned_at + 24 * validity_days * interval '1 hour' - interval '1 microsecond')::date + 1""",
}


@pytest.mark.parametrize("fault", WRONG)
def test_the_scenarios_catch_a_wrong_settlement(database: Engine, fault: str) -> None:
    right, wrong = WRONG[fault]
    with database.connect() as connection:
        with connection.begin():
            definition = str(
                connection.scalar(text("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'settlement'"))
            )
            assert right in definition, "the planted fault no longer fits the function"
            connection.exec_driver_sql(definition.replace(right, wrong))
        assert caught(connection)


@pytest.mark.parametrize("fault", WRONG_TIME)
def test_the_scenarios_catch_a_wrong_calendar(database: Engine, fault: str) -> None:
    with database.connect() as connection:
        with connection.begin():
            connection.exec_driver_sql(WRONG_TIME[fault])
        assert caught(connection)


def caught(connection: Connection) -> bool:
    return any(play_or_error(connection, scenario) != expectation(scenario) for scenario in SCENARIOS)


def play_or_error(connection: Connection, scenario: dict[str, Any]) -> object:
    try:
        return play(connection, scenario)
    except Exception as error:  # the database may refuse what a wrong algorithm writes: that is a catch, too
        return error
