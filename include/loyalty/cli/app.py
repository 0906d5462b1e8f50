"""The command line as a whole: its commands, and how a fault is told."""

from importlib.metadata import version
from typing import Annotated, Any

import typer
from sqlalchemy.exc import DBAPIError
from typer.core import TyperGroup

from loyalty.cli import (
    bench,
    books,
    cancellation,
    closing,
    definitions,
    deliveries,
    finance,
    front_door,
    intake,
    journeys,
    ledger,
    mail,
    retention,
    stack,
)
from loyalty.errors import Faults, LoyaltyError


class Commands(TyperGroup):
    """Commands whose faults of input or surroundings are plain messages on standard error, with exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LoyaltyError as error:
            faults = error.faults if isinstance(error, Faults) else (str(error),)
        except DBAPIError as error:
            faults = (f"the database refused or went away: {str(error.orig).strip()}",)
        except OSError as error:
            faults = (f"{error.filename}: {error.strerror}" if error.filename else str(error),)
        for fault in faults:
            typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(1)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"loyalty {version('loyalty-expiry')}")
        raise typer.Exit


@app.callback()
def loyalty(
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Loyalty points: what earns them, what they are, and how they are taken away correctly."""


parts = (
    intake,
    front_door,
    journeys,
    cancellation,
    mail,
    deliveries,
    finance,
    books,
    closing,
    definitions,
    retention,
    ledger,
    stack,
    bench,
)
for part in parts:
    part.add_to(app)
