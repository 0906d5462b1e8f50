"""Journeys: the newest runs, one run while it goes on and after, and who failed in it."""

import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from itertools import accumulate
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, StreamingResponse
from markupsafe import Markup

from loyalty.dashboard import plots
from loyalty.dashboard.asking import RECORDED, TAKING, Ask, AskAnybody, Asking
from loyalty.model.catalog import Catalog
from loyalty.services.explain import words_of
from loyalty.services.insights.program import last_runs
from loyalty.services.insights.runs import RunView, failed_page, find_run, look_at_run
from loyalty.services.list_failures import MEMBER, failed_members

router = APIRouter()
SHOWN = 50
TICK = timedelta(seconds=5)


@router.get("/runs", response_class=HTMLResponse)
def show_runs(ask: Ask) -> HTMLResponse:
    """The newest runs of all journeys."""
    return ask.page("runs.html.j2", at="runs", runs=last_runs(ask.connection, size=100))


@router.get("/run", response_class=HTMLResponse)
def show_run(
    ask: AskAnybody,
    run: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    dag_id: str = "",
    run_id: str = "",
    reason: str = "",
    customer: str = "",
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
) -> HTMLResponse:
    """A run by our number (``run``) or the host's names (``dag_id``, ``run_id``), and some of its failed members."""
    number = run if run is not None else find_run(ask.connection, dag_id, run_id)
    view = None if number is None else look_at_run(ask.connection, number)
    if view is None:
        ask.see(*([dag_id] if dag_id in RECORDED else TAKING))
        return ask.page("no_run.html.j2", at="runs", is_known=dag_id in RECORDED, run_key=run_id)
    ask.see(view.record["journey"])
    failed = failed_page(
        ask.connection, view.record["run_id"], size=SHOWN + 1, after=after, reason=reason, customer=customer.strip()
    )
    return ask.page(
        "run.html.j2",
        at="runs",
        view=view,
        failed=failed[:SHOWN],
        more=failed[SHOWN - 1]["profile_id"] if len(failed) > SHOWN else None,
        sought={"reason": reason, "customer": customer},
        definitions=_definitions(view),
        task=_task_link(ask, view),
        plot=_plot(ask, view),
    )


@router.get("/run/failed.csv")
def export_failed(ask: AskAnybody, run: Annotated[int, Query(ge=1, le=2**62)], reason: str = "") -> StreamingResponse:
    """The failed members of a run, of one reason where one is given, as a file."""
    view = look_at_run(ask.connection, run)
    if view is None:
        raise HTTPException(404, f"there is no run {run}")
    ask.see(view.record["journey"])
    found = failed_members(ask.connection, run, reason or None)
    name = f"failed-of-run-{run}.csv"
    return StreamingResponse(
        _csv(found), media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def _csv(found: Any) -> Iterator[str]:
    for one in [dict(zip(MEMBER, MEMBER, strict=True)), *found]:
        line = io.StringIO()
        csv.writer(line).writerow([_harmless(one[name]) for name in MEMBER])
        yield line.getvalue()


def _harmless(value: Any) -> Any:
    """The value, as no spreadsheet takes it for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _definitions(view: RunView) -> list[tuple[str, str, str]]:
    """Name, kind and words of each definition that the run was frozen with."""
    catalog = Catalog.from_json(view.record["definitions"])
    return [(one.name, type(one).__name__, words_of(one)) for one in catalog.definitions]


def _task_link(ask: Asking, view: RunView) -> Any:
    """Where the host shows a task of this run; None for a run that it did not start."""
    record = view.record
    if "__" not in record["run_key"]:  # the host's keys say how a run was started: manual__2026-…
        return None
    return lambda task, place=None: ask.surroundings.task_path(record["journey"], record["run_key"], task, place)


def _plot(ask: Asking, view: RunView) -> Markup:
    """Members that have ended, as the run went on; progress is kept by five seconds."""
    moments = sorted({one["moment"] for one in view.pace})
    ended = accumulate(sum(one["ended"] for one in view.pace if one["moment"] == moment) for moment in moments)
    points = [
        (view.record["started_at"], 0),
        *((moment + TICK, count) for moment, count in zip(moments, ended, strict=True)),
    ]
    local = [moment.astimezone(ask.program.zone).replace(tzinfo=None).isoformat() for moment, _ in points]
    return plots.lines(local, {"members ended": [count for _, count in points]})
