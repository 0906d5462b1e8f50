"""What every command starts from: the program, its definitions, and a connection to its ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection, Engine

from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.load_program import load_program
from loyalty.errors import LoyaltyError
from loyalty.local.ledger import embedded_ledger
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.services.apply_program import apply_program
from loyalty.settings import Settings, load_settings
from loyalty.store.database import connect, open_engine, transaction
from loyalty.store.schema import require_current

DATABASE = "loyalty"


@dataclass(frozen=True)
class Ledger:
    """The program of this installation and a connection to its ledger, with no transaction going on."""

    connection: Connection
    program: Program
    catalog: Catalog

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose midnights count."""
        return ZoneInfo(self.program.timezone)


@contextmanager
def open_ledger() -> Iterator[Ledger]:
    """The ledger that the settings name, its schema current and its rules those of the program."""
    settings = load_settings()
    program = load_program(settings.program)
    catalog = load_catalog(program, source=str(settings.program))
    with open_database(settings) as engine:
        with transaction(engine) as connection:
            require_current(connection)
            apply_program(connection, program)
        with connect(engine) as connection:
            yield Ledger(connection, program, catalog)


@contextmanager
def open_database(settings: Settings) -> Iterator[Engine]:
    """An engine on the database of LOYALTY_DATABASE_URL, else on the embedded one, which then runs and has a schema."""
    engine = open_engine(settings.database_url) if settings.database_url else _embedded(settings)
    try:
        yield engine
    finally:
        engine.dispose()


def _embedded(settings: Settings) -> Engine:
    server = EmbeddedPostgres(settings.home)
    if not server.running():
        typer.echo("starting the embedded PostgreSQL (`make down` stops it)", err=True)
        server.start()
    server.ensure_database(DATABASE)
    return embedded_ledger(server.url(DATABASE))


def as_instant(text: str, zone: ZoneInfo) -> datetime:
    """The instant that an ISO date (its midnight) or time (of the zone, where it names none) means."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise LoyaltyError(f"{text!r} is no date or time; it looks like 2026-07-01 or 2026-07-01T12:00+02:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def as_day(text: str) -> date:
    """The day that an ISO date names."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LoyaltyError(f"{text!r} is no date; it looks like 2026-07-01") from None


def today(zone: ZoneInfo) -> date:
    """The local day that it is now."""
    return datetime.now(zone).date()


def now() -> datetime:
    """This instant; the one place of the command line that reads the clock, beside ``today``."""
    return datetime.now(UTC)
