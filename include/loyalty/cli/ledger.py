"""Commands for the database itself: its schema, and the program that it keeps to."""

from typing import Annotated

import typer

from loyalty.cli.session import open_database
from loyalty.definitions.load_program import load_program
from loyalty.services.apply_program import apply_program
from loyalty.services.grant_roles import create_roles, grant_roles
from loyalty.settings import load_settings
from loyalty.store.database import transaction
from loyalty.store.schema import current_version, require_current
from loyalty.store.schema import upgrade as upgrade_schema

db = typer.Typer(no_args_is_help=True, help="The schema of the ledger's database.")
program = typer.Typer(no_args_is_help=True, help="The program that the database keeps to.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(db, name="db")
    app.add_typer(program, name="program")


@db.command()
def upgrade() -> None:
    """Bring the schema to the newest version, and roles to their rights; a second time changes nothing."""
    with open_database(load_settings()) as engine, transaction(engine) as connection:
        upgrade_schema(connection)
        grant_roles(connection)
        typer.echo(f"schema {current_version(connection)}")


@db.command()
def roles() -> None:
    """Make the roles loyalty_journeys, loyalty_ingest and loyalty_reader, and give each what its work needs."""
    with open_database(load_settings()) as engine, transaction(engine) as connection:
        require_current(connection)
        create_roles(connection)
        grant_roles(connection)
    typer.echo(
        "loyalty_journeys, loyalty_ingest and loyalty_reader have their rights; give them passwords to log in with"
    )


@db.command()
def version() -> None:
    """Say which version the schema has, and fail where it is not this code's."""
    with open_database(load_settings()) as engine, transaction(engine) as connection:
        typer.echo(f"schema {current_version(connection) or '(none)'}")
        require_current(connection)


@program.command("apply")
def apply(
    resettle: Annotated[
        bool, typer.Option("--resettle", help="Take a new zone or validity, and let the next run correct the past.")
    ] = False,
) -> None:
    """Make the database keep to program.yaml; every command does so too, unless midnights would change."""
    settings = load_settings()
    with open_database(settings) as engine, transaction(engine) as connection:
        require_current(connection)
        apply_program(connection, load_program(settings.program), resettle=resettle)
    typer.echo(f"the database keeps to {settings.program}")
