"""Two connections at once, made to meet where it matters."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, Engine, text

from loyalty.store.database import transaction

Work = Callable[[Connection], Any]
HELD_UP = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


def overtaken(engine: Engine, first: Work, second: Work, then: Work = lambda one: None) -> tuple[Any, Any]:
    """Their results: ``second`` begins beside ``first`` and, where it has to wait for it, goes on after its commit.

    What ``then`` does belongs to the first too, and happens while the second waits.
    """
    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as one:
            done = first(one)
            later = pool.submit(_alone, engine, second)
            _wait_until_held_up(engine, later)
            then(one)
        return done, later.result()


def all_at_once(engine: Engine, hold: Work, *works: Callable[[], Any]) -> list[Any]:
    """Their results: each comes as far as what ``hold`` holds, and then they are let loose together."""
    with ThreadPoolExecutor(len(works)) as pool:
        with transaction(engine) as one:
            hold(one)
            later = [pool.submit(work) for work in works]
            _wait_until_held_up(engine, *later)
        return [one.result() for one in later]


def _alone(engine: Engine, work: Work) -> Any:
    with transaction(engine) as connection:
        return work(connection)


def _wait_until_held_up(engine: Engine, *works: "Future[Any]") -> None:
    with engine.connect() as watch:
        while going_on := sum(not work.done() for work in works):
            with watch.begin():
                if watch.scalar(HELD_UP) >= going_on:
                    return
            time.sleep(0.01)
