"""Delete events that nothing needs any more, and count them."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta

from sqlalchemy import Connection

from loyalty.model.retention import Retentions
from loyalty.store.queries import query

Progress = Callable[[Counter[str]], None]


def apply_retention(
    connection: Connection, kept: Retentions, day: date, *, size: int, on_batch: Progress | None = None
) -> Counter[str]:
    """No event is left that was to go by the day's midnight; returns how many went, by action. One commit a batch.

    Whatever the settings say, the ledger keeps what moves a balance, feeds a rule, or is named by another event.
    """
    binds = {
        "cutoffs": json.dumps({action: _cutoff(day, days) for action, days in kept.days.items() if days is not None}),
        "others": _cutoff(day, kept.others) if kept.others is not None else None,
        "kept": [action for action, days in kept.days.items() if days is None],
        "size": size,
    }
    gone, after = Counter[str](), 0
    while True:
        with connection.begin():
            last, deleted = connection.execute(query("delete_old_events"), binds | {"after": after}).one()
        if last is None:
            return gone
        gone.update(deleted)
        after = last
        if on_batch:
            on_batch(gone)


def _cutoff(day: date, days: int) -> str:
    """The local day from which on events are kept."""
    return (day - timedelta(days=days)).isoformat()
