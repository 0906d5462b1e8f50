"""What a benchmark's proof says of one customer whose points expired, were given back, or were cancelled."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from benchmarking import module_of_benchmarks

lots = module_of_benchmarks("lots")
WARSAW = ZoneInfo("Europe/Warsaw")
SETTLED = datetime(2026, 7, 10, 22, tzinfo=UTC)
# Earned on 1 January in the afternoon, 182 days are over on 2 July, and the next midnight is that of 3 July.
EARNED, LATER, EXPIRED = datetime(2026, 1, 1, 15), datetime(2026, 3, 1, 15), datetime(2026, 7, 2, 22)


def told(action: str, at: datetime, points: int) -> Any:
    spared_from = datetime(2026, 2, 1, tzinfo=UTC)
    return SimpleNamespace(action=action, occurred_at=at.replace(tzinfo=UTC), points=points, spared_from=spared_from)


HISTORY = [
    told("points.loyalty", EARNED, 100),
    told("points.loyalty", LATER, 50),
    told("client.activatePromotion", datetime(2026, 3, 2), -40),
]
BACK = told("client.deactivatePromotion", datetime(2026, 3, 3), 40)


@pytest.mark.parametrize(
    ("more", "balance", "fault"),
    [
        ([told("points.expire", EXPIRED, -60)], 50, None),
        ([BACK, told("points.expire", EXPIRED, -100)], 50, None),
        ([BACK, told("points.cancel", datetime(2026, 3, 4), -100)], 50, None),
        ([], 110, "was due"),
        ([told("points.expire", EXPIRED, -100)], 10, "was due"),
        ([told("points.expire", datetime(2026, 7, 1, 22), -60)], 50, "was due"),
        ([told("points.expire", EXPIRED, -60)], 51, "left in lots"),
        ([BACK, told("points.cancel", datetime(2026, 3, 4), -110)], 40, "old enough"),
    ],
)
def test_lots_tell_right_from_wrong(more: list[Any], balance: int, fault: str | None) -> None:
    faults = lots.faults_of([*HISTORY, *more], WARSAW, SETTLED, balance)
    assert all(fault in one for one in faults[:1]) if fault else faults == []
    assert bool(faults) == bool(fault)
