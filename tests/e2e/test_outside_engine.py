"""The whole journey against a points engine behind HTTP, in a process of its own and of bad manners."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from e2e import crowd
from e2e.world import World
from loyalty.definitions.balance import balance_catalog
from loyalty.errors import LoyaltyError
from loyalty.local.processes import wait_until
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.decide_run import decide_run
from loyalty.services.deliver_events import Told, deliver_events, secret_of
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import transaction
from serving import key, serving
from webhooks import SECRET

SPARED = {"count": crowd.SPARE_DAYS, "unit": "days"}
ALLOWED = ("points.locked", "points.engineError", "client.deactivatePromotion")
CUSTOMERS, CHUNK, BATCH = 600, 300, 50


class Outside(World):
    """Customers and time; the engine is outside."""

    def answer(self) -> None:
        try:
            self._go_on()
        except LoyaltyError:
            return


@contextmanager
def engine(ledger: Engine, api: str, count: int, slowest: float = 1.5) -> Iterator[str]:
    """The address at which the engine's process hears requests."""
    manners = {
        "api": api,
        "key": key(ledger, "points engine", allows=ALLOWED),
        "secret": SECRET,
        "silent": crowd.of_role(1, count),
        "idle": crowd.of_role(2, count),
        "refuses": crowd.of_role(3, count),
        "seed": count,
        "slowest": slowest,
    }
    command = [sys.executable, str(Path(__file__).with_name("points_engine.py"))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        print(json.dumps(manners), file=process.stdin, flush=True)
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/hook"
    finally:
        process.kill()
        process.communicate()


@contextmanager
def delivering(ledger: Engine, program: Program) -> Iterator[Callable[[], bool]]:
    """The subscriber is told as a service tells it; gives whether nothing waits."""
    (subscriber,), ended = program.subscribers, threading.Event()
    secret = secret_of(subscriber, {subscriber.secret: SECRET})

    def send() -> None:
        with ledger.connect() as connection, httpx.Client(trust_env=False) as client:
            while not ended.is_set():
                if deliver_events(connection, subscriber, secret, client) == Told():
                    ended.wait(0.1)

    def done() -> bool:
        with transaction(ledger) as connection:
            return not connection.scalar(text("SELECT count(*) FROM loyalty.delivery"))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join(30)


@contextmanager
def outside(ledger: Engine, count: int, chunk: int) -> Iterator[tuple[Program, Callable[[], bool]]]:
    """A crowd, an API, and an engine that is asked and answers over HTTP."""
    with ExitStack() as stack:
        api = stack.enter_context(serving(ledger))
        hook = stack.enter_context(engine(ledger, api, count))
        subscriber = {"name": "engine", "url": hook, "secret": "ENGINE_SECRET"}
        asked = crowd.crowd_program(BATCH, chunk_size=chunk, spared=SPARED)
        raw = asked.model_dump(mode="json") | {"subscribers": [subscriber]}
        program = Program.model_validate(raw)
        crowd.gather(ledger, program, count)
        yield program, stack.enter_context(delivering(ledger, program))


def run_in_this_process(ledger: Engine, program: Program) -> int:
    run = journey.settings_of(program)
    own, catalog = journey.catalog_of_run(balance_catalog, program, run)
    with ledger.connect() as connection:
        run_id = journey.snapshot(connection, own, catalog, run, run_key="outside")
        with connection.begin():
            decide_run(connection, run_id, "not needed", decided_by="nobody")
        for number in journey.cut(connection, run_id, size=BATCH):
            journey.cancel_chunk(connection, run_id, number, size=BATCH)
        journey.finish(connection, run_id)
    return run_id


def check(ledger: Engine, told: crowd.Facts, run_id: int, all_told: Callable[[], bool]) -> None:
    """Everybody ended as plain arithmetic says, and what the engine says afterwards changes nothing."""
    with transaction(ledger) as connection:
        as_of = connection.scalar(text("SELECT as_of FROM loyalty.journey_run WHERE run_id = :r"), {"r": run_id})
    expected = crowd.fates(told, as_of)
    assert {fate.reason for fate in expected.values()} == {None, *crowd.FATES.values()}
    books = crowd.books(ledger, run_id)
    assert books.members == expected
    assert books.cancelled == {who: [-fate.points] for who, fate in expected.items() if fate.points}
    assert books.live_locks == 0
    too_late = {who for who, fate in expected.items() if fate.reason == "lock_timeout"}
    assert wait_until(lambda: all_told() and answered_too_late(ledger) == too_late, 60)
    assert crowd.books(ledger, run_id) == books
    with transaction(ledger) as connection:
        assert broken(reconcile(connection)) == []


def answered_too_late(ledger: Engine) -> set[str]:
    """Whose lock was confirmed after the run had let go, and was answered by another release."""
    asked = text(
        "SELECT customer_id FROM loyalty.event JOIN loyalty.profile USING (profile_id) "
        "WHERE action = 'points.unlocked' GROUP BY customer_id HAVING count(*) > 1"
    )
    late = text(
        "SELECT DISTINCT customer_id FROM loyalty.event AS e JOIN loyalty.profile USING (profile_id) "
        "JOIN loyalty.journey_member AS m USING (profile_id) "
        "WHERE e.action = 'points.locked' AND m.reason = 'lock_timeout' AND e.recorded_at > m.released_at"
    )
    with transaction(ledger) as connection:
        return set(connection.scalars(asked)) & set(connection.scalars(late))


def test_the_journey_against_an_engine_behind_http(database: Engine) -> None:
    with outside(database, CUSTOMERS, CHUNK) as (program, all_told):
        with transaction(database) as connection:
            told = crowd.facts(connection)
        with Outside(database, CUSTOMERS):
            run_id = run_in_this_process(database, program)
        check(database, told, run_id, all_told)


@pytest.mark.exhaustive
def test_the_journey_in_airflow_against_an_engine_behind_http(airflow: Any) -> None:
    count = 4000
    with outside(airflow.ledger, count, 1000) as (program, all_told), crowd.working_by(airflow, program):
        with transaction(airflow.ledger) as connection:
            told = crowd.facts(connection)
        airflow.api.wait_for_dag("batch_cancellation")
        airflow.api.unpause("batch_cancellation")
        with Outside(airflow.ledger, count):
            dag_run = airflow.api.trigger("batch_cancellation", conf={"spare_days": crowd.SPARE_DAYS})
            asked = ("batch_cancellation", dag_run, "approve_run")
            assert wait_until(lambda: airflow.api.question(*asked), 300, interval=0.5)
            airflow.api.answer(*asked, "Approve")
            assert airflow.wait("batch_cancellation", dag_run, 600).state == "success"
        with transaction(airflow.ledger) as connection:
            run_id = crowd.newest_run(connection)
        check(airflow.ledger, told, run_id, all_told)
