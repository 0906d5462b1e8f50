"""The dashboard as one application, to be mounted by whoever serves it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import plotly
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.exc import OperationalError
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from loyalty.dashboard import customer_page, definition_page, program_page, run_page
from loyalty.dashboard.rendering import ENVIRONMENT
from loyalty.dashboard.surroundings import Surroundings
from loyalty.errors import LoyaltyError

HERE = Path(__file__).parent
PLOTLY = Path(plotly.__file__).parent / "package_data"
HEADERS = {
    # Everything comes from here, and nobody else may frame it.
    "content-security-policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "frame-ancestors 'self'; form-action 'self'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


def create_app(surroundings: Surroundings) -> FastAPI:
    """The pages, for whoever ``surroundings.asking`` lets in; the engine ends with the application."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if hasattr(app.state, "engine"):
            app.state.engine.dispose()

    app = FastAPI(title="Loyalty", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.surroundings = surroundings

    def remember(request: Request, user: Any = Depends(surroundings.asking)) -> None:
        request.state.asking = user

    known = [Depends(remember)]
    for page in (program_page, run_page, customer_page, definition_page):
        app.include_router(page.router, prefix="/ui", dependencies=known)
    app.add_api_route("/", lambda: RedirectResponse("ui/program"), dependencies=known)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.mount("/plotly", StaticFiles(directory=PLOTLY))
    app.add_exception_handler(LoyaltyError, _fault)
    app.add_exception_handler(OperationalError, _fault)
    app.middleware("http")(_with_headers)
    return app


async def _fault(_request: Request, error: Exception) -> Response:
    words = str(error.orig) if isinstance(error, OperationalError) else str(error)
    page = ENVIRONMENT.get_template("fault.html.j2").render(title="The ledger cannot be read", words=words)
    return HTMLResponse(page, status_code=503)


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    is_page = response.headers.get("content-type", "").startswith("text/html")
    response.headers.update(HEADERS if is_page else {"x-content-type-options": "nosniff"})
    return response
