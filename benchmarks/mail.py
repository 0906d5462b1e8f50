"""Mail: rendered and handed over to a local sink, against a floor that does not render."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from mail_floor import floor_of_mail
from mail_sink import running_sink
from measure import MEASURED, Bench, figures_of, postmaster_of
from meter import metered
from own_server import copied
from record import vacuum
from sqlalchemy import Engine, text

from loyalty.definitions.balance import balance_catalog
from loyalty.definitions.load_program import load_program
from loyalty.errors import LoyaltyError
from loyalty.local.ledger import embedded_ledger
from loyalty.model.mail import Mail
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.services.campaigns import Campaigns
from loyalty.services.mail_order import order_of
from loyalty.services.rolling_expiry import run_rolling_expiry
from loyalty.services.send_mail import send_mail
from loyalty.services.write_mail import draft_mail, write_letter
from loyalty.settings import PACKAGE
from loyalty.store.database import open_engine, transaction

DAY = date(2026, 7, 3)
MAIL = Mail.model_validate(
    {
        "sender": "Our program <points@example.org>",
        "consent": "mail_consent",
        "unsubscribe_url": "https://shop.example.org/unsubscribe?c={customer_id}&m={key}",
        "shop_url": "https://shop.example.org/offers",
        "utm": {},
        "campaigns": [{"name": "points_expired", "about": "points_expired"}],
    }
)
CUSTOMERS = (
    "INSERT INTO loyalty.profile (customer_id, attributes) SELECT 'c' || n, jsonb_build_object("
    "'email', 'c' || n || '@example.org', 'mail_consent', true, 'first_name', 'Zoë ' || n, "
    "'locale', CASE n % 2 WHEN 0 THEN 'en' ELSE 'pl' END) FROM generate_series(1, CAST(:members AS integer)) AS n",
    "INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, source) "
    "SELECT profile_id, gen_random_uuid(), 'points.loyalty', '2026-01-01 12:00+00', 10 + profile_id % 500, "
    "jsonb_build_object('points', 10 + profile_id % 500), 'benchmark' FROM loyalty.profile",
)
SETS = 2_000  # letters that the floor hands over again and again


@dataclass(frozen=True)
class Letters:
    """A message for everybody who lost points in a night, which waits in the outbox."""

    name: str
    made: str

    def measure(self, bench: Bench, members: int) -> Generator[dict[str, Any]]:
        """The figures of both ways, in turns."""
        runs: dict[str, list[dict[str, Any]]] = {}
        for _ in range(bench.options.runs):
            for way, run in ((f"floor over {MAIL.connections}", _floor), ("command", _command)):
                runs.setdefault(way, []).append(run(bench, self.made, members))
            yield {"case": self.name, "checks": ["each message came once"], **figures_of(runs)}


def cases(bench: Bench, members: int) -> Iterator[Letters]:
    """All letters of a night."""
    bench.server.ensure_database("made")
    engine, program = embedded_ledger(bench.server.url("made")), _program()
    with transaction(engine) as connection:
        apply_program(connection, program)
        for statement in CUSTOMERS:
            connection.execute(text(statement), {"members": members})
    with engine.connect() as connection:
        vacuum(connection)
        run_rolling_expiry(connection, program, balance_catalog(program), run_key="bench", business_date=DAY)
        vacuum(connection)
    engine.dispose()
    yield Letters("mail", "made")


def _program() -> Program:
    program = load_program(PACKAGE / "definitions" / "program.yaml")
    return program.model_copy(update={"mail": MAIL, "timezone": "UTC"})


def _campaigns() -> Campaigns:
    program = _program()
    return Campaigns(program, balance_catalog(program), None)


def _floor(bench: Bench, made: str, members: int) -> dict[str, Any]:
    with copied(bench.server, MEASURED, made) as url, running_sink() as sink:
        letters = _some_letters(open_engine(url))
        floor_there = floor_of_mail(sink.server, letters, members, MAIL.connections)
        with floor_there as floor, metered(url, postmaster_of(bench), leave_out=[sink.pid]) as usage:
            floor.run()
    size = round(sum(map(len, letters)) / len(letters))
    return usage.as_json() | {"rows": members, "letter_bytes": size, "steps": {"hand over": round(usage.seconds, 4)}}


def _command(bench: Bench, made: str, members: int) -> dict[str, Any]:
    with copied(bench.server, MEASURED, made) as url, running_sink() as sink:
        campaigns, engine = _campaigns(), open_engine(url)
        order = order_of(url, campaigns.program, campaigns.catalog, None, sink.server)
        with metered(url, postmaster_of(bench), leave_out=[sink.pid]) as usage:
            with engine.connect() as connection:
                send_mail(connection, order)
            engine.dispose()
        taken = sink.taken()
        if taken != (members, members):
            raise LoyaltyError(f"mail: {members} messages went out, and the sink has seen {taken}")
    return usage.as_json() | {"steps": {"render and hand over": round(usage.seconds, 4)}}


def _some_letters(engine: Engine) -> list[bytes]:
    campaigns = _campaigns()
    campaign = campaigns.mail.campaigns[0]
    with transaction(engine) as connection:
        found = connection.execute(text("SELECT profile_id, key FROM loyalty.email LIMIT :n"), {"n": SETS})
        drafts = draft_mail(connection, campaigns, campaign, [tuple(row) for row in found], datetime.now(UTC))
    engine.dispose()
    return [write_letter(campaigns, campaign, draft).wire for draft in drafts]
