"""Real Airflow makes up missed days, is killed in the middle of one, and runs another again."""

import os
import random
import re
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest
from sqlalchemy import Connection, Engine, text

import oracle
from effort import ALL
from ledger import expired, profile, record, settle, wipe
from loyalty.local.processes import wait_until
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile

DAG = "rolling_expiry"
LAST = date(1998, 6, 30)
MISSED = 14 if os.environ.get(ALL) else 5
FIRST = LAST - timedelta(days=MISSED - 1)
DAY_OF_THE_KILL = LAST + timedelta(days=1)
VALIDITY = 182
CUSTOMERS = 300
Histories = dict[int, list[oracle.Entry]]


@pytest.fixture(scope="module")
def histories(airflow: Any) -> Histories:
    """The ledger holds what some hundred customers earned and spent, settled up to the day before the first."""
    chance = random.Random(20260619)
    entries: Histories = {}
    with airflow.ledger.connect() as connection:
        with connection.begin():
            wipe(connection)
            apply_program(connection, airflow.program)
            for number in range(CUSTOMERS):
                who = profile(connection, f"customer-{number:03}", attributes=mailbox_of(number))
                entries[who] = record_history(connection, who, chance)
        for days in (6, 4, 1):
            settle(connection, airflow.program, FIRST - timedelta(days=days))
    airflow.api.wait_for_dag(DAG)
    airflow.api.unpause(DAG)
    return entries


def record_history(connection: Connection, who: int, chance: random.Random) -> list[oracle.Entry]:
    """Points that fall due in the missed days, around them, or on the day of the kill, of which some are spent."""
    due = [FIRST - timedelta(days=chance.randint(-20, 10)) for _ in range(chance.randint(1, 4))]
    if who % 5 == 0:
        due.append(DAY_OF_THE_KILL)
    entries = []
    for day in sorted(due):
        at = noon(day - timedelta(days=VALIDITY + 1))
        points = chance.randint(1, 200)
        record(connection, who, "points.loyalty", at, points)
        entries.append(oracle.Entry(at, "collected", points, VALIDITY))
    spent = chance.randint(0, sum(entry.points for entry in entries) // 2)
    if spent:
        at = entries[-1].at + timedelta(days=chance.randint(1, 150))
        record(connection, who, "client.activatePromotion", at, spent)
        entries.append(oracle.Entry(at, "used", spent))
    return entries


def mailbox_of(number: int) -> dict[str, object]:
    """Every seventh does not consent, every eleventh has no address."""
    address = {"email": f"customer-{number:03}@example.org"} if number % 11 else {}
    return address | {"mail_consent": number % 7 != 0}


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def demanded(histories: Histories, day: date) -> dict[tuple[int, date], int]:
    nights = {who: oracle.settle(entries, day, ZoneInfo("UTC")) for who, entries in histories.items()}
    return {(who, night): points for who, due in nights.items() for night, points in due.items()}


def recorded(ledger: Engine) -> dict[tuple[int, date], int]:
    with ledger.begin() as connection:
        return expired(connection)


def expiries(ledger: Engine) -> list[Any]:
    """Every expiry and every restore, as it was written."""
    with ledger.begin() as connection:
        return list(connection.execute(text("SELECT key FROM loyalty.event WHERE run_id IS NOT NULL ORDER BY key")))


def test_a_backfill_makes_up_the_missed_days(airflow: Any, histories: Histories) -> None:
    assert recorded(airflow.ledger) == demanded(histories, FIRST - timedelta(days=1))
    runs = airflow.backfill(DAG, FIRST, LAST, expected=MISSED)
    assert [(run.partition_key, run.state) for run in runs] == [
        (str(FIRST + timedelta(days=days)), "success") for days in range(MISSED)
    ]
    assert recorded(airflow.ledger) == demanded(histories, LAST)
    assert len({night for _, night in recorded(airflow.ledger)}) > MISSED
    with airflow.ledger.begin() as connection:
        assert broken(reconcile(connection)) == []


def test_everybody_who_lost_points_in_a_run_heard_how_many_once(airflow: Any, histories: Histories) -> None:
    with airflow.ledger.begin() as connection:
        names = dict(connection.execute(text("SELECT profile_id, customer_id FROM loyalty.profile")).all())
    gone = demanded(histories, LAST).items()
    lost = Counter((names[who], points) for (who, night), points in gone if FIRST <= night <= LAST)
    owed = {one: times for one, times in lost.items() if int(one[0][-3:]) % 7 and int(one[0][-3:]) % 11}
    subjects = re.compile(r"([\d,]+) points have expired")
    heard = Counter(
        (str(message["To"]).partition("@")[0], int(subjects.fullmatch(str(message["Subject"]))[1].replace(",", "")))
        for message in airflow.inbox.messages
        if str(message["To"]).startswith("customer-")
    )
    assert heard == owed
    assert set(airflow.inbox.ids().values()) == {1}


def test_a_completed_day_cleared_and_run_again_changes_nothing(airflow: Any, histories: Histories) -> None:
    before = expiries(airflow.ledger)
    run = airflow.api.runs(DAG, FIRST, LAST)[3]
    airflow.clear(DAG, run.run_id)
    assert airflow.wait(DAG, run.run_id).state == "success"
    assert set(airflow.tries(DAG, run.run_id).values()) == {2}
    assert expiries(airflow.ledger) == before


def test_a_day_ends_right_although_its_task_was_killed_in_the_middle(
    airflow: Any, histories: Histories, blocked_customer: Connection
) -> None:
    run_id = airflow.api.trigger(DAG, partition_key=str(DAY_OF_THE_KILL))
    assert wait_until(lambda: is_half_way(airflow.ledger) and waiting_port(airflow.ledger) is not None, 120)
    process_at(airflow, waiting_port(airflow.ledger)).send_signal(signal.SIGKILL)
    blocked_customer.rollback()
    assert airflow.wait(DAG, run_id).state == "success"
    assert airflow.tries(DAG, run_id)["expire_points"] == 2
    assert recorded(airflow.ledger) == demanded(histories, DAY_OF_THE_KILL)
    with airflow.ledger.begin() as connection:
        assert broken(reconcile(connection)) == []


def test_the_same_backfill_again_changes_nothing(airflow: Any, histories: Histories) -> None:
    before = expiries(airflow.ledger)
    runs = airflow.backfill(DAG, FIRST, LAST, expected=MISSED)
    assert len(runs) == MISSED
    assert expiries(airflow.ledger) == before


@pytest.fixture
def blocked_customer(airflow: Any, histories: Histories) -> Iterator[Connection]:
    """Whoever comes to the last customer due on the day of the kill waits, until this connection lets go."""
    with airflow.ledger.connect() as connection:
        last = max(who for who in histories if who % 5 == 0)
        connection.execute(text("SELECT FROM loyalty.account WHERE profile_id = :who FOR UPDATE"), {"who": last})
        yield connection


def waiting_port(ledger: Engine) -> int | None:
    """The port from which a session that waits for a row's lock has come."""
    with ledger.begin() as connection:
        return connection.scalar(
            text(
                "SELECT client_port FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock' AND wait_event <> 'advisory'"
            )
        )


def is_half_way(ledger: Engine) -> bool:
    return 0 < members(ledger, "completed") < members(ledger)


def members(ledger: Engine, state: str | None = None) -> int:
    """How many members the latest run has, in this state or in any."""
    latest = "SELECT max(run_id) FROM loyalty.journey_run"
    counted = (
        f"SELECT count(*) FROM loyalty.journey_member WHERE run_id = ({latest}) AND state = coalesce(:state, state)"
    )
    with ledger.begin() as connection:
        return int(connection.scalar(text(counted), {"state": state}))


def process_at(airflow: Any, port: int | None) -> psutil.Process:
    """The task's process, which is the one below the scheduler that holds this port."""
    scheduler = next(status.pid for status in airflow.stack.status() if status.name == "scheduler")
    for process in psutil.Process(scheduler).children(recursive=True):
        if any(connection.laddr.port == port for connection in process.net_connections("tcp")):
            return process
    raise AssertionError(f"no task of this Airflow holds port {port}")
