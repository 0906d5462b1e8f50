"""Who calls, and the ledger that the call works on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Connection, Engine

from loyalty.api.problems import ProblemError
from loyalty.services.front_door import admit
from loyalty.store.database import transaction

Result = TypeVar("Result")
LONGEST_TOKEN = 200
bearer = HTTPBearer(auto_error=False, description="An API key, as `loyalty keys create` shows it once.")


@dataclass(frozen=True)
class Caller:
    """Somebody with a token, which each call to the database shows anew."""

    ledger: Engine
    token: str
    request: Request

    def admitted(self, units: int) -> str:
        """The id of the key, whose minute has so many units less; committed, whatever follows."""
        with transaction(self.ledger) as connection:
            key_id = admit(connection, self.token, units)
        self.request.state.key = key_id
        return key_id

    def ask(self, question: Callable[..., Result], *arguments: object) -> Result:
        """What the ledger answers, in a transaction that is committed; the question counts as one unit."""
        self.admitted(1)
        with transaction(self.ledger) as connection:
            return question(connection, self.token, *arguments)

    def within(self, work: Callable[[Connection], Result]) -> Result:
        """What the work in one transaction gave, committed."""
        with transaction(self.ledger) as connection:
            return work(connection)


def caller(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Caller:
    """The caller, by the token of the request; whether it is a key, the database says."""
    token = credentials.credentials if credentials else ""
    if not token.isascii() or not token.isprintable() or not 0 < len(token) <= LONGEST_TOKEN:
        raise ProblemError(401, "unauthorized", "a key is needed, as in: Authorization: Bearer lk_…")
    return Caller(request.app.state.ledger, token, request)


def customer(
    customer_id: Annotated[str, Path(min_length=1, max_length=1000, examples=["17"])],
) -> str:
    """The customer's id of the address; one that no customer can have is an unknown one."""
    if "\0" in customer_id:
        raise ProblemError(404, "unknown", "no customer has such an id")
    return customer_id


CallerDependency = Annotated[Caller, Depends(caller)]
CustomerDependency = Annotated[str, Depends(customer)]
