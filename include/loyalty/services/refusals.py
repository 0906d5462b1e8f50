"""What the database refuses to somebody outside, by its SQLSTATE, as an error with a reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.exc import DBAPIError

from loyalty.errors import LoyaltyError

REFUSALS = {
    "LY401": "unauthorized",
    "LY402": "too_few_points",
    "LY403": "forbidden",
    "LY404": "unknown",
    "LY409": "conflict",
    "LY413": "too_large",
    "LY423": "locked",
    "LY429": "too_many",
}


class RefusedError(LoyaltyError):
    """It cannot be done; ``reason`` is one of REFUSALS, and ``until`` when a lock, or a used-up minute, ends."""

    def __init__(self, message: str, reason: str, until: datetime | None) -> None:
        super().__init__(message)
        self.reason, self.until = reason, until


@contextmanager
def refusals() -> Iterator[None]:
    """A refusal of the database is a RefusedError; whatever else goes wrong stays what it is."""
    try:
        yield
    except DBAPIError as error:
        raise _refusal(error) or error from None


def _refusal(error: DBAPIError) -> RefusedError | None:
    reason = REFUSALS.get(getattr(error.orig, "sqlstate", None) or "")
    if reason is None:
        return None
    said = error.orig.diag  # type: ignore[union-attr]
    until = datetime.fromisoformat(said.message_detail) if said.message_detail else None
    return RefusedError(said.message_primary, reason, until)
