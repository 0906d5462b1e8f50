"""What Prometheus is told of the API."""

import logging
import time
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loyalty.services.take_events import Taken

log = logging.getLogger("loyalty.api")


class Metrics:
    """Counters of one API process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter("loyalty_events", "Items told, by outcome.", ["outcome"], registry=self.registry)
        self.refusals = Counter(
            "loyalty_refusals", "Items and requests refused, by why.", ["code"], registry=self.registry
        )
        self.seconds = Histogram(
            "loyalty_request_seconds",
            "How long requests took.",
            ["method", "route", "status"],
            registry=self.registry,
        )

    def note(self, key_id: str, taken: Sequence[Taken]) -> None:
        """The outcome of each item is counted; refused ones are logged by their codes, and with no word of theirs."""
        codes: dict[str, int] = {}
        for one in taken:
            self.events.labels(one.outcome).inc()
            if one.code:
                codes[one.code] = codes.get(one.code, 0) + 1
        for code, count in codes.items():
            self.refusals.labels(code).inc(count)
            log.warning("key %s: %d of %d items refused: %s", key_id, count, len(taken), code)


class Measured:
    """Requests are counted and timed, by the pattern of their address; problems among them by their status, too."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The request is answered, and measured."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = _route(scope)
            self.metrics.seconds.labels(scope["method"], route, status).observe(time.perf_counter() - begun)
            if status >= 400:
                self.metrics.refusals.labels(str(status)).inc()
                log.warning("%s %s: %d, key %s", scope["method"], route, status, scope.get("state", {}).get("key", "-"))


def _route(scope: Scope) -> str:
    """The pattern of the address, which names no customer."""
    for route in scope["app"].routes:
        if route.matches(scope)[0] is not Match.NONE:
            return str(route.path)
    return "unknown"
