"""The program as a whole: points outstanding, how they came and went, what expires when, and how the nights go."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from loyalty.dashboard import plots
from loyalty.dashboard.asking import RECORDED, Ask
from loyalty.services.insights import program as insights
from loyalty.store.queries import Row

router = APIRouter()
AHEAD = 90
MOVED = ("earned", "redeemed", "expired", "cancelled")


@router.get("/program", response_class=HTMLResponse)
def show_program(ask: Ask) -> HTMLResponse:
    """How the program stands now."""
    months = insights.months(ask.connection)
    since = ask.program.last_day
    ahead = insights.calendar(ask.connection, after=since, days=AHEAD)
    return ask.page(
        "program.html.j2",
        at="program",
        points=insights.outstanding(ask.connection),
        locks=insights.under_way(ask.connection),
        months=months,
        flows=_flows(months),
        ahead=ahead,
        since=since,
        days=AHEAD,
        calendar=_calendar(ahead),
        newest={journey: insights.last_runs(ask.connection, size=3, journey=journey) for journey in RECORDED},
        next_runs=ask.surroundings.next_runs(RECORDED),
        closed=insights.last_close(ask.connection),
        yesterday=ask.program.today - timedelta(days=1),
    )


def _flows(months: Sequence[Row]) -> Markup:
    """What came above the line, what went below it."""
    signs = {"earned": 1, "redeemed": -1, "expired": -1, "cancelled": -1}
    series: dict[str, list[Any]] = {name: [signs[name] * one[name] for one in months] for name in MOVED}
    return plots.bars([one["month"].isoformat() for one in months], series)


def _calendar(ahead: Sequence[Row]) -> Markup:
    """What expires on which day, one colour a kind."""
    days = sorted({one["due_on"] for one in ahead})
    kinds = sorted({one["action"] for one in ahead})
    points = {(one["due_on"], one["action"]): one["points"] for one in ahead}
    return plots.bars([day.isoformat() for day in days], {k: [points.get((d, k), 0) for d in days] for k in kinds})
