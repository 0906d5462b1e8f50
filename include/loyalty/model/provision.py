"""What points that are held mean for the accounts, by stated methods: inputs to the accountant, not advice."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from loyalty.model.frozen import Frozen

Method = Literal["in_proportion", "at_expiry"]


class Provision(Frozen):
    """How a program provides for the points that its customers hold."""

    cost_per_point: Annotated[Decimal, Field(ge=0)] | None = Field(
        default=None, description="what a redeemed point costs; null: point_value"
    )
    expected_redemption: Annotated[Decimal, Field(ge=0, le=1)] = Field(
        default=Decimal(1), description="the part of all points earned that will be redeemed"
    )
    method: Method = Field(default="in_proportion", description="how revenue is recognised")


@dataclass(frozen=True)
class Standing:
    """What became of all points earned so far; ``lapsed`` are those expired and cancelled."""

    earned: int
    redeemed: int
    lapsed: int

    @property
    def outstanding(self) -> int:
        """What customers hold."""
        return self.earned - self.redeemed - self.lapsed


def allocate(price: Decimal, stand_alone: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """The transaction price, split by the parts' relative stand-alone prices (ASC 606-10-32-31, IFRS 15.76)."""
    whole = sum(stand_alone.values(), Decimal(0))
    return {name: price * own / whole for name, own in stand_alone.items()}


def recognised_in_proportion(allocated: Decimal, redeemed: int | Decimal, expected: int | Decimal) -> Decimal:
    """Revenue so far, where so many points of those expected in all are redeemed; a new estimate changes the past too.

    Breakage is expected, and recognised in proportion to redemptions (ASC 606-10-55-48, IFRS 15.B46).
    """
    if redeemed >= expected:
        return allocated if redeemed else Decimal(0)
    return allocated * redeemed / expected


def recognised_at_expiry(allocated: Decimal, standing: Standing) -> Decimal:
    """Revenue so far, where no breakage is expected: a point counts when it is redeemed, expires or is cancelled."""
    if standing.earned <= 0:
        return Decimal(0)
    return allocated * (standing.redeemed + standing.lapsed) / standing.earned


def cost_provision(outstanding: int, expected_redemption: Decimal, cost_per_point: Decimal) -> Decimal:
    """What the points outstanding are expected to cost."""
    return outstanding * expected_redemption * cost_per_point


def expected_of_outstanding(standing: Standing, expected_redemption: Decimal) -> Decimal:
    """The part of the points outstanding that is still to be redeemed, if of all points earned the given part is."""
    if standing.outstanding <= 0:
        return Decimal(0)
    still = max(Decimal(0), standing.earned * expected_redemption - standing.redeemed)
    return min(Decimal(1), still / standing.outstanding)
