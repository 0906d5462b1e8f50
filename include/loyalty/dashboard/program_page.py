"""The program as a whole: points outstanding, how they came and went, what expires when, and how the nights go."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from loyalty.dashboard.asking import JOURNEYS, Ask
from loyalty.services.insights.program import last_runs, under_way

router = APIRouter()


@router.get("/program", response_class=HTMLResponse)
def show_program(ask: Ask) -> HTMLResponse:
    """How the program stands now."""
    ask.see_all()
    newest = {journey: last_runs(ask.connection, size=5, journey=journey) for journey in (*JOURNEYS, "expiry_reminder")}
    return ask.page(
        "program.html.j2",
        at="program",
        locks=under_way(ask.connection),
        newest=newest,
        next_runs=ask.surroundings.next_runs(),
    )
