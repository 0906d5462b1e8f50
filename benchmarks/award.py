"""The earning rules on charges that they have not seen: the two latest ones of every customer."""

from collections.abc import Iterator

from customers import Story, bench_program, check, make_ledger
from floor import Floor
from measure import Bench, Case
from sqlalchemy import Connection, Engine
from stopwatch import Stopwatch

from loyalty.services import award_points as journey

STEPS = {"award_batch": "award"}
EVENT = "profile_id, key, action, occurred_at, points, params, refers_to, source"
PART = "BETWEEN :first AND :last"
WAITS = "n >= greatest(2, CAST(:purchases AS integer) - 2)"
STORY = Story(
    is_awarded=f"NOT ({WAITS})",
    bought_at=f"""CAST(:now AS timestamptz) - interval '1 day' * CASE
        WHEN n = 0 THEN 200 + drawn * 160 WHEN {WAITS} THEN drawn ELSE 40 + drawn * 135 END""",
    expected=(
        """
        CREATE TABLE bench.expected AS
        SELECT purchase.profile_id, purchase.key, at, purchase.points
        FROM purchase WHERE NOT is_awarded ORDER BY profile_id, at
        """,
        "CREATE INDEX ON bench.expected (profile_id)",
        "CREATE TABLE bench.balance AS SELECT profile_id, balance FROM loyalty.account",
    ),
)
CHECKS = {
    "every charge that waited is awarded once": """
        SELECT FROM bench.expected FULL JOIN (
            SELECT award.* FROM loyalty.event AS award
            WHERE action = 'points.loyalty' AND recorded_at >= (SELECT max(at) FROM bench.expected)
        ) AS award ON award.profile_id = expected.profile_id AND award.refers_to = expected.key
        WHERE (expected.points, expected.at) IS DISTINCT FROM (award.points, award.occurred_at)
        """,
    "balances have grown by as much": """
        SELECT FROM bench.balance JOIN loyalty.account USING (profile_id)
        LEFT JOIN (
            SELECT profile_id, sum(points) AS points FROM bench.expected GROUP BY profile_id
        ) AS earned USING (profile_id)
        WHERE account.balance <> balance.balance + coalesce(earned.points, 0)
        """,
    "nobody waits for the rules": "SELECT FROM loyalty.account WHERE award_from IS NOT NULL",
}
FLOOR = Floor(
    profiles="loyalty.account",
    preparation=(
        f"""
        CREATE TABLE bench.award ({EVENT}) AS
        SELECT profile_id, md5('award:purchase:' || key)::uuid, 'points.loyalty', at, points, jsonb_build_object(
                   'points', points, 'rule', 'purchase', 'amount', points + 0.5, 'points_per_unit', 1),
               key, 'award_points'
        FROM bench.expected ORDER BY profile_id
        """,
        """
        CREATE TABLE bench.earned AS
        SELECT profile_id, sum(points) AS points, max(at) AS latest_at FROM bench.expected GROUP BY profile_id
        """,
        "ANALYZE bench.award, bench.earned",
    ),
    statements={
        "award": (
            f"INSERT INTO loyalty.event ({EVENT}) SELECT * FROM bench.award WHERE profile_id {PART}",
            "UPDATE loyalty.account SET balance = balance + points, latest_at = earned.latest_at, award_from = NULL "
            f"FROM bench.earned WHERE account.profile_id = earned.profile_id AND earned.profile_id {PART}",
        ),
    },
)


def cases(bench: Bench, members: int) -> Iterator[Case]:
    """All charges that wait."""
    program = bench_program()
    make_ledger(bench.server, bench.options, "made", STORY, members)

    def walk(engine: Engine, watch: Stopwatch) -> None:
        with engine.connect() as connection, watch.timed(journey, STEPS):
            journey.award_points(connection, program)

    def verify(connection: Connection) -> list[str]:
        return check(connection, CHECKS)

    yield Case("award", "made", walk, verify, FLOOR)
