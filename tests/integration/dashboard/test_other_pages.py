"""The pages of the program, of customers and of definitions: what they say is what the ledger holds."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from httpx import Client
from sqlalchemy import Connection, text

from cancellation import activate, cancel, customer
from ledger import record, settle
from loyalty.definitions.load_catalog import load_catalog
from loyalty.model.program import Program
from loyalty.services.close_days import close_days
from loyalty.services.count_calendar import count_calendar
from loyalty.services.insights.definitions import sample
from loyalty.services.read_books import closed_days, months
from watching import ask, text_of, values


def today() -> date:
    return datetime.now(UTC).date()


def held(connection: Connection) -> int:
    with connection.begin():
        return int(connection.scalar(text("SELECT coalesce(sum(balance), 0) FROM loyalty.account")))


def history(connection: Connection) -> int:
    """A customer whose points have expired in part, who has spent some, and lost some to a correction."""
    with connection.begin():
        who = customer(connection, "anna", 0)
        earned = record(connection, who, "points.loyalty", datetime.now(UTC) - timedelta(days=200), 70)
        record(connection, who, "points.loyalty", datetime.now(UTC) - timedelta(days=100), 300)
        record(connection, who, "points.loyalty", datetime.now(UTC) - timedelta(days=50), 40)
        assert earned is not None
    activate_at_once(connection, "anna", "coffee")
    return who


def activate_at_once(connection: Connection, name: str, promotion: str) -> None:
    with connection.begin():
        activate(connection, name, promotion)


def settled(connection: Connection, program: Program) -> None:
    settle(connection, program, today())


def test_an_empty_ledger_has_pages_that_say_so(client: Client) -> None:
    page = text_of(ask(client, "/ui/program"))
    assert "No points yet" in page
    assert "No day of the books is closed yet" in page
    assert "No journey has run yet" in text_of(ask(client, "/ui/runs"))
    assert "Nobody has the id" in text_of(ask(client, "/ui/customer", id="nobody"))


def test_the_program_page_agrees_with_balances_books_and_calendar(
    client: Client, connection: Connection, program: Program
) -> None:
    history(connection)
    settled(connection, program)
    cancel(connection, program)
    with connection.begin():
        count_calendar(connection)
    cards = values(f'<section id="cards">{ask(client, "/ui/program")}</section>', "cards")
    assert cards["Points outstanding"] == held(connection)
    close_days(connection, program, first=None, last=today() - timedelta(days=1))
    page = ask(client, "/ui/program")
    with connection.begin():
        booked = months(closed_days(connection, None, None))
    shown = _months(page)
    for one in booked[:-1]:  # the last month goes on after the last closed day
        assert shown[one["month"]]["closing"] == one["closing"]
        assert shown[one["month"]]["expired"] == one["expired"]
        assert shown[one["month"]]["redeemed"] == one["redeemed"] - one["returned"]
    assert booked[-1]["closing"] == sum(one["earned"] - one["redeemed"] - one["expired"] for one in booked)


def _months(page: str) -> dict[str, dict[str, int]]:
    table = page.partition("<h2>Months</h2>")[2]
    found = {}
    for row in re.findall(r"<tr><th scope=\"row\">(\d{4}-\d\d)</th>(.*?)</tr>", table):
        numbers = [float(number) for number in re.findall(r'<data value="([^"]*)"', row[1])]
        names = ("earned", "redeemed", "expired", "cancelled", "adjusted", "closing", "worth")
        found[row[0]] = {name: int(number) for name, number in zip(names, numbers, strict=True)}
    return found


def test_the_calendar_shows_what_expires_when(client: Client, connection: Connection, program: Program) -> None:
    history(connection)
    settled(connection, program)
    with connection.begin():
        count_calendar(connection)
        ahead = connection.scalar(
            text("SELECT sum(remaining)::bigint FROM loyalty.lot WHERE remaining > 0 AND due_on <= :last"),
            {"last": today() + timedelta(days=90)},
        )
    page = ask(client, "/ui/program")
    assert f'<dt>Expire within 90 days</dt><dd><data value="{ahead}">' in page
    assert "points.loyalty" in page


def test_a_missed_midnight_is_told_with_the_command_that_makes_it_up(
    client: Client, connection: Connection, program: Program
) -> None:
    history(connection)
    settle(connection, program, today() - timedelta(days=3))
    page = text_of(ask(client, "/ui/program"))
    first = date.isoformat(today() - timedelta(days=2))
    assert "3 midnights have passed" in page
    command = f"airflow backfill create --dag-id rolling_expiry --from-date {first} --to-date {today()}T23:59:59"
    assert command in page


def test_a_customer_is_found_by_id_and_by_address(client: Client, connection: Connection) -> None:
    history(connection)
    with connection.begin():
        connection.execute(text("""UPDATE loyalty.profile SET attributes = '{"email": "anna@example.org"}'"""))
    for words in ("anna", " anna@example.org "):
        answer = client.get("/ui/customers", params={"words": words}, follow_redirects=True)
        assert answer.url.path == "/ui/customer"
        assert "<h1>anna</h1>" in answer.text
    assert "Nobody has the id or the address “zoe”" in ask(client, "/ui/customers", words="zoe")


def test_the_customers_page_has_all_that_touched_the_customer(
    client: Client, connection: Connection, program: Program
) -> None:
    history(connection)
    settled(connection, program)
    totals = cancel(connection, program)
    page = ask(client, "/ui/customer", id="anna")
    cards: dict[str, Any] = values(f'<section id="cards">{page}</section>', "cards")
    assert cards["Balance"] == held(connection)
    words = text_of(page)
    for action in ("points.loyalty", "points.expire", "client.activatePromotion", "points.cancel", "points.locked"):
        assert action in words
    assert f"run={totals.run_id}" in page
    assert "A coffee" in words


def test_a_locked_balance_says_until_when(client: Client, connection: Connection) -> None:
    history(connection)
    with connection.begin():
        connection.execute(
            text("UPDATE loyalty.account SET lock_run_id = 7, lock_expires_at = clock_timestamp() + interval '1 hour'")
        )
    assert "The balance is locked by run 7 until" in text_of(ask(client, "/ui/customer", id="anna"))


def test_every_definition_has_a_page_with_words_sql_and_size(
    client: Client, connection: Connection, program: Program
) -> None:
    history(connection)
    catalog = load_catalog(program)
    listed = ask(client, "/ui/definitions")
    for one in catalog.definitions:
        assert f"name={one.id}" in listed
    for name in ("points_to_cancel", "points_to_expire", "current_balance"):
        page = ask(client, "/ui/definition", name=name, customer="anna")
        assert "SELECT" in page
        assert "1</data> of <data" in ask(client, "/ui/definition/size", name=name)
        assert "Scan" in ask(client, "/ui/definition/plan", name=name)
    assert client.get("/ui/definition", params={"name": "nothing"}).status_code == 404
    assert "Nobody has the id" in ask(client, "/ui/definition", name="current_balance", customer="zoe")


def test_the_size_of_a_segment_is_estimated_from_a_sample(connection: Connection, program: Program) -> None:
    with connection.begin():
        connection.execute(
            text("INSERT INTO loyalty.profile (customer_id) SELECT 'c' || n FROM generate_series(1, 9000) AS n")
        )
        connection.execute(
            text(
                "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params) "
                "SELECT profile_id, gen_random_uuid(), 'points.loyalty', now() - interval '60 days', 5, "
                """'{"points": 5}' FROM loyalty.profile WHERE profile_id % 3 = 0"""
            )
        )
        catalog = load_catalog(program)
        found = sample(connection, catalog, program, catalog.segment("points_to_cancel"), datetime.now(UTC))
    assert 1000 <= found.asked <= 2000
    assert found.customers == 9000
    assert not found.is_exact
    assert 2500 < found.estimate < 3500


def test_what_expires_next_is_all_of_its_day_and_no_event_is_left_out_between_pages(
    client: Client, connection: Connection
) -> None:
    at = datetime.now(UTC) - timedelta(days=30)
    with connection.begin():
        who = customer(connection, "anna", 0)
        for _ in range(3):
            record(connection, who, "points.loyalty", at, 10)
        for _ in range(120):
            record(connection, who, "page.visit", at)
    first = ask(client, "/ui/customer", id="anna")
    assert '<dt>Next to expire</dt><dd><data value="30">' in first
    second = ask(client, "/ui/customer", id="anna", after=100)
    rows = [page.partition("<h2>Events")[2].count("<tr><td>") for page in (first, second)]
    assert rows == [100, 23]
    assert "after=100" in first
    assert "Older events" not in second
