"""Events of another PostgreSQL: each once, in order, from the watermark on, late ones too, and killed half-way."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL

from databases import cloned
from ledger import program_of
from loyalty.errors import LoyaltyError
from loyalty.model.sources import EventSource
from loyalty.services.apply_program import apply_program
from loyalty.services.sync_events import Synced, rejections, sync_events
from loyalty.store.database import open_engine, source_connection

NOW = datetime(2026, 6, 1, tzinfo=UTC)
COLUMNS = {
    "customer_id": "client",
    "action": "=transaction.charge",
    "occurred_at": "bought_at",
    "event_id": "receipt",
    "$totalAmount": "amount",
}
MADE = """
    CREATE TABLE public.sale (
        n bigint GENERATED ALWAYS AS IDENTITY, client text, bought_at timestamptz, receipt text, amount numeric,
        shop text, changed_at timestamptz NOT NULL)
"""


@pytest.fixture
def shop(server: URL, template: str) -> Iterator[Engine]:
    """Somebody else's database."""
    with cloned(server, template) as url:
        engine = open_engine(url)
        with engine.begin() as connection:
            connection.execute(text(MADE))
        yield engine
        engine.dispose()


@pytest.fixture
def ledger(database: Engine) -> Iterator[Connection]:
    with database.connect() as connection:
        with connection.begin():
            apply_program(connection, program_of())
        yield connection


def source(**more: Any) -> EventSource:
    given = {
        "name": "till",
        "connection": "till",
        "table": "public.sale",
        "columns": COLUMNS,
        "watermark": "changed_at",
    }
    return EventSource.model_validate(given | {"batch_size": 3} | more)


def sell(shop: Engine, *receipts: str, minute: int = 0, **more: Any) -> None:
    """Sales, a minute apart."""
    rows = [
        {
            "client": f"c{n}",
            "bought_at": datetime(2026, 5, 1, 12, minute + n, tzinfo=UTC),
            "receipt": receipt,
            "amount": "12.30",
            "shop": 'Łódź, "A"\n',
            "changed_at": datetime(2026, 5, 1, 13, minute + n, tzinfo=UTC),
        }
        | more
        for n, receipt in enumerate(receipts)
    ]
    names = list(rows[0])
    with shop.begin() as connection:
        places = ", ".join(f":{name}" for name in names)
        connection.execute(text(f"INSERT INTO public.sale ({', '.join(names)}) VALUES ({places})"), rows)


def sync(ledger: Connection, shop: Engine, spec: EventSource | None = None, **more: Any) -> Synced:
    with source_connection(shop.url) as theirs:
        return sync_events(ledger, theirs, spec or source(), now=NOW, **more)


def stored(ledger: Connection) -> list[Any]:
    asked = text(
        "SELECT event_id, customer_id, action, occurred_at, params, source FROM loyalty.event "
        "JOIN loyalty.profile USING (profile_id) ORDER BY occurred_at, event_id"
    )
    with ledger.begin():
        return [tuple(row) for row in ledger.execute(asked)]


def test_each_row_is_an_event_and_again_changes_nothing(ledger: Connection, shop: Engine) -> None:
    sell(shop, *"abcdefgh")
    assert sync(ledger, shop) == Synced(8, 8, 0, 0)
    found = stored(ledger)
    assert [row[0] for row in found] == list("abcdefgh")
    params = {"$totalAmount": 12.3, "n": 1, "shop": 'Łódź, "A"\n'}
    assert found[0] == ("a", "c0", "transaction.charge", datetime(2026, 5, 1, 12, tzinfo=UTC), params, "till")
    assert sync(ledger, shop) == Synced(8, 0, 8, 0), "the overlap is read again"
    assert stored(ledger) == found


def test_what_is_new_and_what_was_committed_late_is_found(ledger: Connection, shop: Engine) -> None:
    sell(shop, *"abc", minute=30)
    sync(ledger, shop)
    sell(shop, "late", minute=10)
    sell(shop, "new", minute=40)
    assert sync(ledger, shop).stored == 2
    sell(shop, "too late", changed_at=datetime(2026, 5, 1, 11, tzinfo=UTC))
    assert sync(ledger, shop).stored == 0
    assert sync(ledger, shop, source(overlap={"count": 1, "unit": "days"})).stored == 1


def test_a_watermark_that_is_yet_to_come_hides_nothing(ledger: Connection, shop: Engine) -> None:
    sell(shop, "a", changed_at=datetime(2204, 1, 1, tzinfo=UTC))
    sync(ledger, shop)
    sell(shop, "b", changed_at=datetime.now(UTC))
    assert sync(ledger, shop).stored == 1


def test_the_other_database_may_speak_otherwise(ledger: Connection, shop: Engine) -> None:
    """Its sessions write days before months, and another encoding."""
    with shop.begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f"ALTER DATABASE {name} SET datestyle = 'SQL, DMY'"))
        connection.execute(text(f"ALTER DATABASE {name} SET client_encoding = 'LATIN2'"))
    shop.dispose()
    sell(shop, *"abcdef")
    assert sync(ledger, shop).stored == 6
    assert stored(ledger)[0][3] == datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_rows_that_share_a_watermark_stay_together(ledger: Connection, shop: Engine) -> None:
    sell(shop, *"abcdefghij", changed_at=datetime(2026, 5, 1, 13, tzinfo=UTC))
    sell(shop, "k", minute=50)
    sizes = []
    sync(ledger, shop, on_batch=lambda total: sizes.append(total.read))
    assert sizes == [10, 11]


def test_a_number_is_a_watermark_too(ledger: Connection, shop: Engine) -> None:
    spec = source(watermark="n", overlap_count=2)
    sell(shop, *"abcdef")
    assert sync(ledger, shop, spec).stored == 6
    sell(shop, *"gh")
    assert sync(ledger, shop, spec) == Synced(5, 2, 3, 0)


def test_killed_between_batches_it_goes_on_where_it_stopped(ledger: Connection, shop: Engine) -> None:
    class KilledError(Exception):
        pass

    def kill(total: Synced) -> None:
        raise KilledError

    sell(shop, *"abcdefgh")
    no_overlap = source(watermark="n", overlap_count=0)
    with pytest.raises(KilledError):
        sync(ledger, shop, no_overlap, on_batch=kill)
    assert len(stored(ledger)) == 3
    assert sync(ledger, shop, no_overlap) == Synced(6, 5, 1, 0)
    assert len(stored(ledger)) == 8


def test_two_at_once_store_everything_once(database: Engine, ledger: Connection, shop: Engine) -> None:
    sell(shop, *(f"r{n}" for n in range(25)), changed_at=datetime(2026, 5, 1, 13, tzinfo=UTC))

    def work(_: int) -> Synced:
        with database.connect() as connection:
            return sync(connection, shop)

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(work, range(3)))
    assert sum(one.stored for one in done) == len(stored(ledger)) == 25


def test_what_is_no_event_is_kept_with_its_reason_until_it_is_one(ledger: Connection, shop: Engine) -> None:
    sell(shop, "good", "bad", "none", minute=5)
    with shop.begin() as connection:
        connection.execute(text("UPDATE public.sale SET client = NULL WHERE receipt = 'bad'"))
        connection.execute(text("UPDATE public.sale SET receipt = NULL WHERE receipt = 'none'"))
    assert sync(ledger, shop).rejected == 2
    with ledger.begin():
        row, nameless = sorted(rejections(ledger), key=lambda one: one["reason"])
    assert (row["event_id"], row["reason"][:22]) == ("bad", "customer_id is missing")
    assert nameless["reason"].startswith("event_id is missing")
    assert row["row"]["params"]["$totalAmount"] == 12.3
    with shop.begin() as connection:
        connection.execute(text("UPDATE public.sale SET client = 'c7' WHERE receipt = 'bad'"))
    assert sync(ledger, shop).stored == 1
    with ledger.begin():
        assert [one["event_id"][:4] for one in rejections(ledger)] == ["a ro"]


def test_a_row_that_says_something_else_later_is_a_rejection_that_shows_both(ledger: Connection, shop: Engine) -> None:
    sell(shop, "a")
    sync(ledger, shop)
    with shop.begin() as connection:
        connection.execute(text("UPDATE public.sale SET amount = 99"))
    assert sync(ledger, shop).rejected == 1
    with ledger.begin():
        (row,) = rejections(ledger)
    assert "is known with another body" in row["reason"]


def test_a_query_and_clocks_without_a_zone(ledger: Connection, shop: Engine) -> None:
    sell(shop, "a")
    asked = (
        "SELECT client AS customer_id, 'x.y' AS action, timestamp '2026-05-01 08:00' AS occurred_at, "
        "receipt AS event_id, n FROM sale"
    )
    spec = source(table=None, query=asked, columns={"source": "=other", "note": "=hello"}, watermark="n")
    with ledger.begin():
        apply_program(ledger, program_of("Europe/Warsaw"), resettle=True)
    assert sync(ledger, shop, spec).stored == 1
    assert stored(ledger)[0][2:] == ("x.y", datetime(2026, 5, 1, 6, tzinfo=UTC), {"note": "hello"}, "other")


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"table": "public.sales"}, 'relation "public.sales" does not exist'),
        (
            {"watermark": "changed"},
            "watermark is to be in the column 'changed', which is not there; did you mean 'changed_at'",
        ),
        ({"watermark": "shop"}, "the watermark 'shop' is text: a time or a whole number"),
        ({"columns": COLUMNS | {"customer_id": "cliemt"}}, "did you mean 'client'"),
        ({"columns": {}}, "customer_id is to be in the column 'customer_id', which is not there"),
        ({"table": None, "query": "SELECT 1; DELETE FROM sale"}, "syntax error"),
    ],
)
def test_a_source_that_cannot_be_read_is_said(
    ledger: Connection, shop: Engine, more: dict[str, Any], fault: str
) -> None:
    with pytest.raises(LoyaltyError, match="source 'till'") as said:
        sync(ledger, shop, source(**more))
    assert fault in str(said.value)


def test_nothing_is_written_there(ledger: Connection, shop: Engine) -> None:
    sell(shop, "a")
    asked = "SELECT sale.*, nextval('sale_n_seq') AS next FROM sale"
    with pytest.raises(LoyaltyError, match="read-only"):
        sync(ledger, shop, source(table=None, query=asked))


def test_a_database_that_is_away_is_said() -> None:
    with pytest.raises(LoyaltyError, match="no database answers"), source_connection("postgresql://x@127.0.0.1:9/x"):
        pass
