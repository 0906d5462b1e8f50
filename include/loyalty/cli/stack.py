"""Commands for the one-machine stack: PostgreSQL and Airflow of this installation's own."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from loyalty.cli.session import DATABASE
from loyalty.settings import load_settings

if TYPE_CHECKING:
    from loyalty.local.stack import Stack


def add_to(app: typer.Typer) -> None:
    for command in (demo, up, down):
        app.command()(command)
    app.command(hidden=True)(clean)


def demo() -> None:
    """Real purchases earn points, which expire day by day; a backfill by real Airflow makes up the last two weeks."""
    from loyalty.local.demo import run_demo

    run_demo(load_settings(), Console(highlight=False))


def up() -> None:
    """Start PostgreSQL and Airflow on this machine, and say where the UI is."""
    stack = _stack()
    stack.start()
    typer.echo(f"Airflow is at {stack.airflow.url}")
    for user, password in stack.airflow.passwords().items():
        typer.echo(f"  user {user}, password {password}")
    typer.echo("`make down` stops it")


def down() -> None:
    """Stop Airflow and PostgreSQL; nothing of what they hold is lost."""
    _stack().stop()


def clean() -> None:
    """Stop Airflow and PostgreSQL, and delete all that they hold."""
    _stack().remove()


def _stack() -> "Stack":
    # Only these commands need what talks to Airflow.
    from loyalty.local.stack import Stack

    return Stack(load_settings(), DATABASE)
