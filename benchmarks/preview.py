"""How many customers a segment has, and how many points they would lose: counted, and from the dashboard's sample."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from measure import MEASURED, Bench, figures_of, postmaster_of
from meter import metered
from own_server import copied
from sqlalchemy import Connection, func, select, text
from stopwatch import Stopwatch

from loyalty.compile import compile_segment
from loyalty.definitions.load_catalog import load_catalog
from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.insights.definitions import sample
from loyalty.store.database import open_engine, transaction
from loyalty.store.temporary import keep_rows

SEGMENT = AMOUNT = "points_to_cancel"
# Every event read and added up to its customer, and nothing asked of it.
FLOOR = text("""
    SELECT sum(events)::bigint AS events, sum(points)::bigint AS points
    FROM (SELECT count(*) AS events, sum(points)::bigint AS points FROM loyalty.event GROUP BY profile_id) AS total
""")
MADE = text("SELECT count(*) AS members, sum(approved)::bigint AS points FROM bench.expected")


@dataclass(frozen=True)
class Preview:
    """The segment of the batch cancellation, of whom everybody is a member."""

    made: str
    program: Program
    name: str = "segment preview"

    def measure(self, bench: Bench, _members: int) -> Generator[dict[str, Any]]:
        """The figures of both ways, in turns; each reads a copy that the server's memory does not hold yet."""
        runs: dict[str, list[dict[str, Any]]] = {}
        for _ in range(bench.options.runs):
            for way, look in (("floor, every event read", _add_up), ("command", self._look)):
                watch = Stopwatch()
                with copied(bench.server, MEASURED, self.made) as url:
                    engine = open_engine(url)
                    with metered(url, postmaster_of(bench)) as usage, transaction(engine) as connection:
                        more = look(connection, watch)
                    engine.dispose()
                runs.setdefault(way, []).append(usage.as_json() | more | {"steps": watch.as_json()})
            yield {"case": self.name, "checks": ["the segment has whom the making says"], **figures_of(runs)}

    def _look(self, connection: Connection, watch: Stopwatch) -> dict[str, Any]:
        settings = journey.settings_of(self.program)
        program, catalog = journey.catalog_of_run(load_catalog, self.program, settings)
        now = connection.scalar(select(func.clock_timestamp()))
        amount = catalog.value(AMOUNT)
        segment = compile_segment(catalog, program, catalog.segment(SEGMENT), [amount]).params(as_of=now)
        with watch.lap("sample"):
            sample(connection, catalog, program, catalog.segment(SEGMENT), now)
        with watch.lap("count"):
            chosen = keep_rows(connection, "chosen", segment)
            counted = connection.execute(select(func.count(), func.sum(chosen.c[AMOUNT])).select_from(chosen)).one()
        expected = connection.execute(MADE).one()
        if tuple(counted) != tuple(expected):
            raise LoyaltyError(f"{self.name}: {tuple(counted)} members and points, and {tuple(expected)} were made")
        return {}


def _add_up(connection: Connection, watch: Stopwatch) -> dict[str, Any]:
    with watch.lap("count"):
        found = connection.execute(FLOOR).one()
    return {"rows": found.events}
