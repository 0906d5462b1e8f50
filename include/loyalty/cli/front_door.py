"""Commands for the events API: its keys, and the API itself."""

import os
from datetime import timedelta
from typing import Annotated

import typer

from loyalty.cli.output import Format, FormatOption, show
from loyalty.cli.session import now, open_database, open_ledger
from loyalty.services.api_keys import KeyRights, create_key, list_keys, revoke_key
from loyalty.settings import load_settings
from loyalty.store.database import transaction
from loyalty.store.schema import require_current

KEY_COLUMNS = ("key_id", "title", "kind", "customer_id", "allows", "denies", "per_minute", "state", "expires_at")
keys = typer.Typer(no_args_is_help=True, help="Keys to the events API: make, list, revoke.")


def add_to(app: typer.Typer) -> None:
    app.add_typer(keys, name="keys")
    app.command()(serve)


@keys.command()
def create(
    title: Annotated[str, typer.Argument(help="What people call it, as in 'till' or 'points engine'.")],
    profile: Annotated[str | None, typer.Option(help="The one customer whom it is for; default: everybody.")] = None,
    allow: Annotated[
        list[str] | None, typer.Option(help="An action that it may write, or points.* and the like. Default: all.")
    ] = None,
    deny: Annotated[
        list[str] | None, typer.Option(help="An action that it may not write; for a profile key instead of the usual.")
    ] = None,
    per_minute: Annotated[int | None, typer.Option(help="How many events and questions a minute it may send.")] = None,
    days: Annotated[int | None, typer.Option(help="After how many days it ends.")] = None,
) -> None:
    """Make a key, and show it: the only time that it can be seen."""
    rights = KeyRights(
        customer_id=profile,
        allows=tuple(allow) if allow else None,
        denies=tuple(deny) if deny else None,
        per_minute=per_minute,
        expires_at=None if days is None else now() + timedelta(days=days),
    )
    with open_ledger() as ledger, ledger.connection.begin():
        token = create_key(ledger.connection, title, rights)
    typer.echo(token)
    typer.echo("keep it now: only its digest is stored, and it cannot be shown again", err=True)


@keys.command("list")
def show_keys(output: FormatOption = Format.TABLE) -> None:
    """List every key with what it may, and whether it is good."""
    with open_ledger() as ledger:
        show(list_keys(ledger.connection), output, columns=KEY_COLUMNS)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, as `list` shows it.")]) -> None:
    """Take a key back, at once."""
    with open_ledger() as ledger, ledger.connection.begin():
        revoke_key(ledger.connection, key_id)


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8090,
    proxies: Annotated[
        str, typer.Option("--trusted-proxies", help="Addresses whose word on the caller's address counts.")
    ] = "127.0.0.1",
) -> None:
    """Run the events API until it is told to end; /openapi.json describes it."""
    # The server and its framework take long to import, and no other command needs them.
    import uvicorn

    from loyalty.api.app import DATABASE, application

    with open_database(load_settings()) as engine:
        with transaction(engine) as connection:
            require_current(connection)
        os.environ[DATABASE] = engine.url.render_as_string(hide_password=False)
    uvicorn.run(application, factory=True, host=host, port=port, forwarded_allow_ips=proxies, server_header=False)
