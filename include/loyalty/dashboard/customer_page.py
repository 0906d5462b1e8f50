"""Customers: found by id or address, and everything about one."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from loyalty.dashboard.asking import Ask
from loyalty.services.insights.customers import find_customers, look_at_customer
from loyalty.services.insights.definitions import applied_program

router = APIRouter()
SHOWN = 100


@router.get("/customers", response_class=HTMLResponse)
def search(ask: Ask, words: Annotated[str, Query(max_length=1000)] = "") -> Response:
    """Who has this id or this address; where it is one customer, the way leads there."""
    wanted = words.strip()
    attribute = applied_program(ask.connection).mail.address_attribute
    found = find_customers(ask.connection, wanted, address_attribute=attribute) if wanted else []
    if len(found) == 1:
        return RedirectResponse("customer?" + urlencode({"id": found[0]["customer_id"]}), 303)
    return ask.page("customers.html.j2", at="customers", words=wanted, found=found)


@router.get("/customer", response_class=HTMLResponse)
def show_customer(
    ask: Ask,
    customer_id: Annotated[str, Query(alias="id", min_length=1, max_length=1000)],
    after: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> HTMLResponse:
    """One customer, with a page of the events, the newest first."""
    view = look_at_customer(ask.connection, customer_id, after=after, size=SHOWN + 1)
    if view is None:
        return ask.page("customers.html.j2", at="customers", words=customer_id, found=[])
    return ask.page(
        "customer.html.j2",
        at="customers",
        view=view,
        events=view.events[:SHOWN],
        older=after + SHOWN if len(view.events) > SHOWN else None,
    )
