"""POST /v1/events: one event, many, or a stream of them, with a result for each."""

from collections.abc import Sequence
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from loyalty.api.access import Caller, CallerDependency
from loyalty.api.bodies import MAX_ITEMS, items_of, lines_of, whole_body
from loyalty.api.metrics import Metrics
from loyalty.api.problems import STATUS, ProblemError, declared
from loyalty.services.refusals import RefusedError
from loyalty.services.take_events import Taken, UnforeseenError, take_events

JSON, NDJSON = "application/json", "application/x-ndjson"
EVENT: dict[str, Any] = {
    "type": "object",
    "title": "Event",
    "description": "A fact about a customer. Every member that is not named here is a parameter of the event.",
    "required": ["customer_id", "action", "occurred_at"],
    "properties": {
        "customer_id": {"type": "string", "minLength": 1, "maxLength": 1000},
        "action": {"type": "string", "minLength": 1},
        "occurred_at": {"type": "string", "format": "date-time", "description": "With an offset; not in the future."},
        "event_id": {"type": "string", "description": "The sender's name for it; the same again is no second event."},
        "salt": {
            "type": "string",
            "description": "Without an event_id, events of one customer, action and time are told apart by it.",
        },
        "source": {"type": "string"},
    },
    "additionalProperties": True,
    "example": {
        "customer_id": "17",
        "action": "transaction.charge",
        "occurred_at": "2026-06-30T13:45:00+02:00",
        "event_id": "till-4-000123",
        "$totalAmount": 52.5,
        "$orderID": "A-1001",
    },
}
BODY = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "oneOf": [
                    {"$ref": "#/components/schemas/Event"},
                    {"type": "array", "items": {"$ref": "#/components/schemas/Event"}, "maxItems": MAX_ITEMS},
                ]
            }
        },
        NDJSON: {"schema": {"type": "string", "description": "One event a line, any number of lines."}},
    },
}
PATH = "/v1/events"
router = APIRouter(tags=["events"])


class Result(BaseModel):
    """What became of one item: ``stored`` now, ``known`` before, or ``rejected`` for a reason.

    A conflict shows what differs: the item's value and the ledger's, by member.
    """

    item: int = Field(ge=0, description="Its place in the request, from 0.")
    outcome: Literal["stored", "known", "rejected"]
    event_id: str | None = Field(default=None, description="The sender's name for the event, or the one derived.")
    code: str | None = Field(default=None, description="invalid, forbidden, conflict or locked.")
    reason: str | None = None
    locked_until: datetime | None = None
    differs: dict[str, dict[str, Any]] | None = None


class Results(BaseModel):
    """How many items had which outcome, and each item's."""

    stored: int = Field(ge=0)
    known: int = Field(ge=0)
    rejected: int = Field(ge=0)
    results: list[Result]


@router.post(
    PATH,
    response_model=None,
    responses={
        200: {
            "description": "A result for each item; for one event alone: it was known already.",
            "content": {
                JSON: {
                    "schema": {
                        "oneOf": [
                            {"$ref": "#/components/schemas/Results"},
                            {"$ref": "#/components/schemas/Result"},
                        ]
                    }
                },
                NDJSON: {"schema": {"type": "string", "description": "One result a line, in order."}},
            },
        },
        201: {
            "description": "The one event is stored.",
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Result"}}},
        },
        **declared(400, 401, 403, 409, 413, 415, 422, 423, 429),
    },
    openapi_extra={"requestBody": BODY},
)
async def tell(request: Request, caller: CallerDependency) -> Response:
    """Tell one event, an array of up to 1,000, or, as NDJSON, a stream of any length.

    What an answer names stored or known is in the ledger for good; to send it all again changes nothing. Of an array
    and of a stream, items that are refused keep no others back.
    """
    await run_in_threadpool(caller.admitted, 0)
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if kind == NDJSON:
        return await _stream(request, caller)
    if kind != JSON:
        raise ProblemError(415, "unsupported", f"the body is {kind[:100]!r}: send {JSON} or {NDJSON}")
    body = await whole_body(request)
    items = await run_in_threadpool(items_of, body)
    taken = await run_in_threadpool(_take, request, caller, items, 0)
    if body.lstrip().startswith("["):
        return JSONResponse(_results(taken).model_dump(mode="json", exclude_none=True))
    return _alone(taken[0])


async def _stream(request: Request, caller: Caller) -> Response:
    """Each thousand lines are committed as they come; the results wait, in a file if they are many, until all is read.

    A caller that sends to the end before it reads would otherwise wait for us while we wait for it. Where something
    fails after the first lines, the others are not taken, and have no result.
    """
    results = SpooledTemporaryFile(max_size=1 << 20)  # noqa: SIM115 - the response closes it
    try:
        await _take_stream(request, caller, results)
    except BaseException:
        results.close()
        raise
    results.seek(0)
    return StreamingResponse(
        iter(lambda: results.read(1 << 16), b""), media_type=NDJSON, background=BackgroundTask(results.close)
    )


async def _take_stream(request: Request, caller: Caller, results: IO[bytes]) -> None:
    """The stream is read to its end; what became of each line that was taken is written down."""
    first, is_broken = 0, False
    async for lines in lines_of(request):
        if is_broken:
            continue
        try:
            taken = await run_in_threadpool(_take, request, caller, lines, first)
        except (RefusedError, DBAPIError):
            if first == 0:
                raise
            is_broken = True
            continue
        first += len(lines)
        for one in taken:
            results.write(_result(one).model_dump_json(exclude_none=True).encode() + b"\n")


def _take(request: Request, caller: Caller, items: Sequence[str], first: int) -> list[Taken]:
    key_id = caller.admitted(len(items))
    try:
        taken = caller.within(lambda connection: take_events(connection, caller.token, items, first))
    except UnforeseenError:
        # Each in a transaction of its own: together they would hold accounts in the caller's order.
        taken = [_take_alone(caller, item, at) for at, item in enumerate(items, first)]
    metrics: Metrics = request.app.state.metrics
    metrics.note(key_id, taken)
    return taken


def _take_alone(caller: Caller, item: str, at: int) -> Taken:
    return caller.within(lambda connection: take_events(connection, caller.token, [item], at))[0]


def _results(taken: Sequence[Taken]) -> Results:
    outcomes = [one.outcome for one in taken]
    counts = {name: outcomes.count(name) for name in ("stored", "known", "rejected")}
    return Results(**counts, results=[_result(one) for one in taken])


def _result(one: Taken) -> Result:
    detail = one.detail or {}
    return Result(
        item=one.item,
        outcome=one.outcome,
        event_id=one.event_id,
        code=one.code,
        reason=one.reason,
        locked_until=detail.get("until"),
        differs=_differences(detail["here"], detail["there"]) if "here" in detail else None,
    )


def _differences(here: dict[str, Any], there: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Member by member, parameters among them, what is told here and what is known there."""
    flat_here, flat_there = ({**body, **body["params"]} for body in (here, there))
    names = sorted({*flat_here, *flat_there} - {"params"})
    return {
        name: {"here": flat_here.get(name), "there": flat_there.get(name)}
        for name in names
        if flat_here.get(name) != flat_there.get(name)
    }


def _alone(one: Taken) -> Response:
    result = _result(one)
    if one.outcome == "rejected":
        assert one.code
        more = result.model_dump(mode="json", include={"event_id", "differs"}, exclude_none=True)
        raise ProblemError(STATUS[one.code], one.code, one.reason or "", result.locked_until, **more)
    status = 201 if one.outcome == "stored" else 200
    return JSONResponse(result.model_dump(mode="json", exclude_none=True), status)
