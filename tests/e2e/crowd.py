"""A crowd of customers made by set-based SQL, the world outside that answers for it, and what each must lose.

A customer is a number; its last two digits say how the world outside treats it. What must come out is computed from the
events that were recorded, in plain Python, and shares nothing with the project's SQL.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any, NamedTuple

import yaml
from sqlalchemy import Connection, Engine, text

from ledger import program_of, wipe
from loyalty.local.kept import write_private
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import transaction
from mailing import mail_of

SPARE_DAYS = 30
FIGURES = re.compile(r"([\d,]+) points")  # in a message: those taken, and those left
BOUGHT_UNDER_A_LOCK = 25
PROMOTIONS = [
    {"name": "coffee", "title": "A coffee", "required_points": 50},
    {"name": "mug", "title": "A mug", "required_points": 120},
]
# An hour each: whatever waits goes on because the world outside lets it, and not because a machine is slow.
HOURS = {"lock_minutes": 240, "lock_wait_minutes": 60, "deactivation_wait_minutes": 60, "margin_minutes": 60}
# By the last two digits of a customer's number.
ROLES = {
    1: "its lock is never confirmed",
    2: "its promotions are never deactivated",
    3: "the engine refuses to lock it",
    4: "its lock ends early",
    5: "it lives in an excluded country",
    6: "it buys while it is locked",
}
FATES = {
    ROLES[1]: "lock_timeout",
    ROLES[2]: "deactivation_timeout",
    ROLES[3]: "engine_error",
    ROLES[4]: "lock_expired",
    ROLES[5]: "excluded",
}
MAY_COME_AGAIN = {"lock_timeout", "deactivation_timeout", "engine_error", "lock_expired"}
SIGN = {"points.loyalty": 1, "client.deactivatePromotion": 1, "points.restore": 1}

MAKE_PROFILES = text(
    "INSERT INTO loyalty.profile (customer_id, attributes) "
    "SELECT 'c' || lpad(n::text, 6, '0'), jsonb_strip_nulls(jsonb_build_object("
    "'country', CASE WHEN n % 100 = 5 THEN 'DE' END, 'mail_consent', n % 13 <> 0, "
    "'email', CASE WHEN n % 7 = 3 THEN 'c' || lpad(n::text, 6, '0') || '@example.org' END)) "
    "FROM generate_series(1, CAST(:count AS integer)) AS n ORDER BY n"
)
# What customer n did, as SQL: who did, how long ago, which action, how many points, for which promotion.
HISTORY = (
    ("n % 50 NOT IN (10, 11)", "interval '1 day' * (40 + n % 100)", "points.loyalty", "200 + n * 7919 % 900", None),
    ("n % 6 = 1", f"interval '{SPARE_DAYS} days 2 hours'", "points.loyalty", "3 + n % 11", None),
    ("n % 6 = 5", f"interval '{SPARE_DAYS} days' - interval '2 hours'", "points.loyalty", "5 + n % 13", None),
    ("n % 2 = 0 AND n % 50 <> 11", "interval '3 days'", "points.loyalty", "1 + n % 60", None),
    ("n % 7 = 0 AND n % 50 NOT IN (10, 11)", "interval '20 days'", "client.activatePromotion", "10", None),
    ("n % 5 = 2", "interval '10 days'", "client.activatePromotion", "50", "coffee"),
    ("n % 10 = 7", "interval '9 days'", "client.activatePromotion", "120", "mug"),
)
PARAMETER = {"points.loyalty": "points", "client.activatePromotion": "promotionRequireRedeemedPoints"}
RECORD = (
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source) "
    "SELECT profile_id, md5('{key}:' || customer_id)::uuid, '{action}', clock_timestamp() - {ago}, {sign} ({points}), "
    "jsonb_build_object('{parameter}', {points}) || '{more}'::jsonb, 'test' "
    "FROM (SELECT *, substr(customer_id, 2)::integer AS n FROM loyalty.profile) AS customer WHERE {whose}"
)


class Fact(NamedTuple):
    """An event of a customer, as the ledger was told."""

    action: str
    at: datetime
    points: int
    promotion: str | None


class Fate(NamedTuple):
    """How a member ends."""

    state: str
    reason: str | None
    points: int
    returned: int


Facts = dict[str, list[Fact]]


def crowd_program(batch_size: int, **cancellation: object) -> Program:
    """A program with two promotions, an excluded country, and a points engine beside the journey.

    Its last day is long past: no rolling expiry of today's midnight comes between.
    """
    asked = HOURS | {"engine": "events", "exclude_countries": ["DE"]} | cancellation
    return program_of(
        promotions=PROMOTIONS, cancellation=asked, batch_size=batch_size, ends_on="1998-06-30", mail=mail_of()
    )


def gather(database: Engine, program: Program, count: int) -> None:
    """The ledger holds this many customers with their histories, and nothing else."""
    with transaction(database) as connection:
        wipe(connection)
        apply_program(connection, program)
        connection.execute(MAKE_PROFILES, {"count": count})
        for number, (whose, ago, action, points, promotion) in enumerate(HISTORY):
            more = f'{{"promotion": "{promotion}"}}' if promotion else "{}"
            sign = "+" if action == "points.loyalty" else "-"
            words = {"key": number, "action": action, "ago": ago, "sign": sign, "points": points, "whose": whose}
            connection.execute(text(RECORD.format(**words, parameter=PARAMETER[action], more=more)))
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


@contextmanager
def working_by(airflow: Any, program: Program) -> Iterator[None]:
    """The tasks of this Airflow work by the program."""
    file = airflow.stack.home / "program.yaml"
    before = file.read_text(encoding="utf-8")
    write_private(file, yaml.safe_dump(program.model_dump(mode="json")))
    yield
    write_private(file, before)


def role(customer: str) -> str | None:
    return ROLES.get(int(customer[1:]) % 100)


def of_role(number: int, count: int) -> list[str]:
    """The customers of this role among so many."""
    return [f"c{n:06}" for n in range(number, count + 1, 100)]


# What must come out ---------------------------------------------------------------------------------------------------


def facts(connection: Connection) -> Facts:
    """All events that move points, by customer; also of customers that have none."""
    found: Facts = {customer: [] for customer in connection.scalars(text("SELECT customer_id FROM loyalty.profile"))}
    rows = connection.execute(
        text(
            "SELECT customer_id, action, occurred_at, params FROM loyalty.event "
            "JOIN loyalty.profile USING (profile_id) WHERE points IS NOT NULL ORDER BY occurred_at, key"
        )
    )
    for customer, action, at, params in rows:
        names = (*PARAMETER.values(), "returnedPoints")
        amount = next(params[name] for name in names if name in params)
        found[customer].append(Fact(action, at, amount, params.get("promotion")))
    return found


def held(history: Iterable[Fact]) -> int:
    return sum(SIGN.get(fact.action, -1) * fact.points for fact in history)


def must_lose(history: list[Fact], as_of: datetime, returned: int = 0) -> int:
    """What a customer with this history loses: all but what was earned in the days spared."""
    spared_from = as_of - timedelta(days=SPARE_DAYS)
    spared = sum(fact.points for fact in history if fact.action == "points.loyalty" and fact.at >= spared_from)
    return max(0, held(history) + returned - spared)


def paid_for_promotions(history: list[Fact]) -> int:
    return sum(fact.points for fact in history if fact.promotion)


def fates(told: Mapping[str, list[Fact]], as_of: datetime) -> dict[str, Fate]:
    """How every member must end in a first round."""
    members = {who: history for who, history in told.items() if must_lose(history, as_of) > 0}
    return {who: fate(who, history, as_of) for who, history in members.items()}


def fate(who: str, history: list[Fact], as_of: datetime) -> Fate:
    reason = FATES.get(role(who) or "")
    return Fate("failed", reason, 0, 0) if reason else completed(history, as_of)


def completed(history: list[Fact], as_of: datetime) -> Fate:
    returned = paid_for_promotions(history)
    return Fate("completed", None, must_lose(history, as_of, returned), returned)


def balances_after(told: Mapping[str, list[Fact]], ended: Mapping[str, Fate]) -> dict[str, int]:
    """What everybody holds when the members have ended so."""
    after = {who: held(history) for who, history in told.items()}
    for who, fate in ended.items():
        after[who] += fate.returned - fate.points
        if fate.state == "completed" and role(who) == ROLES[6]:
            after[who] += BOUGHT_UNDER_A_LOCK
    return after


# What came out --------------------------------------------------------------------------------------------------------


def ended(connection: Connection, run_id: int) -> dict[str, Fate]:
    """How every member of the run ended, as its record says."""
    rows = connection.execute(
        text(
            "SELECT customer_id, state, reason, points, returned FROM loyalty.journey_member "
            "JOIN loyalty.profile USING (profile_id) WHERE run_id = :run"
        ),
        {"run": run_id},
    )
    return {row.customer_id: Fate(row.state, row.reason, row.points, row.returned) for row in rows}


def moved(connection: Connection, action: str) -> dict[str, list[int]]:
    """The points of each event of the action, by customer."""
    rows = connection.execute(
        text(
            "SELECT customer_id, points FROM loyalty.event JOIN loyalty.profile USING (profile_id) "
            "WHERE action = :action ORDER BY customer_id, points"
        ),
        {"action": action},
    )
    found: dict[str, list[int]] = defaultdict(list)
    for customer, points in rows:
        found[customer].append(points)
    return dict(found)


def holdings(connection: Connection) -> dict[str, int]:
    """Everybody's balance, with points or without."""
    asked = "SELECT customer_id, coalesce(balance, 0) FROM loyalty.profile LEFT JOIN loyalty.account USING (profile_id)"
    return dict(connection.execute(text(asked)).all())


class Books(NamedTuple):
    """All that a run leaves behind for its customers, row by row."""

    members: dict[str, Fate]
    cancelled: dict[str, list[int]]
    returned: dict[str, list[int]]
    balances: dict[str, int]
    live_locks: int
    run: tuple[Any, ...]


def books(database: Engine, run_id: int) -> Books:
    """What the run has left; the invariants hold."""
    with transaction(database) as connection:
        assert broken(reconcile(connection)) == []
        return Books(
            ended(connection, run_id),
            moved(connection, "points.cancel"),
            moved(connection, "client.deactivatePromotion"),
            holdings(connection),
            live_locks(connection),
            totals(connection, run_id),
        )


class Heard(NamedTuple):
    """What a message told its customer: the points gone, and the points left."""

    points: int
    balance: int


def owed(fates: dict[str, Fate], balances: dict[str, int]) -> dict[str, Heard]:
    """What every customer should hear who lost points, consents, and has an address."""
    return {
        f"{who}@example.org": Heard(fate.points, balances[who])
        for who, fate in fates.items()
        if fate.points and int(who[1:]) % 13 and int(who[1:]) % 7 == 3
    }


def heard(airflow: Any, run_id: int) -> dict[str, Heard]:
    """What the messages about a run have told; each came once, to one address."""
    with transaction(airflow.ledger) as connection:
        keys = connection.scalars(text("SELECT key FROM loyalty.email WHERE run_id = :run"), {"run": run_id}).all()
    ours = {f"<{key}@example.org>" for key in keys}
    found = [message for message in airflow.inbox.messages if message["Message-ID"] in ours]
    told = {str(message["To"]): Heard(*map(_number, FIGURES.findall(_words(message)))) for message in found}
    assert len(told) == len(found)
    return told


def _words(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def _number(figure: str) -> int:
    return int(figure.replace(",", ""))


def live_locks(connection: Connection) -> int:
    asked = "SELECT count(*) FROM loyalty.account WHERE lock_expires_at > clock_timestamp()"
    return int(connection.scalar(text(asked)))


def totals(connection: Connection, run_id: int) -> tuple[Any, ...]:
    asked = "SELECT state, member_count, failed_count, points, returned FROM loyalty.journey_run WHERE run_id = :run"
    return tuple(connection.execute(text(asked), {"run": run_id}).one())


def newest_run(connection: Connection) -> int:
    """The latest run."""
    return int(connection.scalar(text("SELECT max(run_id) FROM loyalty.journey_run")))
