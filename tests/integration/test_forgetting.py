"""A customer is forgotten: nothing says any more who it was, and every point is where it was."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text

from importing import import_within, objects, rejected
from ledger import balance, expired, program_of, settle
from loyalty.errors import LoyaltyError
from loyalty.services.api_keys import KeyRights, create_key, list_keys
from loyalty.services.apply_program import apply_program
from loyalty.services.award_points import award_points
from loyalty.services.forget_customer import forget_customer
from loyalty.services.reconcile import broken, reconcile
from mailing import mail_of

RULE = {"name": "buy", "action": "transaction.charge", "earns": "points.loyalty", "points_per_unit": 1}
PROGRAM = program_of(earning_rules=[RULE], mail=mail_of())
SECRETS = ("Ada", "Lovelace", "ada@example.org", "Ockham", "order-77", "till-9", "vip-ada")


def told(action: str, day: date, **members: object) -> dict[str, object]:
    return {"customer_id": "Lovelace", "action": action, "occurred_at": f"{day}T12:00:00Z", **members}


ORDER = {"$orderID": "order-77"}
EVENTS = [
    told("transaction.charge", date(2026, 1, 5), event_id="till-9", shop="Ockham", **ORDER, **{"$totalAmount": 80}),
    told("transaction.refund", date(2026, 2, 5), **ORDER, **{"$totalAmount": 30}),
    told("client.activatePromotion", date(2026, 3, 5), promotionRequireRedeemedPoints=20, event_id="till-9-a"),
    told("points.adjust", date(2026, 3, 6), points=5, reason="Ada asked", expires_on="2026-12-24"),
    told("app.opened", date(2026, 4, 1), name="Ada Lovelace"),
    told("email.sent", date(2026, 4, 2), campaign="x", to="ada@example.org"),
]
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def connection(database: Engine, tmp_path: Path) -> Connection:
    with database.connect() as connection:
        with connection.begin():
            apply_program(connection, PROGRAM)
            assert import_within(connection, objects(tmp_path, *EVENTS[:1]), now=NOW).stored
        award_points(connection, PROGRAM)
        with connection.begin():
            outcome = import_within(connection, objects(tmp_path, *EVENTS), now=NOW)
            assert outcome.stored == len(EVENTS) - 1
            connection.execute(
                text(
                    "UPDATE loyalty.profile SET tags = '{vip-ada}', attributes = jsonb_build_object("
                    "'email', 'ada@example.org', 'mail_consent', true, 'first_name', 'Ada')"
                )
            )
            create_key(connection, "app", KeyRights(customer_id="Lovelace"))
            connection.execute(text("INSERT INTO loyalty.event_source (source) VALUES ('till')"))
            connection.execute(
                text(
                    "INSERT INTO loyalty.sync_rejection (source, event_id, reason, row) "
                    """VALUES ('till', 'x', 'no time', '{"customer_id": "Lovelace", "params": {"name": "Ada"}}')"""
                )
            )
        award_points(connection, PROGRAM)
        settle(connection, PROGRAM, date(2026, 7, 10))
        yield connection


def everything(connection: Connection) -> str:
    """All that the database holds, as text."""
    ours = "relnamespace = 'loyalty'::regnamespace AND relkind = 'r'"
    with connection.begin():
        tables = connection.scalars(text(f"SELECT oid::regclass::text FROM pg_class WHERE {ours}")).all()
        rows = [connection.scalars(text(f"SELECT t::text FROM {table} t")).all() for table in tables]
    return json.dumps(rows)


def numbers(connection: Connection) -> tuple[object, ...]:
    lots = "SELECT key, points, remaining, due_on FROM loyalty.lot ORDER BY key"
    events = "SELECT key, action, occurred_at, points, refers_to FROM loyalty.event ORDER BY key"
    with connection.begin():
        who = connection.scalar(text("SELECT profile_id FROM loyalty.profile"))
        asked = (connection.execute(text(statement)).all() for statement in (lots, events))
        return balance(connection, who), expired(connection), *asked


def forget(connection: Connection) -> bool:
    with connection.begin():
        return forget_customer(connection, "Lovelace").is_news


def test_nothing_says_who_it_was_and_every_number_stays(connection: Connection) -> None:
    before = numbers(connection)
    assert all(secret in everything(connection) for secret in SECRETS)
    assert forget(connection)
    left = everything(connection)
    assert [secret for secret in SECRETS if secret in left] == []
    assert numbers(connection) == before
    with connection.begin():
        assert broken(reconcile(connection)) == []


def test_again_changes_nothing(connection: Connection) -> None:
    assert forget(connection)
    before = everything(connection)
    assert not forget(connection)
    assert everything(connection) == before


def test_mail_that_waited_is_not_sent_and_keys_are_good_no_more(connection: Connection) -> None:
    waiting = text("SELECT state, reason, address FROM loyalty.email")
    with connection.begin():
        assert [row.state for row in connection.execute(waiting)] == ["queued"]
    forget(connection)
    with connection.begin():
        assert connection.execute(waiting).all() == [("skipped", "forgotten", None)]
        assert [one["state"] for one in list_keys(connection)] == ["revoked"]


def test_the_books_go_on(connection: Connection) -> None:
    """What is left expires in its time, and a rule that changes awards nothing twice."""
    forget(connection)
    changed = program_of(earning_rules=[RULE | {"points_per_unit": 2}], mail=mail_of())
    with connection.begin():
        apply_program(connection, changed)
    before = numbers(connection)
    award_points(connection, changed)
    assert numbers(connection) == before
    settle(connection, changed, date(2027, 1, 10))
    with connection.begin():
        assert connection.scalar(text("SELECT balance FROM loyalty.account")) == 0
        assert broken(reconcile(connection)) == []


def test_what_was_before_does_not_come_back(connection: Connection, tmp_path: Path) -> None:
    forget(connection)
    with connection.begin():
        again = import_within(connection, objects(tmp_path, *EVENTS), now=NOW)
        assert (again.stored, again.rejected) == (0, len(EVENTS))
        assert "was forgotten: what happened before that is not taken again" in set(rejected(again).values()).pop()
        assert connection.scalar(text("SELECT count(*) FROM loyalty.profile")) == 1


def test_the_same_id_later_is_somebody_new(connection: Connection, tmp_path: Path) -> None:
    forget(connection)
    later = datetime.now(UTC) + timedelta(minutes=1)
    new = told("points.loyalty", date(2026, 8, 1), points=3) | {"occurred_at": later.isoformat()}
    with connection.begin():
        assert import_within(connection, objects(tmp_path, new), now=later).stored == 1
        assert connection.scalar(text("SELECT count(*) FROM loyalty.profile")) == 2
    assert forget(connection), "and can be forgotten, too"


def test_not_before_the_rules_have_seen_everything(connection: Connection, tmp_path: Path) -> None:
    with connection.begin():
        bought = told("transaction.charge", date(2026, 4, 9), **{"$totalAmount": 5, "$orderID": "order-78"})
        import_within(connection, objects(tmp_path, bought), now=NOW)
    with pytest.raises(LoyaltyError, match="run `loyalty award` first"):
        forget(connection)


def test_somebody_unknown_is_said(connection: Connection) -> None:
    with connection.begin(), pytest.raises(LoyaltyError, match="no customer 'nobody' is known"):
        forget_customer(connection, "nobody")
