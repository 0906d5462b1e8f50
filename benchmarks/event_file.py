"""Files of events, and the import of them: purchases and visits of customers whom the ledger does not know yet."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from customers import DRAW, bench_program, check
from floor import Floor
from measure import Bench, Case
from record import vacuum
from sqlalchemy import Engine, text
from stopwatch import Stopwatch

from loyalty.local.ledger import embedded_ledger
from loyalty.services import import_events as importing
from loyalty.services.apply_program import apply_program

PART = "BETWEEN :first AND :last"
# Four purchases to a visit, in the order of time, at any time of the last half year.
MAKING = (
    "CREATE SCHEMA bench",
    DRAW,
    """
    CREATE TABLE bench.made AS
    SELECT who, 'customer-' || who AS customer_id,
           CASE WHEN n % 5 = 0 THEN 'page.visit' ELSE 'transaction.charge' END AS action,
           date_trunc('milliseconds', now() - bench.draw(who, seed + n) * interval '180 days') AS occurred_at,
           'event-' || who || '-' || n AS event_id,
           CASE WHEN n % 5 <> 0 THEN 60.5 + floor(bench.draw(who, seed + 400 + n) * 200)::bigint END AS amount,
           CASE WHEN n % 5 <> 0 THEN 'order-' || who || '-' || n END AS order_id,
           CASE WHEN n % 5 = 0 THEN '/points' END AS page
    FROM generate_series(1, CAST(:members AS bigint)) AS who
    CROSS JOIN generate_series(1, CAST(:events AS integer)) AS n
    CROSS JOIN CAST(:seed AS integer) AS given(seed)
    ORDER BY occurred_at
    """,
)
ROWS = """
    COPY (
        SELECT customer_id, action, to_char(occurred_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS occurred_at, event_id,
               amount AS "$totalAmount", order_id AS "$orderID", page
        FROM bench.made
    ) TO STDOUT (FORMAT csv, HEADER)
"""
CHECKS = {
    "every event of the file is there once": """
        SELECT FROM bench.made FULL JOIN (
            SELECT event.*, profile.customer_id FROM loyalty.event JOIN loyalty.profile USING (profile_id)
        ) AS stored USING (customer_id, event_id)
        WHERE (made.action, made.occurred_at, made.order_id)
              IS DISTINCT FROM (stored.action, stored.occurred_at, stored.params ->> '$orderID')
        """,
    "every customer has an account, which waits for the rules": """
        SELECT FROM loyalty.account FULL JOIN (
            SELECT profile_id, min(occurred_at) AS award_from FROM bench.made JOIN loyalty.profile USING (customer_id)
            WHERE action = 'transaction.charge' GROUP BY profile_id
        ) AS charged USING (profile_id)
        WHERE (account.award_from, account.balance) IS DISTINCT FROM (charged.award_from, 0)
        """,
}
FLOOR = Floor(
    profiles="bench.customer",
    preparation=(
        """
        CREATE TABLE bench.customer AS
        SELECT who AS profile_id, customer_id,
               min(occurred_at) FILTER (WHERE action = 'transaction.charge') AS award_from
        FROM bench.made GROUP BY who, customer_id ORDER BY who
        """,
        """
        CREATE TABLE bench.event AS
        SELECT who AS profile_id, md5('id:' || event_id)::uuid AS key, action, occurred_at, jsonb_strip_nulls(
                   jsonb_build_object('$totalAmount', amount, '$orderID', order_id, 'page', page)) AS params, event_id
        FROM bench.made
        """,
        "ANALYZE bench.customer, bench.event",
    ),
    statements={
        "store": (
            "INSERT INTO loyalty.profile (profile_id, customer_id) OVERRIDING SYSTEM VALUE "
            f"SELECT profile_id, customer_id FROM bench.customer WHERE profile_id {PART}",
            "INSERT INTO loyalty.account (profile_id, award_from) "
            f"SELECT profile_id, award_from FROM bench.customer WHERE profile_id {PART}",
            "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, params, event_id) "
            f"SELECT * FROM bench.event WHERE profile_id {PART}",
        ),
    },
)


def cases(bench: Bench, members: int) -> Iterator[Case]:
    """The same events as CSV and as Parquet, as far as it is asked for."""
    csv = _make(bench, members)
    if "csv" in bench.options.formats:
        yield _case("import of CSV", csv)
    if "parquet" in bench.options.formats:
        yield _case("import of Parquet", _as_parquet(csv))


def _make(bench: Bench, members: int) -> Path:
    """An empty ledger is in the database ``made``, with a table of the events to come; returns the file of them."""
    bench.server.ensure_database("made")
    engine, options = embedded_ledger(bench.server.url("made")), bench.options
    given = {"members": members, "events": options.events, "seed": options.seed * 1000}
    path = bench.server.home / "events.csv"
    with engine.connect() as connection:
        with connection.begin():
            apply_program(connection, bench_program())
            for statement in MAKING:
                connection.execute(text(statement), given)
            raw: Any = connection.connection.driver_connection
            with raw.cursor() as cursor, cursor.copy(ROWS) as rows, path.open("wb") as file:
                for block in rows:
                    file.write(block)
        vacuum(connection)
    engine.dispose()
    return path


def _as_parquet(csv: Path) -> Path:
    """The same rows, with columns of their types."""
    path, types = csv.with_suffix(".parquet"), {"occurred_at": pa.timestamp("ms", "UTC"), "$totalAmount": pa.float64()}
    options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    with (
        pyarrow.csv.open_csv(csv, convert_options=options) as rows,
        pyarrow.parquet.ParquetWriter(path, rows.schema) as file,
    ):
        for batch in rows:
            file.write_batch(batch)
    return path


def _case(name: str, path: Path) -> Case:
    def walk(engine: Engine, watch: Stopwatch) -> None:
        stage = watch.timed(importing, {"copy_staged": "stage"})
        with engine.connect() as connection, stage, watch.lap("all"), connection.begin():
            outcome = importing.import_events(
                connection, path, file_format=None, mapping={}, rejects=None, now=datetime.now(UTC), on_progress=None
            )
        watch.add("store", watch.steps.pop("all") - watch.steps["stage"])
        assert not outcome.rejected, outcome

    return Case(name, "made", walk, lambda connection: check(connection, CHECKS), FLOOR)
