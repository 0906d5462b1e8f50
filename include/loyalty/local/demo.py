"""The demonstration: rolling expiry of real purchases, then a batch cancellation of what is left, and the books."""

import shutil
import time
from pathlib import Path

from rich.console import Console
from sqlalchemy import text

from loyalty.definitions.load_program import load_program
from loyalty.errors import LoyaltyError
from loyalty.local.demo_books import begin_books, show_books
from loyalty.local.demo_cancellation import show_batch_cancellation
from loyalty.local.demo_mail import show_mail
from loyalty.local.demo_rolling import show_rolling_expiry
from loyalty.local.mail_sink import mail_sink
from loyalty.local.stage import Stage
from loyalty.settings import Settings
from loyalty.store.database import transaction

PROGRAM = Path(__file__).with_name("demo_program.yaml")
OTHER_PROGRAM = text(
    "SELECT settings ->> 'name' FROM loyalty.program WHERE settings ->> 'name' IS DISTINCT FROM :name "
    "AND EXISTS (SELECT FROM loyalty.profile)"
)


def run_demo(settings: Settings, console: Console) -> None:
    """The demonstration has run, its numbers agree with the simulation, and nothing that it started is left running."""
    started = time.monotonic()
    with mail_sink(settings.home / "maildir") as mail:
        _play(Stage(settings, console, mail))
    console.print(
        f"\nDone in {time.monotonic() - started:.0f} s. [bold]make up[/] opens the Airflow UI on what you saw;"
    )
    console.print("[bold].venv/bin/loyalty --help[/] lists what else there is, [bold]make clean[/] removes it all.")


def _play(stage: Stage) -> None:
    try:
        stage.tell("A ledger in PostgreSQL, keeping to the program of the demonstration")
        _place_program(stage.settings)
        stage.loyalty("db", "upgrade")
        _check_ledger(stage)
        stories = show_rolling_expiry(stage)
        closing = begin_books(stage)
        show_batch_cancellation(stage, stories)
        stage.meanwhile(stage.stack.airflow.stop)  # what comes next is read from the ledger
        show_books(stage, stories, closing)
        stage.tell("Every invariant of the ledger")
        stage.loyalty("reconcile")
        show_mail(stage)
    finally:
        stage.end()


def _place_program(settings: Settings) -> None:
    """The installation keeps to the demonstration's program; one that is somebody's own is left alone."""
    own = settings.home / "program.yaml"
    if own.exists() and own.read_bytes() != PROGRAM.read_bytes():
        raise LoyaltyError(f"{own} is a program of your own: for the demonstration set LOYALTY_HOME to another folder")
    own.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROGRAM, own)


def _check_ledger(stage: Stage) -> None:
    """The ledger is empty, or has been used by the demonstration only."""
    with transaction(stage.ledger()) as connection:
        other = connection.scalar(OTHER_PROGRAM, {"name": load_program(PROGRAM).name})
    if other:
        raise LoyaltyError(f"the ledger holds the customers of {other!r}: the demonstration would write among them")
