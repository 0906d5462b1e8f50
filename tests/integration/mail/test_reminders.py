"""Customers are warned of points that expire soon: each day and stage once, no day stranded, nothing that is spent."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, text

from integration.mail.test_outbox import send
from ledger import catalog_of, profile, record, wipe
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.expiry_reminder import Reminded, remind
from mailing import mailing_program, sink

PROGRAM = mailing_program()
DUE = date(2026, 9, 1)  # the midnight that takes them
EARNED = datetime(2026, 8, 31, 12, tzinfo=UTC) - timedelta(days=182)


@pytest.fixture
def connection(module_database: Engine) -> Connection:
    with module_database.connect() as connection:
        with connection.begin():
            wipe(connection)
            apply_program(connection, PROGRAM)
        yield connection


def customer(connection: Connection, name: str, *due: tuple[date, int]) -> int:
    """Somebody whose points expire on these days."""
    attributes = {"email": f"{name}@example.org", "mail_consent": True}
    with connection.begin():
        who = profile(connection, name, attributes=attributes)
        for day, points in due:
            record(connection, who, "points.loyalty", EARNED + (day - DUE), points)
    return who


def run(connection: Connection, day: date, *, key: str | None = None, program: Program = PROGRAM) -> Reminded:
    catalog = catalog_of(program.model_dump_json())
    return remind(connection, program.mail, catalog, run_key=key or str(day), business_date=day, ahead=True)


def warned(connection: Connection) -> list[tuple[str, date, int, int]]:
    """Who was warned of which day, at which stage, of how many points."""
    told = "SELECT customer_id, due_on, stage, points FROM loyalty.reminder JOIN loyalty.profile USING (profile_id)"
    with connection.begin():
        return [tuple(row) for row in connection.execute(text(f"{told} ORDER BY 1, 2, 3"))]


def day(ahead: int) -> date:
    """So many days before the points expire."""
    return DUE - timedelta(days=ahead)


def test_at_each_stage_and_only_then(connection: Connection) -> None:
    customer(connection, "ada", (DUE, 40))
    sent = {ahead: run(connection, day(ahead)).messages for ahead in range(33, 0, -1)}
    assert {ahead for ahead, messages in sent.items() if messages} == {30, 7, 1}
    assert warned(connection) == [("ada", DUE, 1, 40), ("ada", DUE, 7, 40), ("ada", DUE, 30, 40)]


@pytest.mark.parametrize(
    ("missed", "stages"),
    [
        ({30}, [1, 7, 30]),
        ({30, 29, 28}, [1, 7, 30]),
        ({8, 7, 6}, [1, 7, 30]),
        (set(range(30, 5, -1)), [1, 7]),  # both had come meanwhile: the nearer one speaks
        ({1}, [7, 30]),  # too late
    ],
)
def test_a_missed_day_strands_nobody(connection: Connection, missed: set[int], stages: list[int]) -> None:
    customer(connection, "ada", (DUE, 40))
    for ahead in range(33, 0, -1):
        if ahead not in missed:
            run(connection, day(ahead))
    assert [stage for _, _, stage, _ in warned(connection)] == stages


def test_the_first_run_ever_warns_of_all_that_is_near_once(connection: Connection) -> None:
    customer(connection, "ada", (DUE, 40), (DUE + timedelta(days=10), 5))
    assert run(connection, day(5)).messages == 2
    assert warned(connection) == [("ada", DUE, 7, 40), ("ada", DUE + timedelta(days=10), 30, 5)]


def test_the_same_run_again_and_another_of_the_same_day_warn_nobody_again(connection: Connection) -> None:
    customer(connection, "ada", (DUE, 40))
    assert [run(connection, day(30), key=key).messages for key in ("one", "one", "two")] == [1, 0, 0]


def test_several_days_of_one_stage_are_one_message(connection: Connection) -> None:
    customer(connection, "ada", (DUE, 40), (DUE - timedelta(days=1), 2))
    run(connection, day(40))
    assert run(connection, day(30)).messages == 1
    assert [points for *_, points in warned(connection)] == [2, 40]


def test_points_spent_before_the_message_goes_are_not_warned_of(
    module_database: Engine, connection: Connection
) -> None:
    spent, partly = customer(connection, "ada", (DUE, 40)), customer(connection, "bob", (DUE, 40))
    customer(connection, "eve", (DUE, 40))
    run(connection, day(30))
    with connection.begin():
        now = datetime(2026, 8, 3, tzinfo=UTC)
        record(connection, spent, "client.activatePromotion", now, 40)
        record(connection, partly, "client.activatePromotion", now, 15)
    with sink() as (inbox, server):
        found = send(module_database, PROGRAM, server)
    assert {who: message["Subject"] for who, message in inbox.by_address().items()} == {
        "bob@example.org": "25 points are about to expire",
        "eve@example.org": "40 points are about to expire",
    }
    assert found.count("skipped", "no_points") == 1


def test_points_that_never_expire_or_are_spent_already_are_left_out(connection: Connection) -> None:
    who = customer(connection, "ada", (DUE, 40))
    with connection.begin():
        record(connection, who, "client.activatePromotion", EARNED + timedelta(days=1), 40)
    assert run(connection, day(30)).messages == 0


def test_points_that_come_late_are_warned_of_at_the_nearest_stage(connection: Connection) -> None:
    run(connection, day(6))
    customer(connection, "ada", (DUE, 40))
    assert run(connection, day(5)).messages == 1
    assert warned(connection) == [("ada", DUE, 7, 40)]


def test_a_run_made_again_speaks_of_what_has_come_meanwhile(connection: Connection) -> None:
    who = customer(connection, "ada", (DUE, 40))
    assert run(connection, day(30), key="one").messages == 1
    with connection.begin():
        record(connection, who, "points.loyalty", EARNED - timedelta(days=3), 5)
    assert run(connection, day(30), key="one").messages == 1
    assert warned(connection) == [("ada", DUE - timedelta(days=3), 30, 5), ("ada", DUE, 30, 40)]
