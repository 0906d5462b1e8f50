"""Work on several connections at a time: all of it is done, or it stops where it is."""

from threading import Barrier

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from loyalty.store.side_by_side import work_side_by_side


def test_each_item_is_worked_on_once_and_two_at_a_time(database: Engine) -> None:
    done: list[int] = []
    together = Barrier(2)

    def work(connection: Connection, item: int) -> None:
        together.wait(10)
        done.append(connection.execute(text("SELECT CAST(:n AS integer)"), {"n": item}).scalar_one())

    work_side_by_side(database, work, range(6), 2)
    assert sorted(done) == list(range(6))


def test_where_one_fails_the_others_are_cancelled_and_nothing_more_is_begun(database: Engine) -> None:
    begun: list[str] = []
    together = Barrier(2)

    def work(connection: Connection, item: str) -> None:
        begun.append(item)
        together.wait(10)
        with connection.begin():
            connection.execute(text("SELECT 1 / 0" if item == "fails" else "SELECT pg_sleep(600)"))

    with pytest.raises(DBAPIError, match=r"division by zero|canceling statement"):
        work_side_by_side(database, work, ["fails", "sleeps", "comes later"], 2)
    assert sorted(begun) == ["fails", "sleeps"]
    with database.connect() as connection:
        assert (
            connection.scalar(
                text("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'")
            )
            == 0
        )
