"""Batch cancellations in a row on the same database: what the first costs, and what the last.

Between two runs, everybody earns again what was taken, by purchases of the same times, and pays for a promotion again;
by bare statements, which write what the guards would have written.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import batch_run
from measure import MEASURED, Bench, postmaster_of
from meter import metered
from own_server import copied
from proof import proven
from sqlalchemy import Connection, Engine, text
from stopwatch import Stopwatch

from loyalty.model.program import Program
from loyalty.store.database import open_engine

EARNING = (
    "SET LOCAL session_replication_role = replica",
    """
    CREATE TEMPORARY TABLE again ON COMMIT DROP AS
    SELECT profile_id, amount AS points, returned, md5(:round || ':purchase:' || profile_id)::uuid AS key,
           now() - interval '1 day' * (40 + bench.draw(profile_id, hashtext(:round)) * 135) AS at,
           CASE WHEN returned > 0 THEN md5(:round || ':activation:' || profile_id)::uuid END AS activation
    FROM bench.expected
    """,
    """
    INSERT INTO loyalty.promotion_activation (profile_id, activation, promotion, points, activated_at, lapses_at)
    SELECT profile_id, activation, promotion, required_points, now(), now() + make_interval(days => valid_days)
    FROM again CROSS JOIN loyalty.promotion WHERE activation IS NOT NULL
    """,
    """
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, source, event_id)
    SELECT profile_id, key, 'transaction.charge', at, NULL::bigint,
           jsonb_build_object('$totalAmount', points + 0.5, '$orderID', key), NULL::uuid, 'shop', key::text
    FROM again
    UNION ALL
    SELECT profile_id, md5('award:purchase:' || key)::uuid, 'points.loyalty', at, points, jsonb_build_object(
               'points', points, 'rule', 'purchase', 'amount', points + 0.5, 'points_per_unit', 1),
           key, 'award_points', NULL
    FROM again
    UNION ALL
    SELECT profile_id, activation, 'client.activatePromotion', now(), -returned, jsonb_build_object(
               'promotion', promotion, 'promotionRequireRedeemedPoints', returned), NULL, 'shop', NULL
    FROM again CROSS JOIN loyalty.promotion WHERE activation IS NOT NULL
    """,
    """
    UPDATE loyalty.account
    SET balance = balance + again.points - returned,
        latest_at = greatest(latest_at, CASE WHEN returned > 0 THEN now() END),
        settle_on = least(settle_on, loyalty.due_on(at, 182, :zone))
    FROM again WHERE account.profile_id = again.profile_id
    """,
    """
    INSERT INTO loyalty.points_flow AS counter (day, effect, slot, points, event_count)
    SELECT loyalty.book_day(at, :zone), 'earn', 0, sum(points), count(*) FROM again GROUP BY 1
    UNION ALL
    SELECT loyalty.book_day(now(), :zone), 'redeem', 0, -sum(returned), count(*) FROM again WHERE returned > 0
    HAVING count(*) > 0
    ON CONFLICT (day, effect, slot) DO UPDATE
    SET points = counter.points + excluded.points, event_count = counter.event_count + excluded.event_count
    """,
    "UPDATE bench.expected SET activation = again.activation FROM again WHERE expected.profile_id = again.profile_id",
)


@dataclass(frozen=True)
class Repeated:
    """So many runs in a row."""

    made: str
    program: Program
    times: int

    @property
    def name(self) -> str:
        return f"{self.times} batch cancellations in a row"

    def measure(self, bench: Bench, members: int) -> Generator[dict[str, Any]]:
        """Each run as it was, and how long the last one took, measured by the first."""
        runs: list[dict[str, Any]] = []
        with copied(bench.server, MEASURED, self.made) as url:
            for n in range(1, self.times + 1):
                watch, engine = Stopwatch(), open_engine(url)
                if n > 1:
                    earn_again(engine, f"round {n}", self.program.timezone)
                    engine.dispose()
                with metered(url, postmaster_of(bench)) as usage:
                    run_id = batch_run.walk(engine, self.program, watch, f"bench {n}")
                    engine.dispose()
                with engine.connect() as connection:
                    checks = batch_run.check_run(connection, run_id)
                    events = _events(connection)
                engine.dispose()
                runs.append(usage.as_json() | {"events": events, "steps": watch.as_json()})
            checks += proven(engine, bench.options, members, self.name)
        ratio = round(runs[-1]["seconds"] / runs[0]["seconds"], 2)
        yield {"case": self.name, "checks": checks, "last_to_first": ratio, "runs": runs}


def earn_again(engine: Engine, name: str, zone: str) -> None:
    """Everybody has as much as before the run, and bench.expected says again what the next one must take."""
    with engine.connect() as connection, connection.begin():
        for statement in EARNING:
            connection.execute(text(statement), {"round": name, "zone": zone})


def _events(connection: Connection) -> int:
    with connection.begin():
        return int(connection.execute(text("SELECT count(*) FROM loyalty.event")).scalar_one())
