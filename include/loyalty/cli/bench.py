"""The command that measures; what it does is part of the project's source, and not of the installed package."""

import os
import sys

import typer

from loyalty.errors import LoyaltyError
from loyalty.settings import PROJECT

BENCHMARKS = PROJECT / "benchmarks"
WORDS = {"allow_extra_args": True, "ignore_unknown_options": True}


def add_to(app: typer.Typer) -> None:
    app.command(context_settings=WORDS, add_help_option=False)(bench)


def bench(context: typer.Context) -> None:
    """Measure journeys on made customers, on a server of its own; `loyalty bench --help` lists the options."""
    if not (BENCHMARKS / "__main__.py").is_file():
        raise LoyaltyError(
            "the benchmarks come with the source of the project: run `loyalty bench` in a checkout of it"
        )
    # In its place, so that a signal reaches it.
    os.execv(sys.executable, [sys.executable, str(BENCHMARKS), *context.args])  # noqa: S606
