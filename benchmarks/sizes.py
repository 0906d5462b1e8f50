"""How large the tables are, before a batch cancellation of everybody and after it, and the WAL that it writes.

The customers are those of `loyalty bench --journey batch`. Interrupting leaves nothing behind.
"""

import argparse
import resource
from typing import Any

from batch_run import STORY, program_of, walk
from customers import make_ledger
from meter import COUNTERS
from options import read_options
from own_server import own_server
from record import write_record
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, text
from stopwatch import Stopwatch

from loyalty.store.database import open_engine

# A partitioned table is as large as its partitions, and counted under its own name.
TABLES = text("""
    SELECT coalesce(parent.relname, part.relname) AS name,
           sum(pg_total_relation_size(part.oid))::bigint AS bytes, sum(pg_indexes_size(part.oid))::bigint AS index_bytes
    FROM pg_class AS part
    LEFT JOIN pg_inherits ON inhrelid = part.oid LEFT JOIN pg_class AS parent ON parent.oid = inhparent
    WHERE part.relnamespace = 'loyalty'::regnamespace AND part.relkind = 'r'
    GROUP BY 1 ORDER BY 1
""")
GROWS = ("profile", "account", "event", "promotion_activation", "journey_member")


def main() -> None:
    """The table is printed, and the figures are in benchmarks/results."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--members", type=int, default=100_000)
    given = arguments.parse_args()
    options = read_options([])
    with own_server() as server:
        make_ledger(server, options, "sized", STORY, given.members)
        engine = open_engine(server.url("sized"))
        with engine.connect() as connection:
            before, written = sizes(connection), wal(connection)
            walk(engine, program_of(options), Stopwatch())
            after, written = sizes(connection), wal(connection) - written
        engine.dispose()
    Console().print(table_of(before, after))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures = {"members": given.members, "before": before, "after": after, "wal_bytes": written, "process_mib": peak}
    write_record("sizes", figures)


def sizes(connection: Connection) -> dict[str, dict[str, Any]]:
    """The rows and bytes of each table that grows with the members, its indexes included."""
    with connection.begin():
        found = {row.name: row for row in connection.execute(TABLES)}
        counted = {name: connection.scalar(text(f"SELECT count(*) FROM loyalty.{name}")) for name in GROWS}
    return {
        name: {"rows": rows, "bytes": found[name].bytes, "index_bytes": found[name].index_bytes}
        for name, rows in counted.items()
    }


def wal(connection: Connection) -> int:
    """How much WAL there has ever been, in bytes."""
    with connection.begin():
        return int(connection.execute(COUNTERS).one().wal_bytes)


def table_of(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> Table:
    """A line for each table: rows and bytes a row, before and after."""
    table = Table("table", "rows before", "bytes a row", "rows after", "bytes a row")
    for name in GROWS:
        figures = [(one[name]["rows"], one[name]["bytes"] // max(1, one[name]["rows"])) for one in (before, after)]
        table.add_row(name, *(f"{figure:,}" for pair in figures for figure in pair))
    return table


if __name__ == "__main__":
    main()
