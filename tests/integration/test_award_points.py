"""Earning rules turn events into points exactly once."""

from collections.abc import Iterator
from threading import Thread

import pytest
from sqlalchemy import Connection, Engine, text

from ledger import profile, record
from loyalty.services.apply_program import apply_program
from loyalty.services.award_points import Awarded, award_points
from shop import NOON, PURCHASE, Shop, with_rules


@pytest.fixture
def connection(module_database: Engine) -> Iterator[Connection]:
    with module_database.connect() as connection:
        yield connection


def test_a_purchase_earns_whole_units_once(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", totalAmount="11.77")
    shop.happens("transaction.charge", totalAmount=0.99)
    assert shop.award().points == 11
    assert shop.award() == Awarded()
    assert shop.balance == 11


def test_a_late_purchase_earns_too(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", day=5, totalAmount=10)
    shop.award()
    shop.happens("transaction.charge", day=1, totalAmount=7)
    assert shop.award().award_count == 1
    assert shop.balance == 17


def test_fractions_are_exact_and_rounded_down(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE | {"points_per_unit": "0.1"}))
    shop.happens("transaction.charge", totalAmount="29.99")
    shop.happens("transaction.charge", totalAmount="30.00")
    shop.award()
    assert shop.balance == 2 + 3


def test_rules_read_their_own_events_only(connection: Connection) -> None:
    app = {"name": "survey", "action": "survey.completed", "earns": "points.gift", "points_per_event": 50}
    app |= {"where": [{"parameter": "channel", "is": "equal", "value": "app"}]}
    app |= {"valid_from": "2026-01-02", "valid_to": "2026-01-03"}
    shop = Shop(connection, with_rules(PURCHASE, app))
    for day, channel in ((0, "app"), (1, "app"), (2, "app"), (2, "web"), (3, "app")):
        shop.happens("survey.completed", day=day, channel=channel)
    shop.award()
    assert shop.balance == 100


def test_an_amount_that_is_no_number_earns_nothing_and_is_counted(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("transaction.charge", totalAmount="twelve")
    shop.happens("transaction.charge", totalAmount="12")
    awarded = shop.award()
    assert (awarded.unreadable, awarded.points) == (1, 12)


def test_what_a_balance_cannot_hold_keeps_nobody_from_the_rest(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    for day, amount in enumerate((2**53, 2**53, 12)):
        shop.happens("transaction.charge", day=day, totalAmount=amount)
    with connection.begin():
        record(connection, profile(connection, "another"), "transaction.charge", NOON, params={"$totalAmount": 7})
    awarded = shop.award()
    assert (awarded.unreadable, awarded.points) == (2, 2**53 + 7)
    assert shop.balance == 2**53


def test_a_rule_that_comes_later_finds_the_events_of_before(connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE))
    shop.happens("survey.completed")
    shop.happens("transaction.charge", totalAmount=5)
    shop.award()
    survey = {"name": "survey", "action": "survey.completed", "earns": "points.gift", "points_per_event": 50}
    shop.program = with_rules(PURCHASE, survey)
    with connection.begin():
        apply_program(connection, shop.program)
    assert shop.award().points == 50
    assert shop.balance == 55


def test_two_at_once_award_once(module_database: Engine, connection: Connection) -> None:
    shop = Shop(connection, with_rules(PURCHASE, batch_size=3))
    with connection.begin():
        for n in range(20):
            record(connection, profile(connection, f"c{n}"), "transaction.charge", NOON, params={"$totalAmount": 10})

    def award() -> None:
        with module_database.connect() as another:
            award_points(another, shop.program)

    threads = [Thread(target=award) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connection.scalar(text("SELECT sum(balance) FROM loyalty.account")) == 200
