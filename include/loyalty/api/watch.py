"""What an operator's tools ask of the API: whether it lives, whether it can work, and how it fares."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from loyalty.api.problems import declared
from loyalty.store.database import transaction
from loyalty.store.schema import require_current

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """All is well."""

    status: str = "ok"


@router.get("/health/live")
def live() -> Health:
    """The process answers."""
    return Health()


@router.get("/health/ready", responses=declared())
def ready(request: Request) -> Health:
    """The ledger answers, and has the schema of this code."""
    with transaction(request.app.state.ledger) as connection:
        require_current(connection)
    return Health()


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    """Counters and durations for Prometheus."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
