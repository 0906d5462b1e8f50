"""Somebody approves a cancellation in Airflow's pages, and watches it to its end; every number is the database's."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from e2e import crowd
from e2e.browser import DAG, SECONDS, answer, decision, log_in, logged_in, needs_browser
from loyalty.local.processes import wait_until
from loyalty.services.close_days import close_days
from loyalty.services.count_calendar import count_calendar
from loyalty.store.database import transaction

pytestmark = needs_browser
CUSTOMERS = 800
PROGRAM = crowd.crowd_program(50, engine="database")
SHOTS = os.environ.get("LOYALTY_SCREENSHOTS")
WIDE, NARROW = (1600, 1000), (480, 900)
ENDED = text(
    'SELECT count(*) AS "Initial segment", '
    "count(*) FILTER (WHERE state NOT IN ('completed', 'failed')) AS \"On the way\", "
    "count(*) FILTER (WHERE state = 'completed') AS \"Completed\", "
    "count(*) FILTER (WHERE state = 'failed') AS \"Failed\", "
    'sum(points)::bigint AS "Points taken", '
    "sum(returned) FILTER (WHERE state = 'completed')::bigint AS \"Returned from promotions\", "
    "sum(balance_locked) FILTER (WHERE state = 'completed')::bigint AS \"Points in\", "
    "sum(balance_after) FILTER (WHERE state = 'completed')::bigint AS \"Points out\", "
    "(SELECT count(*) FROM loyalty.email AS mail WHERE mail.run_id = member.run_id AND mail.state = 'sent') "
    'AS "Got the mail" '
    "FROM loyalty.journey_member AS member WHERE run_id = :run GROUP BY run_id"
)

# Of each table of the page: its numbers row by row, as the database has them.
TABLES = {
    "reasons": "SELECT count(*), sum(approved)::bigint FROM loyalty.journey_member "
    "WHERE run_id = :run AND state = 'failed' GROUP BY reason ORDER BY count(*) DESC, reason",
    "chunks": "SELECT count(*), count(*) FILTER (WHERE state IN ('completed', 'failed')), "
    "count(*) FILTER (WHERE state = 'failed'), sum(points)::bigint FROM loyalty.journey_member "
    "JOIN loyalty.journey_chunk USING (run_id) WHERE run_id = :run "
    "AND profile_id BETWEEN first_profile_id AND last_profile_id GROUP BY chunk ORDER BY chunk",
    "list": "SELECT approved FROM loyalty.journey_member WHERE run_id = :run AND state = 'failed' "
    "ORDER BY profile_id LIMIT 50",
}


@pytest.fixture(scope="module")
def page(airflow: Any) -> Iterator[Any]:
    with logged_in(airflow) as page:
        yield page


@pytest.fixture(scope="module")
def watched(airflow: Any, page: Any) -> Iterator[tuple[str, list[int]]]:
    """A run that somebody has watched from before its approval to its end; and what *Completed* showed meanwhile."""
    with crowd.working_by(airflow, PROGRAM):
        crowd.gather(airflow.ledger, PROGRAM, CUSTOMERS)
        shoot(page, airflow, "empty-journeys", f"{airflow.stack.url}/plugin/loyalty", "Journeys")
        airflow.api.wait_for_dag(DAG)
        airflow.api.unpause(DAG)
        run = airflow.api.trigger(DAG, conf={"spare_days": crowd.SPARE_DAYS, "chunk_size": 400})
        page.goto(f"{airflow.stack.url}/dags/{DAG}/runs/{run}")
        page.get_by_role("link", name="Journey").click()
        inside = frame(page)
        inside.get_by_text("Initial segment").first.wait_for()
        inside.evaluate("window.neverReloaded = true")
        picture(page, "before-approval")
        answer(log_in(page.context.browser, airflow, "admin"), airflow, run, "Approve")
        yield str(run), watch(page, inside)


def frame(page: Any) -> Any:
    """Our page within Airflow's."""
    inside = page.locator("iframe").element_handle().content_frame()
    inside.wait_for_url("**/loyalty/ui/**")
    return inside


def watch(page: Any, inside: Any) -> list[int]:
    """What *Completed* showed, one after the other, until the run is over; nobody has loaded the page again."""
    seen = [card(inside, "Completed")]

    def is_over() -> bool:
        now = card(inside, "Completed")
        if now != seen[-1]:
            seen.append(now)
            picture(page, f"during-{len(seen)}")
        return bool(inside.locator("main [data-over=yes]").count())

    assert wait_until(is_over, 3 * SECONDS, interval=0.1)
    assert inside.evaluate("window.neverReloaded") is True
    return seen


def card(inside: Any, words: str) -> int:
    return int(inside.locator(f"dt:text-is('{words}') + dd data").first.get_attribute("value"))


def cards(inside: Any) -> dict[str, int]:
    found = inside.locator("#numbers dt").all_inner_texts()
    return {words: card(inside, words) for words in found}


def table(inside: Any, part: str) -> list[tuple[int, ...]]:
    """The numbers of a table of the page, row by row."""
    rows = inside.locator(f"#{part} tbody tr").all()
    return [tuple(int(one.get_attribute("value")) for one in row.locator("data").all()) for row in rows]


def told_rows(airflow: Any, statement: str, run: int) -> list[tuple[int, ...]]:
    with transaction(airflow.ledger) as connection:
        return [tuple(row) for row in connection.execute(text(statement), {"run": run})]


def run_number(airflow: Any, key: str) -> int:
    with transaction(airflow.ledger) as connection:
        return int(connection.scalar(text("SELECT run_id FROM loyalty.journey_run WHERE run_key = :k"), {"k": key}))


def told(airflow: Any, statement: Any, **binds: Any) -> dict[str, Any]:
    with transaction(airflow.ledger) as connection:
        return dict(connection.execute(statement, binds).mappings().one())


def picture(page: Any, name: str) -> None:
    """Pictures of the page as it is, wide and narrow, light and dark, where somebody asked for pictures."""
    if not SHOTS:
        return
    for width, height in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(300)
            page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png")
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})


def shoot(page: Any, airflow: Any, name: str, address: str, words: str) -> Any:
    """Our page at an address of Airflow's, which shows these words."""
    page.goto(address)
    inside = frame(page)
    inside.get_by_text(words).first.wait_for()
    picture(page, name)
    return inside


def test_the_numbers_moved_by_themselves_and_ended_as_the_databases(
    page: Any, airflow: Any, watched: tuple[str, list[int]]
) -> None:
    key, seen = watched
    assert decision(airflow, key) == ("completed", "approved", "admin", True)
    assert seen[0] == 0
    assert len(seen) >= 2, seen
    assert seen == sorted(seen)
    inside = frame(page)
    run_id = run_number(airflow, key)
    assert wait_until(lambda: cards(inside) == told(airflow, ENDED, run=run_id), SECONDS, interval=0.5), cards(inside)
    assert cards(inside)["Failed"] == CUSTOMERS // 100  # those of an excluded country
    for part, statement in TABLES.items():
        assert table(inside, part) == told_rows(airflow, statement, run_id), part
    picture(page, "after")


def test_a_link_of_a_chunk_leads_to_the_log_of_its_task(
    page: Any, airflow: Any, watched: tuple[str, list[int]]
) -> None:
    page.goto(f"{airflow.stack.url}/dags/{DAG}/runs/{watched[0]}/plugin/loyalty-journey")
    frame(page).get_by_role("link", name="deduct").nth(1).click()
    page.wait_for_url("**/tasks/cancel_chunk.deduct_points/mapped/1")
    page.get_by_text("failed").first.wait_for()  # of the log: members, failed, points


@pytest.mark.usefixtures("watched")
def test_every_page_is_reached_from_the_navigation(page: Any, airflow: Any) -> None:
    with airflow.ledger.connect() as connection:
        connection.execute(text("UPDATE loyalty.program SET settled_through = timezone('UTC', now())::date"))
        connection.commit()
        close_days(connection, PROGRAM, first=None, last=yesterday(connection))
        with connection.begin():
            count_calendar(connection)
    page.goto(airflow.stack.url)
    page.get_by_role("link", name="Loyalty").click()
    inside = frame(page)
    held = told(airflow, text("SELECT sum(balance)::bigint AS held FROM loyalty.account"))["held"]
    assert card(inside, "Points outstanding") == held
    picture(page, "program")
    inside.get_by_role("link", name="Journeys").click()
    inside.get_by_role("heading", name="Journeys").wait_for()
    picture(page, "journeys")
    inside.get_by_role("link", name="Customers").click()
    inside.get_by_label("Customer id or e-mail address").fill("c000003@example.org")
    inside.get_by_role("button", name="Search").click()
    inside.get_by_role("heading", name="c000003").wait_for()
    of_one = text(
        "SELECT balance FROM loyalty.account JOIN loyalty.profile USING (profile_id) WHERE customer_id = 'c000003'"
    )
    assert card(inside, "Balance") == told(airflow, of_one)["balance"]
    picture(page, "customer")
    inside.get_by_role("link", name="Definitions").click()
    inside.get_by_role("link", name="points_to_cancel").first.click()
    inside.get_by_role("heading", name="points_to_cancel").wait_for()
    inside.get_by_label("Customer id").fill("c000003")
    inside.get_by_role("button", name="Compute").click()
    inside.get_by_role("cell", name="points_to_cancel").first.wait_for()
    picture(page, "definition")


def yesterday(connection: Any) -> Any:
    day = connection.scalar(text("SELECT timezone('UTC', now())::date - 1"))
    connection.rollback()
    return day


@pytest.mark.usefixtures("watched")
def test_a_viewer_looks_and_anonymous_does_not(page: Any, airflow: Any) -> None:
    theirs = log_in(page.context.browser, airflow, "viewer")
    theirs.goto(f"{airflow.stack.url}/plugin/loyalty")
    frame(theirs).get_by_text("Points outstanding").wait_for()
    for path in ("program", "runs", "run?run=1", "customers", "customer?id=x", "definitions"):
        assert httpx.get(f"{airflow.stack.url}/loyalty/ui/{path}", trust_env=False).status_code == 401
    for path in ("docs", "openapi.json"):
        assert httpx.get(f"{airflow.stack.url}/loyalty/{path}", trust_env=False).status_code == 404
