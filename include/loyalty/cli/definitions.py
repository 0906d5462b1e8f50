"""Commands about the definitions: are they sound, and what does one mean?"""

from typing import Annotated

import typer

from loyalty.cli.output import Format, show
from loyalty.cli.session import as_instant, now, open_ledger
from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.load_program import load_program
from loyalty.definitions.retention import retentions
from loyalty.services.campaigns import Campaigns
from loyalty.services.explain import explain as explain_definition
from loyalty.services.explain import explain_for, plan_of
from loyalty.services.look import find_profile
from loyalty.settings import load_settings


def add_to(app: typer.Typer) -> None:
    app.command()(check)
    app.command()(explain)


def check() -> None:
    """List all faults of program.yaml, of definitions, mail templates and retention; needs no database."""
    settings = load_settings()
    program = load_program(settings.program)
    catalog = load_catalog(program, source=str(settings.program))
    Campaigns(program, catalog, settings.program.parent)
    retentions(program, catalog, source=str(settings.program))
    for warning in catalog.warnings:
        typer.echo(f"warning: {warning}", err=True)
    count = len(catalog.definitions)
    typer.echo(f"{settings.program}: sound, {count} definitions, fingerprint {catalog.fingerprint()[:12]}")


def explain(
    name: Annotated[str, typer.Argument(help="The name or the UUID of an aggregate, expression or segment.")],
    profile: Annotated[str | None, typer.Option(help="A customer's id: show the value of each part.")] = None,
    as_of: Annotated[str | None, typer.Option(help="A date (its midnight) or a time; without: now.")] = None,
) -> None:
    """What a definition means: its formula, its SQL, PostgreSQL's plan, and for one customer the value of each part."""
    with open_ledger() as ledger:
        instant = as_instant(as_of, ledger.zone) if as_of else now()
        for definition in ledger.catalog.find(name):
            typer.echo(f"{definition.kind} {definition.name} ({definition.id}): {definition.title}")
            asked = (ledger.connection, ledger.catalog, ledger.program, definition, instant)
            if profile is None:
                said = explain_definition(*asked)
                typer.echo(f"\n{said.words}\n\n{said.sql}\n\n{plan_of(*asked)}\n")
            else:
                parts = explain_for(*asked, find_profile(ledger.connection, profile)["profile_id"])
                show([vars(part) for part in parts], Format.TABLE, columns=("name", "value", "words"))
