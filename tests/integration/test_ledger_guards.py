"""The database keeps the invariants, whoever writes: these tests go round all of our code."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread
from uuid import uuid4

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from ledger import balance, profile, program_of, record, settle, wipe
from loyalty.services import reconcile as reconciling
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import transaction

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def connection(module_database: Engine) -> Iterator[Connection]:
    with transaction(module_database) as connection:
        wipe(connection)
        apply_program(connection, program_of())
    with module_database.connect() as connection:
        yield connection


@pytest.fixture
def customer(connection: Connection) -> int:
    with connection.begin():
        customer = profile(connection, "the customer")
        record(connection, customer, "points.loyalty", NOON, 100)
    return customer


@pytest.mark.parametrize("table", ["event", "event_3"])
@pytest.mark.parametrize("verb", ["UPDATE loyalty.{} SET points = 1", "DELETE FROM loyalty.{}", "TRUNCATE loyalty.{}"])
def test_events_are_never_changed_or_deleted(connection: Connection, table: str, verb: str) -> None:
    with connection.begin():
        for n in range(60):
            record(connection, profile(connection, f"c{n}"), "points.loyalty", NOON, 1)
    with pytest.raises(DBAPIError, match=r"never (changed or )?deleted"), connection.begin():
        connection.execute(text(verb.format(table)))


def test_a_balance_changes_only_with_the_ledger(connection: Connection, customer: int) -> None:
    with pytest.raises(DBAPIError, match="only with an event of points"), connection.begin():
        connection.execute(text("UPDATE loyalty.account SET balance = 1000000"))
    with pytest.raises(DBAPIError, match="never deleted"), connection.begin():
        connection.execute(text("DELETE FROM loyalty.account"))
    assert balance(connection, customer) == 100


def test_an_event_put_into_a_partition_is_booked_too(connection: Connection, customer: int) -> None:
    with connection.begin():
        part = connection.scalar(
            text("SELECT tableoid::regclass::text FROM loyalty.event WHERE profile_id = :id LIMIT 1"), {"id": customer}
        )
        connection.execute(
            text(
                f"INSERT INTO {part} (profile_id, key, action, occurred_at, points, params) "
                "VALUES (:id, :key, 'points.loyalty', now(), 7, jsonb_build_object('points', 7))"
            ),
            {"id": customer, "key": uuid4()},
        )
    assert balance(connection, customer) == 107


INSERT = text(
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to) "
    "VALUES (:id, gen_random_uuid(), :action, now(), :points, CAST(:params AS jsonb), :refers_to)"
)
REFUSED = {
    "points that are not the amount": ("points.loyalty", 100, '{"points": 10}', None, "cannot move the balance by 100"),
    "a fraction": ("points.loyalty", None, '{"points": 1.5}', None, "the amount 1.5"),
    "a word": ("points.loyalty", None, '{"points": "ten"}', None, 'the amount "ten"'),
    "an empty text": ("points.loyalty", None, '{"points": ""}', None, 'the amount ""'),
    "nothing": ("points.loyalty", None, "{}", None, r"the amount \(none\)"),
    "null": ("points.loyalty", None, '{"points": null}', None, "the amount null"),
    "past 2^53": ("points.loyalty", None, '{"points": 9007199254740993}', None, "the amount 9007199254740993"),
    "a negative earning": ("points.loyalty", -5, '{"points": -5}', None, "the amount -5"),
    "a gain for a loss": ("client.activatePromotion", 5, '{"promotionRequireRedeemedPoints": 5}', None, "by 5"),
    "points of an action without": ("page.visit", 5, '{"points": 5}', None, "cannot move the balance by 5"),
    "a reversal of nothing": ("points.reverse", -5, '{"points": 5}', None, "must name, in refers_to"),
    "a restore of what is not there": ("points.restore", 5, '{"points": 5}', uuid4(), "must name, in refers_to"),
    "more than there is": (
        "client.activatePromotion", -101, '{"promotionRequireRedeemedPoints": 101}', None, "would be -1, and .*no debt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_an_event_that_is_not_right_is_refused_with_its_value(connection: Connection, customer: int, case: str) -> None:
    action, points, params, refers_to, said = REFUSED[case]
    values = {"id": customer, "action": action, "points": points, "params": params, "refers_to": refers_to}
    with pytest.raises(DBAPIError, match=said), connection.begin():
        connection.execute(INSERT, values)
    assert balance(connection, customer) == 100


@pytest.mark.parametrize(("amount", "points"), [('" 52 "', 52), ("52", 52), ("52.0", 52), ('"5.2e1"', 52), ("0", 0)])
def test_a_whole_number_may_come_as_number_or_text(
    connection: Connection, customer: int, amount: str, points: int
) -> None:
    params = f'{{"points": {amount}}}'
    values = {"id": customer, "action": "points.loyalty", "points": points, "params": params, "refers_to": None}
    with connection.begin():
        connection.execute(INSERT, values)
    assert balance(connection, customer) == 100 + points


def test_an_event_about_nobody_is_refused(connection: Connection) -> None:
    with pytest.raises(DBAPIError, match="a profile that does not exist"), connection.begin():
        record(connection, 999_999, "points.loyalty", NOON, 1)


def test_the_same_key_is_no_second_event(connection: Connection, customer: int) -> None:
    key = uuid4()
    with connection.begin():
        record(connection, customer, "points.loyalty", NOON, 1, key=key)
    with pytest.raises(IntegrityError), connection.begin():
        record(connection, customer, "points.loyalty", NOON, 1, key=key)
    assert balance(connection, customer) == 101


def test_a_program_may_allow_debt(connection: Connection, customer: int) -> None:
    with connection.begin():
        apply_program(connection, program_of(allow_debt=True))
        record(connection, customer, "client.activatePromotion", NOON, 150)
        assert balance(connection, customer) == -50
        assert broken(reconcile(connection)) == []


def test_a_balance_stays_within_what_an_event_can_carry(connection: Connection, customer: int) -> None:
    with connection.begin():
        record(connection, customer, "points.loyalty", NOON, 2**53 - 100)
    with pytest.raises(DBAPIError, match=f"of customer the customer would be {2**53 + 1}, .*2.53"), connection.begin():
        record(connection, customer, "points.loyalty", NOON, 1)
    assert balance(connection, customer) == 2**53


def test_corrections_and_reversals_are_not_corrected(connection: Connection, customer: int) -> None:
    with connection.begin():
        earning = record(connection, customer, "points.loyalty", NOON, 10)
        correction = record(connection, customer, "points.adjust", NOON, -1, refers_to=earning)
        reversal = record(connection, customer, "points.reverse", NOON, 2, refers_to=earning)
    for target, instead in ((correction, "the event that it corrects"), (reversal, "the earning that it reverses")):
        with pytest.raises(DBAPIError, match=f"correct {instead} instead, {earning}"), connection.begin():
            record(connection, customer, "points.adjust", NOON, 1, refers_to=target)
    assert balance(connection, customer) == 107


REVERSALS = text(
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to) "
    "SELECT :id, gen_random_uuid(), 'points.reverse', now(), -points, jsonb_build_object('points', points), :earning "
    "FROM unnest(CAST(:points AS bigint[])) AS points"
)


@pytest.mark.parametrize(("points", "fits"), [([7], True), ([8], False), ([3, 4], True), ([4, 4], False)])
def test_no_more_is_reversed_than_is_left(connection: Connection, customer: int, points: list[int], fits: bool) -> None:
    with connection.begin():
        earning = record(connection, customer, "points.loyalty", NOON, 10)
        record(connection, customer, "points.adjust", NOON, -1, refers_to=earning)
        record(connection, customer, "points.reverse", NOON, 2, refers_to=earning)
    values = {"id": customer, "earning": earning, "points": points}
    if fits:
        with connection.begin():
            connection.execute(REVERSALS, values)
    else:
        with pytest.raises(DBAPIError, match="takes 1 more than is left"), connection.begin():
            connection.execute(REVERSALS, values)
    assert balance(connection, customer) == (100 if fits else 107)


def test_two_at_once_reverse_no_more_than_is_left(
    module_database: Engine, connection: Connection, customer: int
) -> None:
    with connection.begin():
        earning = record(connection, customer, "points.loyalty", NOON, 10)
    refused = []

    def reverse() -> None:
        with transaction(module_database) as own, pytest.raises(DBAPIError, match="takes 2 more than is left"):
            record(own, customer, "points.reverse", NOON, 6, refers_to=earning)
        refused.append(True)

    thread = Thread(target=reverse)
    with connection.begin():
        record(connection, customer, "points.reverse", NOON, 6, refers_to=earning)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join()
    assert refused
    assert balance(connection, customer) == 104


def test_many_writers_at_once_lose_nothing(module_database: Engine, connection: Connection) -> None:
    with connection.begin():
        ids = [profile(connection, f"c{n}") for n in range(8)]
        for one in ids:
            record(connection, one, "points.loyalty", NOON, 1_000)
    many = text(
        "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params) "
        "SELECT id, gen_random_uuid(), 'points.loyalty', CAST(:at AS timestamptz), 1, jsonb_build_object('points', 1) "
        "FROM unnest(CAST(:ids AS bigint[])) AS id"
    )

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for n in range(30):
            with transaction(module_database) as own:
                some = chance.sample(ids, 5)
                own.execute(many, {"ids": some, "at": NOON + timedelta(minutes=chance.randrange(99))})
            with transaction(module_database) as own:
                record(own, chance.choice(ids), "client.activatePromotion", NOON + timedelta(hours=n), 1)

    threads = [Thread(target=write, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connection.begin():
        assert broken(reconcile(connection)) == []
        assert connection.scalar(text("SELECT sum(balance) FROM loyalty.account")) == 8_000 + 6 * 30 * 5 - 6 * 30


EVENT = """INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params)
    SELECT profile_id{}, gen_random_uuid(), '{}', '2026-01-02Z', {}, '{{}}' FROM loyalty.account"""
FAULTS = {
    "a balance": ("1_balance_is_the_sum", "UPDATE loyalty.account SET balance = balance + 1"),
    "a latest time": ("1_balance_is_the_sum", "UPDATE loyalty.account SET latest_at = NULL"),
    "an earlier time": ("1_balance_is_the_sum", "UPDATE loyalty.account SET latest_at = '2026-01-01Z'"),
    "no account": ("1_balance_is_the_sum", "DELETE FROM loyalty.account"),
    "no profile": ("1_balance_is_the_sum", "DELETE FROM loyalty.profile"),
    "an event of nobody": ("1_balance_is_the_sum", EVENT.format(" + 1", "page.visit", "NULL")),
    "points of an unknown action": ("7_events_mean_what_they_say", EVENT.format("", "page.visit", "5")),
    "points of no amount": ("7_events_mean_what_they_say", EVENT.format("", "points.loyalty", "5")),
    "an amount without points": (
        "7_events_mean_what_they_say",
        "UPDATE loyalty.event SET points = NULL WHERE action = 'points.loyalty'",
    ),
    "an expiry at noon": (
        "7_events_mean_what_they_say",
        "UPDATE loyalty.event SET occurred_at = occurred_at + interval '12 hours' WHERE action = 'points.expire'",
    ),
    "a guard asleep": ("7_events_stay", "ALTER TABLE loyalty.event DISABLE TRIGGER events_stay"),
    "a guard of replicas": ("7_events_stay", "ALTER TABLE loyalty.event_3 ENABLE REPLICA TRIGGER b_book_events"),
    "a guard of profiles": ("7_events_stay", "ALTER TABLE loyalty.profile DISABLE TRIGGER open_accounts"),
    "a total": ("6_totals_are_the_members", "UPDATE loyalty.journey_run SET points = points + 1"),
    "a member whose end was not counted": (
        "6_progress_is_kept",
        "UPDATE loyalty.journey_member SET state = 'failed', reason = 'lock_timeout'",
    ),
    "a count of members": ("6_progress_is_kept", "UPDATE loyalty.journey_progress SET points = points + 1"),
    "a count of mail": (
        "6_progress_is_kept",
        "INSERT INTO loyalty.email_progress SELECT run_id, 'x', 'sent', '', 1, 1 FROM loyalty.journey_run",
    ),
    "another expiry": (
        "8_expiry_follows_the_rule",
        "UPDATE loyalty.event SET points = -99 WHERE action = 'points.expire'",
    ),
    "an expiry gone, and its time with it": (
        "8_expiry_follows_the_rule",
        "DELETE FROM loyalty.event WHERE action = 'points.expire'; UPDATE loyalty.account SET latest_at = NULL",
    ),
    "another order": (
        "2_never_below_zero",
        "UPDATE loyalty.event SET recorded_at = '2020-01-01' WHERE points < 0",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("few_slices", [0, 5], ids=["part by part", "all at once"])
def test_reconcile_finds_what_was_done_behind_its_back(
    connection: Connection, customer: int, fault: str, few_slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "FEW_SLICES", few_slices)
    invariant, done = FAULTS[fault]
    settle(connection, program_of(), NOON.date() + timedelta(days=200))
    with connection.begin():
        assert broken(reconcile(connection)) == []
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.exec_driver_sql(done)
        found = broken(reconcile(connection))
        assert invariant in {finding.invariant for finding in found}
        assert all(finding.rows for finding in found)
        connection.get_transaction().rollback()  # type: ignore[union-attr]
