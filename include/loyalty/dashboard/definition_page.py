"""Definitions: what they say in words and in SQL, what they come to, and for one customer part by part."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, PlainTextResponse
from sqlalchemy import Connection

from loyalty.dashboard import plots
from loyalty.dashboard.asking import Ask
from loyalty.definitions.load_catalog import load_catalog
from loyalty.errors import LoyaltyError
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.model.references import AnyDefinition
from loyalty.model.segments import Segment
from loyalty.services.explain import Part, explain, explain_for, plan_of, words_of
from loyalty.services.insights.customers import look_at_customer
from loyalty.services.insights.definitions import applied_program, sample

router = APIRouter()
Name = Annotated[str, Query(min_length=1, max_length=200)]


@router.get("/definitions", response_class=HTMLResponse)
def show_definitions(ask: Ask) -> HTMLResponse:
    """All definitions of the program that the ledger works by, in words."""
    catalog = load_catalog(applied_program(ask.connection))
    kinds: list[tuple[str, tuple[AnyDefinition, ...]]] = [
        ("Segments", catalog.segments),
        ("Expressions", catalog.expressions),
        ("Aggregates", catalog.aggregates),
    ]
    return ask.page("definitions.html.j2", at="definitions", kinds=kinds, words_of=words_of)


@router.get("/definition", response_class=HTMLResponse)
def show_definition(ask: Ask, name: Name, customer: Annotated[str, Query(max_length=1000)] = "") -> HTMLResponse:
    """One definition; for a customer with the value of each part that it rests on."""
    told = _told(ask, name)
    parts: list[Part] | None = None
    if customer.strip():
        view = look_at_customer(ask.connection, customer.strip(), size=0)
        parts = [] if view is None else list(explain_for(*told, view.account["profile_id"]))
    return ask.page(
        "definition.html.j2",
        at="definitions",
        one=told.definition,
        kind=type(told.definition).__name__,
        told=explain(*told),
        customer=customer.strip(),
        parts=parts,
        as_of=told.as_of,
    )


@router.get("/definition/size", response_class=HTMLResponse)
def show_size(ask: Ask, name: Name) -> HTMLResponse:
    """What the definition comes to, as a part of its page that may take a second."""
    told = _told(ask, name)
    drawn = sample(*told)
    is_segment = isinstance(told.definition, Segment)
    return ask.page("size.html.j2", at="definitions", drawn=drawn, is_segment=is_segment, plot=_histogram(drawn.values))


@router.get("/definition/plan", response_class=PlainTextResponse)
def show_plan(ask: Ask, name: Name) -> str:
    """PostgreSQL's plan for the whole program."""
    return plan_of(*_told(ask, name))


class Told(NamedTuple):
    """A definition of the program that the ledger works by, as of now: what services take."""

    connection: Connection
    catalog: Catalog
    program: Program
    definition: AnyDefinition
    as_of: datetime


def _told(ask: Ask, name: str) -> Told:
    program = applied_program(ask.connection)
    catalog = load_catalog(program)
    try:
        one = catalog.find(_name_or_id(name))[0]
    except LoyaltyError as error:
        raise HTTPException(404, str(error)) from None
    return Told(ask.connection, catalog, program, one, ask.program.now)


def _name_or_id(words: str) -> str | UUID:
    """A value and a segment may share a name; an id is one definition's."""
    try:
        return UUID(words)
    except ValueError:
        return words


def _histogram(values: Any) -> Any:
    """The numbers that are not zero, which would hide all others."""
    numbers = [float(value) for value in values if isinstance(value, int | float | Decimal) and value]
    return plots.histogram(numbers) if numbers else None
