"""The record of a run: opened once for each key, finished with its totals."""

import json
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.model.catalog import Catalog
from loyalty.store.queries import query


@dataclass(frozen=True)
class RunTotals:
    """What a finished run did: members, those of them that failed, points taken net of those given back.

    ``returned`` are points that deactivated promotions gave back before; ``shortfall`` points due that were not there.
    """

    run_id: int
    business_date: date
    member_count: int
    failed_count: int
    points: int
    returned: int
    shortfall: int


@dataclass(frozen=True)
class OpenRun:
    """A run that is going on; ``as_of`` is the midnight that begins its business date.

    ``settled_through`` is the latest day that the program had settled when the run was opened.
    """

    run_id: int
    as_of: datetime
    settled_through: date


def open_run(
    connection: Connection,
    *,
    journey: str,
    run_key: str,
    business_date: date,
    catalog: Catalog,
    ahead: bool = False,
) -> OpenRun:
    """The run of this key is going on, frozen with its definitions.

    A date that has not begun is refused, unless ``ahead`` says that taking what is not due yet is meant.
    """
    row = connection.execute(
        query("open_run"),
        {
            "journey": journey,
            "run_key": run_key,
            "business_date": business_date,
            "definitions": json.dumps(catalog.to_json()),
            "fingerprint": catalog.fingerprint(),
        },
    ).one()
    if row.is_future and not ahead:
        raise LoyaltyError(f"as-of {business_date} has not begun yet: a run speaks about a midnight that has passed")
    return OpenRun(row.run_id, row.as_of, row.settled_through)


def finish_run(connection: Connection, run_id: int) -> RunTotals:
    """The run is completed and holds the totals of its members; one with members on the way is refused."""
    row = connection.execute(query("finish_run"), {"run_id": run_id}).one_or_none()
    if row is None:
        raise LoyaltyError(f"run {run_id} has members on the way: it is not finished")
    return RunTotals(*row)
