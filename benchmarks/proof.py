"""The proof of what was measured: every invariant of the ledger, and some customers lot by lot."""

from lots import wrong_lots
from options import Options
from sqlalchemy import Engine

from loyalty.errors import LoyaltyError
from loyalty.services.reconcile import broken, reconcile_side_by_side
from loyalty.store.database import transaction

MOST_PROVEN = 100_000  # customers, unless more is asked for: of five million it takes longer than what is measured


def proven(engine: Engine, options: Options, members: int, name: str) -> list[str]:
    """What was looked at, and holds, of a ledger that is not too large for it; else an error says what does not."""
    if members > MOST_PROVEN and not options.prove:
        return []
    faults: list[object] = list(broken(reconcile_side_by_side(engine)))
    with transaction(engine) as connection:
        customers, wrong = wrong_lots(connection, options.seed)
    if faults or wrong:
        raise LoyaltyError(f"{name}: {[*faults, *wrong][:10]}")
    return ["every invariant holds", f"{customers:,} customers drawn at random are right, lot by lot"]
