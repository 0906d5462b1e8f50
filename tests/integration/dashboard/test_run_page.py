"""The page of a run: the numbers of the database, at every step of the way, and for ever after."""

from typing import Any

import pytest
from httpx import Client
from sqlalchemy import Connection, Engine, text

from cancellation import QUICK, activate, cancel, customer, each, part_of, program_with, start
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.deduct_points import deduct_points
from loyalty.services.filter_clients import filter_clients
from loyalty.services.lock_balances import grant_locks, request_locks
from loyalty.services.reconcile import broken, reconcile
from loyalty.services.report_cancellation import report_cancellation
from watching import ask, text_of, values, watching

CARDS = ("Initial segment", "On the way", "Completed", "Failed", "Points taken", "Returned from promotions")
COUNTED = text(
    "SELECT count(*), count(*) FILTER (WHERE state NOT IN ('completed', 'failed')), "
    "count(*) FILTER (WHERE state = 'completed'), count(*) FILTER (WHERE state = 'failed'), "
    "coalesce(sum(points), 0)::bigint, coalesce(sum(returned) FILTER (WHERE state = 'completed'), 0)::bigint "
    "FROM loyalty.journey_member WHERE run_id = :run"
)


def crowd(connection: Connection) -> None:
    """Customers with no promotion and one, and one of a country that is left alone."""
    with connection.begin():
        for name, points in (("anna", 100), ("boris", 200), ("cleo", 300)):
            customer(connection, name, points)
        customer(connection, "dora", 400, country="NO")
        activate(connection, "boris", "coffee")


def counted(connection: Connection, run_id: int) -> dict[str, int]:
    """The members as they are, counted one by one."""
    with connection.begin():
        return dict(zip(CARDS, connection.execute(COUNTED, {"run": run_id}).one(), strict=True))


def shown(client: Client, run_id: int) -> dict[str, int]:
    cards = values(ask(client, "/ui/run", run=run_id), "numbers")
    return {words: cards[words] for words in CARDS}


def test_at_every_step_the_page_shows_what_the_members_are(
    client: Client, connection: Connection, program: Program
) -> None:
    crowd(connection)
    run_id = start(connection, program, exclude_countries=["NO"])
    part = part_of(connection, run_id)
    seen = [counted(connection, run_id)]
    assert shown(client, run_id) == seen[-1]
    for step in (request_locks, grant_locks, filter_clients, deduct_points):
        each(connection, part, step)
        seen.append(counted(connection, run_id))
        assert shown(client, run_id) == seen[-1], step
    assert seen[0]["Failed"] == 1
    assert seen[-1]["Completed"] == 2
    assert seen[-1]["On the way"] == 1  # boris' coffee is still being deactivated


def test_the_final_page_shows_the_numbers_of_the_report(
    client: Client, connection: Connection, program: Program
) -> None:
    crowd(connection)
    totals = cancel(connection, program, exclude_countries=["NO"])
    with connection.begin():
        report = report_cancellation(connection, totals.run_id)
        assert broken(reconcile(connection)) == []
    page = ask(client, "/ui/run", run=totals.run_id)
    cards = values(page, "numbers")
    assert cards["Points in"] == report.run["points_in"]
    assert cards["Points out"] == report.run["points_out"]
    assert cards["Points taken"] == totals.points == 600
    assert cards["Returned from promotions"] == totals.returned == 50
    assert cards["Failed"] == totals.failed_count == 1
    assert 'data-over="yes"' in page


QUEUED = text(
    "INSERT INTO loyalty.email (profile_id, key, campaign, run_id, points, address) "
    "SELECT profile_id, gen_random_uuid(), 'cancelled', run_id, 1, 'c@example.org' FROM loyalty.journey_member "
    "WHERE state = 'completed' LIMIT 1"
)
SENT = text("UPDATE loyalty.email SET state = 'sent', ended_at = clock_timestamp() WHERE address = 'c@example.org'")


def test_a_run_is_watched_until_its_mail_has_gone(client: Client, connection: Connection, program: Program) -> None:
    crowd(connection)
    totals = cancel(connection, program)
    with connection.begin():
        connection.execute(QUEUED)
    waiting = ask(client, "/ui/run", run=totals.run_id)
    assert 'data-over="no"' in waiting
    assert values(waiting, "numbers")["Got the mail"] == 0
    with connection.begin():
        connection.execute(SENT)
    gone = ask(client, "/ui/run", run=totals.run_id)
    assert 'data-over="yes"' in gone
    assert values(gone, "numbers")["Got the mail"] == 1


def test_the_run_is_found_by_the_names_of_the_host(client: Client, connection: Connection, program: Program) -> None:
    crowd(connection)
    key = "manual__2026-01-01T00:00:00+00:00"
    start(connection, program, key=key)
    page = ask(client, "/ui/run", dag_id="batch_cancellation", run_id=key)
    assert key in page
    assert "/tasks/batch_cancellation/manual__2026-01-01T00:00:00+00:00/cancel_chunk.deduct_points/0" in page


def test_a_run_that_has_no_record_yet_is_waited_for(client: Client) -> None:
    page = ask(client, "/ui/run", dag_id="batch_cancellation", run_id="manual__soon")
    assert 'data-over="no"' in page
    assert "no members yet" in page
    assert "knows no such run" in ask(client, "/ui/run", run=999)


def test_failed_members_are_listed_searched_and_exported(
    client: Client, connection: Connection, program: Program
) -> None:
    with connection.begin():
        for n in range(60):
            customer(connection, f"c{n:02}", 10, country="NO")
        customer(connection, "zoe", 10)
    totals = cancel(connection, program, exclude_countries=["NO"])
    first = ask(client, "/ui/run", run=totals.run_id)
    assert "c49" in text_of(first)
    assert "c50" not in text_of(first.partition('id="list"')[2])
    assert "c59" in ask(client, "/ui/run", run=totals.run_id, after=_after(first))
    found = text_of(ask(client, "/ui/run", run=totals.run_id, customer="c55").partition('id="list"')[2])
    assert "c55" in found
    assert "c54" not in found
    lines = client.get("/ui/run/failed.csv", params={"run": totals.run_id}).text.splitlines()
    assert len(lines) == 61
    assert lines[1].startswith("c00,excluded,country NO,10,")


def _after(page: str) -> int:
    return int(page.rpartition("&amp;after=")[2].partition("#")[0])


def test_whoever_may_not_see_the_journey_is_refused(
    module_database: Engine, connection: Connection, program: Program
) -> None:
    crowd(connection)
    run_id = start(connection, program)
    pages = ("/ui/program", "/ui/runs", "/ui/customers", "/ui/definitions", f"/ui/run?run={run_id}")
    with watching(module_database, user="half") as client:
        assert [client.get(page).status_code for page in pages] == [403] * len(pages)
        assert client.get(f"/ui/run/failed.csv?run={run_id}").status_code == 403
    with watching(module_database, user=None) as client:
        assert [client.get(page).status_code for page in pages] == [401] * len(pages)
        assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 404


def test_numbers_and_times_are_the_readers(module_database: Engine, connection: Connection) -> None:
    program = program_with(lock_minutes=QUICK["lock_minutes"])
    with connection.begin():
        customer(connection, "anna", 12_345)
    run_id = start(connection, program)
    with watching(module_database, language="de-AT, en;q=0.5") as client:
        page = ask(client, "/ui/run", run=run_id)
    assert '<html lang="de"' in page
    assert "Times in UTC" in page


@pytest.mark.parametrize("path", ["/ui/run?run=x", "/ui/run?run=-1", "/ui/customer", "/ui/customer?id=a&after=soon"])
def test_nonsense_is_refused(client: Client, path: str) -> None:
    assert client.get(path).status_code == 422


def test_a_name_of_a_customer_is_never_markup(client: Client, connection: Connection, program: Program) -> None:
    evil: Any = "<script>alert(1)</script>"
    with connection.begin():
        customer(connection, evil, 10, country="NO")
    totals = cancel(connection, program, exclude_countries=["NO"])
    for page in (ask(client, "/ui/run", run=totals.run_id), ask(client, "/ui/customer", id=evil)):
        assert evil not in page
        assert "&lt;script&gt;" in page


def test_a_journey_finished_by_release_leaves_nobody_on_the_way(
    client: Client, connection: Connection, program: Program
) -> None:
    crowd(connection)
    run_id = start(connection, program)
    journey.release(connection, run_id, 0, size=2)
    assert shown(client, run_id) == counted(connection, run_id)
    assert shown(client, run_id)["On the way"] == 0
