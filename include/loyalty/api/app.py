"""The events API as one application."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from loyalty.api import events, profiles, watch
from loyalty.api.bodies import Bounded
from loyalty.api.metrics import Measured, Metrics
from loyalty.api.problems import (
    Problem,
    ProblemError,
    on_clash,
    on_http,
    on_invalid,
    on_no_ledger,
    on_problem,
    on_refusal,
)
from loyalty.errors import LoyaltyError
from loyalty.services.refusals import RefusedError
from loyalty.store.database import open_engine

DATABASE = "LOYALTY_DATABASE_URL"
CONNECTIONS = 16


def application() -> FastAPI:
    """The API on the ledger of LOYALTY_DATABASE_URL, as a server starts it."""
    pool: dict[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_pre_ping": True}
    # Parameters hold keys: no error may show them.
    return create_app(open_engine(os.environ[DATABASE], hide_parameters=True, **pool))


def create_app(ledger: Engine) -> FastAPI:
    """The API on a ledger; the engine ends with the application."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # As many requests work at once as there are connections; the others wait, and for no connection in vain.
        anyio.to_thread.current_default_thread_limiter().total_tokens = CONNECTIONS
        yield
        ledger.dispose()

    app = FastAPI(
        title="Loyalty events",
        summary="Events in, balances and promotions out.",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # these pages would fetch their scripts from somebody else's server
        redoc_url=None,
    )
    app.state.ledger, app.state.metrics = ledger, Metrics()
    app.add_middleware(Bounded, spared=events.PATH)
    app.add_middleware(Measured, metrics=app.state.metrics)
    for part in (events, profiles, watch):
        app.include_router(part.router)
    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(RefusedError, on_refusal)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(IntegrityError, on_clash)
    for away in (DBAPIError, PoolTimeout, LoyaltyError):
        app.add_exception_handler(away, on_no_ledger)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the schemas that routes name by reference."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, summary=app.summary, version=app.version, routes=app.routes)
        schemas = document["components"]["schemas"]
        schemas["Event"] = events.EVENT
        for model in (Problem, events.Result, events.Results):
            described = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(described.pop("$defs", {}))
            schemas[model.__name__] = described
        app.openapi_schema = document
    return app.openapi_schema
