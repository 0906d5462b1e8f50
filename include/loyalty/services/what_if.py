"""The same books under other validities: what would have expired, by the very rule, and nothing stays."""

from collections import Counter
from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError, nearest
from loyalty.model.program import Program
from loyalty.services.close_days import slices
from loyalty.store.queries import Row, query

MONTH = ("month", "expired", "closing", "expired_then", "closing_then", "difference")


def what_if(connection: Connection, program: Program, validities: Mapping[str, int | None]) -> list[Row]:
    """Month by month, what expired and what was held at its end: as recorded, and had these validities always ruled.

    Everything else is as it was: redemptions, cancellations, and what refunds took. The validities are changed in a
    transaction that is rolled back; customers do not wait for it, and a changed program is applied after it.
    """
    for action in validities.keys() - program.earning_actions.keys():
        raise LoyaltyError(f"{action!r} is none of earning_actions; {nearest(action, program.earning_actions)}")
    with connection.begin() as asking:
        connection.execute(query("books/one_moment"))
        flows = connection.execute(query("books/what_if_flows")).all()
        for action, days in sorted(validities.items()):
            connection.execute(query("books/what_if_validity"), {"action": action, "days": days})
        then = _expiries(connection)
        asking.rollback()
    return _rows({month: (expired, other) for month, expired, other in flows}, then)


def _expiries(connection: Connection) -> Counter[date]:
    """What the rule demands in each month, as the validities are now."""
    found = Counter[date]()
    for after, up_to in slices(connection):
        for month, points in connection.execute(query("books/what_if_expiries"), {"after": after, "up_to": up_to}):
            found[month] += points
    return found


def _rows(flows: Mapping[date, tuple[int, int]], then: Counter[date]) -> list[Row]:
    rows, closing, closing_then = list[Row](), 0, 0
    for month in sorted({*flows, *then}):
        expired, other = flows.get(month, (0, 0))
        closing += other - expired
        closing_then += other - then[month]
        values = (f"{month:%Y-%m}", expired, closing, then[month], closing_then, closing_then - closing)
        rows.append(dict(zip(MONTH, values, strict=True)))
    return rows
