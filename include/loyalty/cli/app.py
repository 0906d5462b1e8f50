"""The command line as a whole: its commands, and how a fault is told."""

import sys

import typer
from sqlalchemy.exc import DBAPIError

from loyalty.cli import books, definitions, intake, journeys, ledger, stack
from loyalty.errors import Faults, LoyaltyError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Loyalty points: what earns them, what they are, and how they are taken away correctly.",
)
for part in (intake, journeys, books, definitions, ledger, stack):
    part.add_to(app)


def main() -> None:
    """The command of this process's arguments has run; a fault of input or surroundings is one plain message."""
    try:
        app()
    except LoyaltyError as error:
        lines = error.faults if isinstance(error, Faults) else (str(error),)
        for line in lines:
            print(f"error: {line}", file=sys.stderr)
        sys.exit(1)
    except DBAPIError as error:
        print(f"error: the database refused or went away: {str(error.orig).strip()}", file=sys.stderr)
        sys.exit(1)
