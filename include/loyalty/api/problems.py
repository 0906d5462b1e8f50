"""Errors as problem details (RFC 9457): what a caller did wrong, or what has to be waited for."""

import math
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from loyalty.services.refusals import RefusedError

MEDIA_TYPE = "application/problem+json"
STATUS = {
    "unauthorized": 401,
    "too_few_points": 409,
    "forbidden": 403,
    "unknown": 404,
    "conflict": 409,
    "locked": 423,
    "too_many": 429,
    "too_large": 413,
    "invalid": 422,
}
MEANING = {
    400: "The body cannot be read",
    401: "No key, or one that is not good",
    403: "The key may not do this",
    404: "There is no such thing",
    405: "The method is not for this address",
    409: "It contradicts what is known",
    413: "The body is too large",
    415: "The body is of another kind",
    422: "The request says something that cannot be",
    423: "The balance is locked; Retry-After says for how many seconds",
    429: "The key has used up its minute; Retry-After says how many seconds are left of it",
    503: "The ledger cannot be reached now; Retry-After says when to ask again",
}


class Problem(BaseModel):
    """A problem as RFC 9457 has it; ``code`` is for programs, ``detail`` for people."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "urn:loyalty:problem:locked",
                "title": "Locked",
                "status": 423,
                "code": "locked",
                "detail": "the balance of customer 17 is locked until 2026-07-01T04:00:00Z",
            }
        },
    )

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    code: str
    detail: str


class ProblemError(Exception):
    """An answer that is a problem; ``until`` becomes Retry-After, ``more`` further members."""

    def __init__(self, status: int, code: str, detail: str, until: datetime | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.until, self.more = status, code, detail, until, more


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These answers for the OpenAPI document, and those that any call may get."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": MEANING[status], "content": content} for status in sorted({*statuses, 503})}


async def on_problem(_request: Request, error: Exception) -> JSONResponse:
    """The answer to a ProblemError."""
    assert isinstance(error, ProblemError)
    return answer(error.status, error.code, error.detail, error.until, error.more)


async def on_refusal(_request: Request, error: Exception) -> JSONResponse:
    """The answer to what the database refused."""
    assert isinstance(error, RefusedError)
    return answer(STATUS[error.reason], error.reason, str(error), error.until)


async def on_http(_request: Request, error: Exception) -> JSONResponse:
    """The answer to what the framework refused: an unknown address, a method that is not for it."""
    assert isinstance(error, HTTPException)
    given = answer(error.status_code, HTTPStatus(error.status_code).name.lower(), str(error.detail))
    given.headers.update(error.headers or {})
    return given


async def on_invalid(_request: Request, error: Exception) -> JSONResponse:
    """The answer to an address or a body of which a part is not what it must be."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return answer(422, "invalid", "; ".join(faults))


async def on_clash(_request: Request, _error: Exception) -> JSONResponse:
    """The answer where the ledger's own rules forbid it."""
    return answer(409, "conflict", "it contradicts what the ledger holds")


async def on_no_ledger(_request: Request, _error: Exception) -> JSONResponse:
    """The answer while the database is away, or busy beyond measure."""
    given = answer(503, "unavailable", "the ledger cannot be reached now; nothing was stored by this request")
    given.headers["Retry-After"] = "1"
    return given


def answer(
    status: int, code: str, detail: str, until: datetime | None = None, more: dict[str, Any] | None = None
) -> JSONResponse:
    """A problem as a response."""
    body = {
        "type": f"urn:loyalty:problem:{code.replace('_', '-')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **(more or {}),
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if until is not None:
        headers["Retry-After"] = str(max(1, math.ceil((until - datetime.now(UTC)).total_seconds())))
    return JSONResponse(body, status, headers, MEDIA_TYPE)
