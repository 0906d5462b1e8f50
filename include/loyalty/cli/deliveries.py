"""Commands for deliveries: tell subscribers what journeys wrote, look at what waits, replay what was given up."""

import os
from concurrent.futures import ThreadPoolExecutor
from signal import SIGINT, SIGTERM, signal
from threading import Event
from typing import Annotated

import httpx
import typer
from sqlalchemy import Engine

from loyalty.cli.output import Format, FormatOption, show
from loyalty.cli.session import open_ledger
from loyalty.errors import LoyaltyError
from loyalty.model.deliveries import Subscriber
from loyalty.services import deliver_events as service
from loyalty.store.database import connect

STATE = ("subscriber", "is_active", "delivered", "last_delivered_at", "waiting", "dead", "fault")
DEAD = ("subscriber", "key", "customer_id", "action", "occurred_at", "attempts", "first_tried_at", "fault")
POLL_SECONDS = 1.0
OnlyOption = Annotated[str | None, typer.Option("--subscriber", help="Only this one's.")]
deliveries = typer.Typer(no_args_is_help=True, help="Webhooks: tell subscribers what journeys wrote.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(deliveries, name="deliveries")


@deliveries.command()
def send(
    follow: Annotated[bool, typer.Option("--follow", help="Go on until told to end, as a service does.")] = False,
) -> None:
    """Tell every subscriber of program.yaml what waits for it, in order; what fails waits for its next time."""
    ended = Event()
    for number in (SIGINT, SIGTERM):
        signal(number, lambda *_: ended.set())
    with open_ledger() as ledger:
        subscribers, engine = ledger.program.subscribers, ledger.connection.engine
        if not subscribers:
            raise LoyaltyError("program.yaml names no subscribers: there is nobody to be told")
        secrets = [service.secret_of(one, os.environ) for one in subscribers]
        with ThreadPoolExecutor(len(subscribers)) as pool:
            work = _follow if follow else _send
            list(pool.map(lambda one, secret: work(engine, one, secret, ended), subscribers, secrets))
        if not follow:
            with ledger.connection.begin():
                show(service.deliveries(ledger.connection), Format.TABLE, columns=STATE)


def _follow(engine: Engine, subscriber: Subscriber, secret: bytes, ended: Event) -> None:
    """One subscriber is told for as long as nobody ends it, whatever goes away meanwhile."""
    while not ended.is_set():
        try:
            _send(engine, subscriber, secret, ended)
        except Exception as error:  # whatever it is, the next second may be better; the others go on
            typer.echo(f"{subscriber.name}: {type(error).__name__}: it is tried again", err=True)
        ended.wait(POLL_SECONDS)


def _send(engine: Engine, subscriber: Subscriber, secret: bytes, ended: Event) -> None:
    """One subscriber is told until nothing is due."""
    with connect(engine) as connection, httpx.Client() as client:
        while not ended.is_set():
            told = service.deliver_events(connection, subscriber, secret, client)
            if told == service.Told():
                return
            typer.echo(f"{subscriber.name}: {told.fault or f'{told.count:,} events'}", err=True)


@deliveries.command("list")
def show_deliveries(
    dead: Annotated[bool, typer.Option("--dead", help="The dead letters, one by one.")] = False,
    subscriber: OnlyOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """What each subscriber took, what waits for it and why, and how many events were given up."""
    with open_ledger() as ledger, ledger.connection.begin():
        if dead:
            show(service.dead_letters(ledger.connection, subscriber), output, columns=DEAD)
        else:
            show(service.deliveries(ledger.connection), output, columns=STATE)


@deliveries.command()
def replay(subscriber: OnlyOption = None) -> None:
    """Let dead letters be told again, before what came later; whoever took one before knows it by its key."""
    with open_ledger() as ledger, ledger.connection.begin():
        typer.echo(f"{service.replay(ledger.connection, subscriber):,} events wait to be told again")
