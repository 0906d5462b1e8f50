"""The methods of the provision, on the worked example of ASC 606-10-55-353 ff."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from pydantic import ValidationError

from ledger import program_of
from loyalty.model.provision import (
    Standing,
    allocate,
    cost_provision,
    expected_of_outstanding,
    recognised_at_expiry,
    recognised_in_proportion,
)


def dollars(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def test_the_worked_example_of_the_standard() -> None:
    """Sales of $100,000 bring 10,000 points, whose stand-alone price is $9,500: of them 9,500 are expected back."""
    parts = allocate(Decimal(100_000), {"products": Decimal(100_000), "points": Decimal(9_500)})
    assert {name: dollars(part) for name, part in parts.items()} == {"products": 91_324, "points": 8_676}
    assert dollars(recognised_in_proportion(parts["points"], 4_500, 9_500)) == 4_110
    # In the second year 8,500 are redeemed in all, and 9,700 expected.
    assert dollars(recognised_in_proportion(parts["points"], 8_500, 9_700)) == 7_603
    assert dollars(recognised_in_proportion(parts["points"], 9_700, 9_700)) == 8_676
    assert sum(parts.values()) == Decimal(100_000)


def test_without_expected_breakage_a_point_counts_when_it_is_gone() -> None:
    price = Decimal(1_000)
    assert recognised_at_expiry(price, Standing(earned=100, redeemed=0, lapsed=0)) == 0
    assert recognised_at_expiry(price, Standing(earned=100, redeemed=40, lapsed=10)) == 500
    assert recognised_at_expiry(price, Standing(earned=100, redeemed=60, lapsed=40)) == price
    assert recognised_at_expiry(price, Standing(earned=0, redeemed=0, lapsed=0)) == 0


def test_nothing_more_than_all_is_recognised_and_nothing_of_nothing() -> None:
    assert recognised_in_proportion(Decimal(10), 12, 9) == 10
    assert recognised_in_proportion(Decimal(10), 0, 0) == 0


def test_what_is_held_is_provided_for_as_far_as_it_will_come_back() -> None:
    standing = Standing(earned=1_000, redeemed=300, lapsed=200)
    assert standing.outstanding == 500
    # Of 1,000 points 700 are expected back, 300 were: 400 of the 500 held are left.
    assert expected_of_outstanding(standing, Decimal("0.7")) == Decimal("0.8")
    assert cost_provision(500, Decimal("0.8"), Decimal("0.01")) == Decimal("4.000")
    assert expected_of_outstanding(standing, Decimal("0.2")) == 0
    assert expected_of_outstanding(standing, Decimal(1)) == 1
    assert expected_of_outstanding(Standing(10, 10, 0), Decimal(1)) == 0


@pytest.mark.parametrize(
    "wrong", [{"expected_redemption": "1.1"}, {"cost_per_point": -1}, {"method": "guess"}, {"rate": 1}]
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        program_of(provision=wrong)
