"""A whole batch cancellation, step by step, as `loyalty cancel --yes` walks it."""

from batch_floor import FLOOR
from customers import REHEARSAL, Story, bench_program, check
from measure import Case
from options import Options
from sqlalchemy import Connection, Engine
from stopwatch import Stopwatch
from through_airflow import Asked

from loyalty.definitions.load_catalog import load_catalog
from loyalty.model.program import Program
from loyalty.services import batch_cancellation as journey
from loyalty.services.decide_run import decide_run
from loyalty.services.preview_run import preview_run

# The steps of a chunk by the name of what does them, and of the floor that writes the same.
CHUNK_STEPS = {
    "lock": "lock",
    "locks_answered": "wait for locks",
    "fail_without_lock": "fail without lock",
    "split_clients": "split clients",
    "deactivate": "deactivate",
    "deactivations_answered": "wait for deactivations",
    "fail_with_promotions": "fail with promotions",
    "deduct": "deduct",
    "release": "release",
}
# Days of purchases keep a distance from the instants that decide: 182 days of validity, and a month that is spared.
STORY = Story(
    is_recent="(n = CAST(:purchases AS integer) - 1 AND profile_id % 2 = 0)",
    bought_at="""CAST(:now AS timestamptz) - interval '1 day' * CASE
        WHEN n = 0 THEN 200 + drawn * 160 WHEN is_recent THEN 1 + drawn * 23 ELSE 40 + drawn * 135 END""",
    # What a run must come to: all that is neither expired nor recent. What a promotion returns goes with the rest.
    expected=(
        """
        CREATE TABLE bench.expected AS
        SELECT profile_id, account.balance AS balance_before, old.points - coalesce(paid.points, 0) AS approved,
               coalesce(paid.points, 0) AS returned, old.points AS amount, paid.activation
        FROM (
            SELECT profile_id, sum(points)::bigint AS points FROM purchase
            WHERE NOT has_expired AND NOT is_recent GROUP BY profile_id
        ) AS old
        JOIN loyalty.account USING (profile_id)
        LEFT JOIN loyalty.promotion_activation AS paid USING (profile_id)
        ORDER BY profile_id
        """,
        "ALTER TABLE bench.expected ADD PRIMARY KEY (profile_id)",
    ),
)
# What must hold after a run, and after its floor: no row.
CHECKS = {
    "cancelled is what was to be cancelled": """
        SELECT FROM bench.expected FULL JOIN (
            SELECT profile_id, -sum(points) AS points FROM loyalty.event
            WHERE action = 'points.cancel' AND run_id = :run_id GROUP BY profile_id
        ) AS cancelled USING (profile_id)
        WHERE expected.amount IS DISTINCT FROM cancelled.points
        """,
    "members hold the same": """
        SELECT FROM bench.expected FULL JOIN (
            SELECT * FROM loyalty.journey_member WHERE run_id = :run_id
        ) AS member USING (profile_id)
        WHERE (member.state, member.approved, member.points, member.returned) IS DISTINCT FROM
                  ('completed', expected.approved, expected.amount, expected.returned)
           OR member.balance_locked IS DISTINCT FROM expected.balance_before
           OR member.balance_after IS DISTINCT FROM expected.balance_before + expected.returned - expected.amount
        """,
    "balances are the sums of events": """
        SELECT FROM loyalty.account FULL JOIN (
            SELECT profile_id, sum(points) AS points FROM loyalty.event GROUP BY profile_id
        ) AS total USING (profile_id)
        WHERE account.balance IS DISTINCT FROM total.points
        """,
    "everybody was locked, nobody is": """
        SELECT FROM loyalty.account WHERE coalesce(lock_expires_at > clock_timestamp(), true)
        """,
    "promotions are deactivated": "SELECT FROM loyalty.promotion_activation WHERE state <> 'deactivated'",
    "locks and deactivations are confirmed once": """
        SELECT action, count(*) FROM loyalty.event
        WHERE run_id = :run_id AND action <> 'points.cancel' GROUP BY action
        EXCEPT SELECT 'points.locked', count(*) FROM bench.expected
        EXCEPT SELECT 'client.deactivatePromotion', count(activation) FROM bench.expected
        """,
}


def check_run(connection: Connection, run_id: int = 1) -> list[str]:
    """The run took and gave back what the making of the customers says."""
    return check(connection, CHECKS, run_id=run_id)


def walk(engine: Engine, program: Program, watch: Stopwatch, run_key: str = "bench") -> int:
    """A run is completed, approved by nobody's look at its preview; returns its number."""
    run = journey.settings_of(program)
    own, catalog = journey.catalog_of_run(load_catalog, program, run)
    with engine.connect() as connection:
        with watch.lap("select"):
            run_id = journey.snapshot(connection, own, catalog, run, run_key=run_key)
        with watch.lap("preview"), connection.begin():
            preview_run(connection, program, run_id)
        with watch.lap("approve"), connection.begin():
            decide_run(connection, run_id, "approved", decided_by="bench")
        with watch.lap("cut"):
            chunks = journey.cut(connection, run_id, size=program.batch_size)
        with watch.lap("all chunks, by the clock"), watch.timed(journey, CHUNK_STEPS):
            journey.cancel_chunks(engine, run_id, chunks, size=program.batch_size)
        with watch.lap("finish"):
            journey.finish(connection, run_id)
    return run_id


def program_of(options: Options) -> Program:
    """The program of the benchmarks, with chunks of the size that was asked for."""
    program = bench_program()
    if options.chunk_size is None:
        return program
    cancellation = program.cancellation.model_copy(update={"chunk_size": options.chunk_size})
    return program.model_copy(update={"cancellation": cancellation})


def case_of(made: str, program: Program) -> Case:
    """A run of all customers."""
    return Case(
        name="batch cancellation",
        made=made,
        walk=lambda engine, watch: walk(engine, program, watch),
        check=check_run,
        floor=FLOOR,
        rehearsal=REHEARSAL,
        asked=Asked(
            "batch_cancellation",
            conf={"approval": "no", "chunk_size": program.cancellation.chunk_size},
            written_by="finish_run",
        ),
    )
