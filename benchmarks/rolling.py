"""Nights of rolling expiry: an ordinary one, and the one after thirty that were missed.

One customer in a hundred falls due on the night measured, and as many on each of the thirty days after it. A program
with a part of the customers has as many who fall due in the night, so that the two nights do the same work.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from customers import FEW, REHEARSAL, Story, bench_program, check, make_ledger
from floor import Floor
from measure import Bench, Case
from sqlalchemy import Connection, Engine
from stopwatch import Stopwatch
from through_airflow import Asked

from loyalty.definitions.load_catalog import load_catalog
from loyalty.services import rolling_expiry as journey

MISSED = 30
DUE_OF = 100  # one customer of so many falls due on each day
AMID_FEWER = "a night, as many due amid fewer"
STEPS = {"snapshot": "select", "expire": "expire", "finish": "finish"}
EVENT = "profile_id, key, action, occurred_at, points, params, run_id, source, recorded_at"
PART = "BETWEEN :first AND :last"
# The second purchase falls due on the day that the customer's number says, earned so many days before and in daytime.
STORY = Story(
    bought_at="""CASE
        WHEN n = 0 THEN CAST(:now AS timestamptz) - interval '1 day' * (230 + drawn * 130)
        WHEN n = 1 AND profile_id % :due_of < :nights
        THEN loyalty.midnight(CAST(:night AS date) + (profile_id % :due_of)::integer - 183, :zone)
             + interval '1 day' * (0.2 + 0.6 * drawn)
        -- Of everybody else, the first points that are left are older than what was paid by them.
        WHEN n = 1 THEN CAST(:now AS timestamptz) - interval '1 day' * (60 + drawn * 80)
        ELSE CAST(:now AS timestamptz) - interval '1 day' * (1 + drawn * 139) END""",
    # Promotions were paid for before the night measured: what they took does not expire.
    paid_days=MISSED + 5,
    expected=(
        "UPDATE loyalty.program SET settled_through = CAST(:night AS date) - 1",
        """
        CREATE TABLE bench.expected AS
        SELECT profile_id, CAST(:night AS date) + (profile_id % :due_of)::integer AS midnight,
               purchase.points - coalesce(paid.points, 0) AS points, account.balance AS balance_before,
               loyalty.due_on(later.at, 182, :zone) AS settle_on
        FROM purchase JOIN loyalty.account USING (profile_id)
        LEFT JOIN loyalty.promotion_activation AS paid USING (profile_id)
        LEFT JOIN (
            SELECT profile_id, min(at) AS at FROM purchase WHERE n > 1 GROUP BY profile_id
        ) AS later USING (profile_id)
        WHERE n = 1 AND profile_id % :due_of < :nights
        ORDER BY profile_id
        """,
        "ALTER TABLE bench.expected ADD PRIMARY KEY (profile_id)",
    ),
)
CHECKS = {
    "expired is what fell due": """
        SELECT FROM (SELECT * FROM bench.expected WHERE midnight <= :through) AS expected FULL JOIN (
            SELECT profile_id, timezone(:zone, occurred_at)::date AS midnight, -sum(points) AS points
            FROM loyalty.event WHERE run_id IS NOT NULL GROUP BY 1, 2
        ) AS expired USING (profile_id, midnight)
        WHERE expected.points IS DISTINCT FROM expired.points
        """,
    "members hold the same": """
        SELECT FROM (SELECT * FROM bench.expected WHERE midnight <= :through) AS expected
        FULL JOIN loyalty.journey_member AS member USING (profile_id)
        WHERE (member.state, member.points) IS DISTINCT FROM ('completed', expected.points)
        """,
    "balances are the sums of events": """
        SELECT FROM bench.expected JOIN loyalty.account USING (profile_id) JOIN (
            SELECT profile_id, sum(event.points) AS points
            FROM loyalty.event JOIN bench.expected USING (profile_id) GROUP BY profile_id
        ) AS total USING (profile_id)
        WHERE account.balance <> total.points
        """,
    "nobody waits for a midnight": "SELECT FROM loyalty.account WHERE settle_on <= :through",
}


def cases(bench: Bench, members: int) -> Iterator[Case]:
    """The night in a program of the size and in one with fewer, and the night after those that were missed."""
    fewer = bench.options.fewer
    night = datetime.now(ZoneInfo(bench_program().timezone)).date() - timedelta(days=MISSED)
    large = {"due_of": DUE_OF, "nights": MISSED + 1, "night": night}
    make_ledger(bench.server, bench.options, "made", STORY, members, **large)
    if "airflow" in bench.options.ways:
        make_ledger(bench.server, bench.options, REHEARSAL, STORY, FEW, **large)
    has_smaller = members >= fewer * fewer
    yield _case("a night", "made", night, amid_fewer=AMID_FEWER if has_smaller else None)
    yield _case(f"{MISSED} missed days", "made", night + timedelta(days=MISSED))
    if has_smaller:
        small = {"due_of": DUE_OF // fewer, "nights": 1, "night": night}
        make_ledger(bench.server, bench.options, "made_smaller", STORY, members // fewer, **small)
        yield _case(AMID_FEWER, "made_smaller", night)


def _case(name: str, made: str, through: date, amid_fewer: str | None = None) -> Case:
    program = bench_program()
    catalog = load_catalog(program)

    def walk(engine: Engine, watch: Stopwatch) -> None:
        with engine.connect() as connection, watch.timed(journey, STEPS):
            journey.run_rolling_expiry(connection, program, catalog, run_key="bench", business_date=through)

    def verify(connection: Connection) -> list[str]:
        return check(connection, CHECKS, through=through, zone=program.timezone)

    floor, asked = _floor(through, program.timezone), Asked("rolling_expiry", str(through))
    return Case(name, made, walk, verify, floor, asked, REHEARSAL, amid_fewer)


def _floor(through: date, zone: str) -> Floor:
    """The bare statements that write the rows of a run as of that day."""
    return Floor(
        profiles="bench.due",
        binds={"through": through, "zone": zone},
        preparation=(
            "CREATE TABLE bench.due AS SELECT * FROM bench.expected WHERE midnight <= :through ORDER BY profile_id",
            f"""
            CREATE TABLE bench.written ({EVENT}) AS
            SELECT profile_id, loyalty.settlement_key(profile_id, midnight, 1), 'points.expire',
                   loyalty.midnight(midnight, :zone), -points,
                   jsonb_build_object('points', points, 'midnight', midnight), 1::bigint, 'rolling_expiry',
                   clock_timestamp()
            FROM bench.due
            """,
            "ANALYZE bench.due, bench.written",
            """
            INSERT INTO loyalty.journey_run (journey, run_key, as_of, business_date, definitions, fingerprint)
            VALUES ('rolling_expiry', 'floor', clock_timestamp(), :through, '{}', '')
            """,
        ),
        statements={
            "select": (
                "INSERT INTO loyalty.journey_member (run_id, profile_id) "
                f"SELECT 1, profile_id FROM bench.due WHERE profile_id {PART}",
            ),
            "expire": (
                f"INSERT INTO loyalty.event ({EVENT}) SELECT * FROM bench.written WHERE profile_id {PART}",
                "UPDATE loyalty.account SET balance = balance - points, settle_on = due.settle_on FROM bench.due "
                f"WHERE account.profile_id = due.profile_id AND due.profile_id {PART}",
                "UPDATE loyalty.journey_member AS member SET state = 'completed', finished_at = clock_timestamp(), "
                "points = due.points FROM bench.due "
                f"WHERE member.run_id = 1 AND member.profile_id = due.profile_id AND due.profile_id {PART}",
            ),
        },
    )
