"""What every page starts from: who asks, a connection that reads, and how the reader sees numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from loyalty.dashboard.rendering import Reader, render
from loyalty.dashboard.surroundings import Surroundings
from loyalty.services.insights.program import ProgramView, look_at_program
from loyalty.store.database import connect

# The journeys that take points, and all that keep a record of each run.
TAKING = ("rolling_expiry", "batch_cancellation")
RECORDED = (*TAKING, "undo_journey", "expiry_reminder")


@dataclass(frozen=True)
class Asking:
    """A request with its connection, in one transaction that sees one moment; and the program it is about."""

    request: Request
    connection: Connection
    program: ProgramView
    reader: Reader
    surroundings: Surroundings

    def page(self, template: str, *, at: str, **context: Any) -> HTMLResponse:
        """The template as a page; ``at`` is its place in the navigation."""
        shared = {"program": self.program, "at": at, "root": self.request.scope.get("root_path", "")}
        return HTMLResponse(render(template, self.reader, shared | context))

    def see(self, *journeys: str) -> None:
        """Whoever asks may see the runs of these journeys; else the request ends here."""
        user = self.request.state.asking
        if not all(self.surroundings.may_see(user, journey) for journey in journeys):
            raise HTTPException(403, "you may not see the runs of " + " and ".join(journeys))


def _asking(request: Request) -> Iterator[Asking]:
    surroundings: Surroundings = request.app.state.surroundings
    if not hasattr(request.app.state, "engine"):
        request.app.state.engine = surroundings.ledger()
    with connect(request.app.state.engine) as connection, connection.begin():
        program = look_at_program(connection)
        reader = Reader(request.headers.get("accept-language", ""), program.zone)
        yield Asking(request, connection, program, reader, surroundings)


AskAnybody = Annotated[Asking, Depends(_asking)]
"""For a page that says itself, by ``see``, whose runs must be allowed to whoever asks."""


def _allowed(asking: AskAnybody) -> Asking:
    asking.see(*TAKING)
    return asking


Ask = Annotated[Asking, Depends(_allowed)]
"""For all other pages: whoever asks may see the runs of the journeys that take points."""
