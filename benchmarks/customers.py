"""Customers with so many events each, made on the server from a seed.

Everybody bought several times, and earned points by it; those of the first time have expired. Every twentieth paid for
a promotion, which is active. What else there is are visits. Events lie in the table in the order of time, as if
recorded when they happened: those of one customer are far from each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from floor import UNGUARDED, parts_of
from indexes import indexes_afterwards
from options import Options
from record import vacuum
from sqlalchemy import Connection, Engine, text

from loyalty.definitions.load_program import load_program
from loyalty.errors import LoyaltyError
from loyalty.local.ledger import embedded_ledger
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.settings import PACKAGE
from loyalty.store.database import open_engine, transaction
from loyalty.store.side_by_side import SIDE_BY_SIDE, work_side_by_side

FEWEST_EVENTS = 8
REHEARSAL, FEW = "made_few", 300  # the database with so many customers, on which Airflow rehearses
PROMOTION = {"name": "coffee", "title": "A coffee", "required_points": 50, "valid_days": 365}


@dataclass(frozen=True)
class Story:
    """What a journey needs its customers to have done, as expressions of SQL.

    They are about purchase ``n`` of ``profile_id``, of :purchases, from 0, with a number ``drawn`` from 0 to 1: when it
    was, and whether its points are recent, or not awarded yet. Customers pay for promotions between ``paid_days`` and
    nine days more before :now. ``expected`` are statements that make bench.expected: what must come of it.
    """

    bought_at: str
    expected: tuple[str, ...]
    is_recent: str = "false"
    is_awarded: str = "true"
    paid_days: int = 1

    @property
    def making(self) -> tuple[str, ...]:
        """What makes the customers :first to :last, apart from all others."""
        return (PURCHASES.format(part=PART, **vars(self)), *MAKING)


# A number from 0 to 1 for somebody and something, always the same.
DRAW = """
    CREATE FUNCTION bench.draw(who bigint, what integer) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hashint8extended(who, what) & 9007199254740991) / 9007199254740992.0::double precision
"""
# The guards are off, which would take most of the time; what they would have written is written here.
BEGINNING = (
    "CREATE SCHEMA bench",
    DRAW,
    """
    INSERT INTO loyalty.profile (customer_id, attributes, created_at)
    SELECT 'customer-' || n, jsonb_build_object('country', CASE WHEN n % 10 = 0 THEN 'DE' ELSE 'PL' END),
           CAST(:now AS timestamptz) - interval '400 days'
    FROM generate_series(1, CAST(:members AS integer)) AS n
    """,
    """
    CREATE UNLOGGED TABLE bench.purchase (
        profile_id bigint, n integer, has_expired boolean, is_recent boolean, is_awarded boolean, at timestamptz,
        points bigint, key uuid)
    """,
)
PART = "profile_id BETWEEN :first AND :last"
PURCHASES = """
    CREATE TEMPORARY TABLE purchase ON COMMIT DROP AS
    SELECT profile_id, n, n = 0 AS has_expired, is_recent, {is_awarded} AS is_awarded, {bought_at} AS at, points, key
    FROM (
        SELECT profile_id, n, {is_recent} AS is_recent,
               bench.draw(profile_id, CAST(:seed AS integer) * 1000 + n) AS drawn,
               60 + floor(bench.draw(profile_id, CAST(:seed AS integer) * 1000 + 400 + n) * 200)::bigint AS points,
               md5('purchase:' || profile_id || ':' || n)::uuid AS key
        FROM loyalty.profile CROSS JOIN generate_series(0, CAST(:purchases AS integer) - 1) AS n
        WHERE {part}
    ) AS draws
"""
MAKING = (
    "ANALYZE purchase",
    "INSERT INTO bench.purchase SELECT * FROM purchase",
    f"""
    INSERT INTO loyalty.promotion_activation (profile_id, activation, promotion, points, activated_at, lapses_at)
    SELECT profile_id, md5('activation:' || profile_id)::uuid, promotion, required_points, at,
           loyalty.local_instant(timezone(:zone, at) + make_interval(days => valid_days), :zone)
    FROM loyalty.promotion CROSS JOIN LATERAL (
        SELECT profile_id, CAST(:now AS timestamptz) - interval '1 day'
               * (CAST(:paid_days AS integer) + bench.draw(profile_id, CAST(:seed AS integer) * 1000 + 900) * 9) AS at
        FROM loyalty.profile WHERE profile_id % 20 = 0 AND {PART}
    ) AS paid
    """,
    f"""
    INSERT INTO loyalty.event
        (profile_id, key, action, occurred_at, points, params, refers_to, source, event_id, recorded_at)
    SELECT profile_id, key, action, at, points, params, refers_to, source, event_id, at FROM (
        SELECT profile_id, key, 'transaction.charge' AS action, at, NULL::bigint AS points,
               jsonb_build_object('$totalAmount', points + 0.5, '$orderID', bought) AS params,
               NULL::uuid AS refers_to, 'shop' AS source, bought AS event_id
        FROM purchase CROSS JOIN concat('order-', profile_id, '-', n) AS bought
        UNION ALL
        SELECT profile_id, md5('award:purchase:' || key)::uuid, 'points.loyalty', at, points, jsonb_build_object(
                   'points', points, 'rule', 'purchase', 'amount', points + 0.5, 'points_per_unit', 1),
               key, 'award_points', NULL
        FROM purchase WHERE is_awarded
        UNION ALL
        SELECT profile_id, loyalty.settlement_key(profile_id, due_on, 1), 'points.expire', midnight, -points,
               jsonb_build_object('points', points, 'midnight', due_on), NULL, 'rolling_expiry', NULL
        FROM purchase CROSS JOIN loyalty.due_on(at, 182, :zone) CROSS JOIN loyalty.midnight(due_on, :zone)
        WHERE has_expired
        UNION ALL
        SELECT profile_id, md5('visit:' || profile_id || ':' || v)::uuid, 'page.visit', at + v * interval '1 hour',
               NULL, jsonb_build_object('page', '/points'), NULL, 'app', NULL
        FROM purchase CROSS JOIN generate_series(1, CAST(:visits AS integer)) AS v WHERE n = 0
        UNION ALL
        SELECT profile_id, activation, 'client.activatePromotion', activated_at, -points, jsonb_build_object(
                   'promotion', promotion, 'promotionRequireRedeemedPoints', points), NULL, 'shop', NULL
        FROM loyalty.promotion_activation WHERE {PART}
    ) AS made
    ORDER BY at
    """,
    f"""
    INSERT INTO loyalty.account (profile_id, balance, booked_by, latest_at, settle_on, award_from)
    SELECT profile_id, earned.points - coalesce(paid.points, 0), pg_current_xact_id(),
           greatest(earned.latest_at, expired.at, paid.activated_at), loyalty.due_on(earned.first_at, 182, :zone),
           award_from
    FROM (
        SELECT profile_id, coalesce(sum(points) FILTER (WHERE is_awarded), 0) AS points,
               min(at) FILTER (WHERE is_awarded) AS first_at, max(at) FILTER (WHERE is_awarded) AS latest_at,
               min(at) FILTER (WHERE NOT is_awarded) AS award_from
        FROM purchase WHERE NOT has_expired GROUP BY profile_id
    ) AS earned
    JOIN (
        SELECT profile_id, loyalty.midnight(loyalty.due_on(at, 182, :zone), :zone) AS at FROM purchase WHERE has_expired
    ) AS expired USING (profile_id)
    LEFT JOIN (SELECT * FROM loyalty.promotion_activation WHERE {PART}) AS paid USING (profile_id)
    ORDER BY profile_id
    """,
    f"""
    INSERT INTO loyalty.points_flow (day, effect, slot, points, event_count)
    SELECT loyalty.book_day(occurred_at, :zone), effect, :first, sum(event.points), count(*)
    FROM loyalty.event JOIN loyalty.action USING (action) WHERE event.points IS NOT NULL AND {PART} GROUP BY 1, 2
    """,
)
ENDING = (
    "UPDATE loyalty.program SET settled_through = timezone(:zone, CAST(:now AS timestamptz))::date",
    "SET LOCAL search_path = bench",
    "ANALYZE bench.purchase",
)


def bench_program() -> Program:
    """The shipped program, with one promotion, and with no midnight that Airflow settles by itself."""
    program = load_program(PACKAGE / "definitions" / "program.yaml")
    changed = {"promotions": [PROMOTION], "ends_on": "2020-01-01"}
    return Program.model_validate(program.model_dump(mode="json") | changed)


def make_ledger(server: EmbeddedPostgres, options: Options, name: str, story: Story, members: int, **more: Any) -> None:
    """A database of that name has so many customers, with so many events each (every twentieth has one more).

    The planner knows the tables as they are, and nothing is left for autovacuum.
    """
    if options.events < FEWEST_EVENTS:
        raise LoyaltyError(f"--events-per-member {options.events}: it takes {FEWEST_EVENTS} to tell a customer's story")
    program = bench_program()
    purchases = (options.events - 2) // 2
    counts = {"members": members, "purchases": purchases, "visits": options.events - 2 * purchases - 1}
    given = {"seed": options.seed, "zone": program.timezone, "paid_days": story.paid_days} | counts | more
    server.ensure_database(name)
    guarded = embedded_ledger(server.url(name))
    with transaction(guarded) as connection:
        apply_program(connection, program)
        given["now"] = connection.scalar(text("SELECT clock_timestamp()"))
    guarded.dispose()
    engine = open_engine(server.url(name), UNGUARDED, pool_size=SIDE_BY_SIDE)
    _execute(engine, BEGINNING, given)
    parts = parts_of(engine, "loyalty.profile", SIDE_BY_SIDE)
    with indexes_afterwards(engine):
        work_side_by_side(engine, lambda own, part: _walk(own, story.making, given | part), parts, SIDE_BY_SIDE)
    _execute(engine, (*ENDING, *story.expected, "DROP TABLE purchase"), given)
    with engine.connect() as connection:
        vacuum(connection)
    engine.dispose()


def _execute(engine: Engine, statements: Sequence[str], given: Mapping[str, Any]) -> None:
    with engine.connect() as connection:
        _walk(connection, statements, given)


def _walk(connection: Connection, statements: Sequence[str], given: Mapping[str, Any]) -> None:
    with connection.begin():
        for statement in statements:
            connection.execute(text(statement), given)


def check(connection: Connection, checks: dict[str, str], **binds: Any) -> list[str]:
    """Each of these queries finds no row, else an error says which does; returns their names."""
    with connection.begin():
        for name, statement in checks.items():
            found = connection.execute(text(f"SELECT count(*) FROM ({statement}) AS wrong"), binds).scalar_one()
            if found:
                raise LoyaltyError(f"{name}: not so for {found} rows")
    return list(checks)
