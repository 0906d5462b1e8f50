"""The provision for the points that customers hold, from the books: inputs to the accountant, not advice."""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from sqlalchemy import Connection

from loyalty.errors import LoyaltyError
from loyalty.model.program import Program
from loyalty.model.provision import (
    Standing,
    cost_provision,
    expected_of_outstanding,
    recognised_at_expiry,
    recognised_in_proportion,
)
from loyalty.services.read_books import cohorts
from loyalty.store.queries import Row, query

LINES = ("line", "amount", "meaning")
CENT = Decimal("0.01")
NOTE = "inputs to the accountant, not advice"


def provision(connection: Connection, program: Program, day: date | None = None) -> list[Row]:
    """Inputs and results, line by line, as of the latest close with cohorts that is not after the day.

    A point is worth what it was at that close; what was expected and what it costs is what the program says now.
    """
    rows = cohorts(connection, day)
    if not rows:
        raise LoyaltyError("no day is closed yet: `loyalty close` closes them, and the provision reads the books")
    standing = Standing(
        earned=sum(row["earned"] for row in rows),
        redeemed=sum(row["redeemed"] for row in rows),
        lapsed=sum(row["expired"] + row["cancelled"] for row in rows),
    )
    worth = connection.execute(query("books/worth"), {"day": rows[0]["day"]}).one()._asdict()
    lines = _lines(program.model_copy(update=worth), standing, rows[0]["day"])
    return [dict(zip(LINES, line, strict=True)) for line in lines]


def _lines(program: Program, standing: Standing, day: date) -> Iterator[tuple[str, object, str]]:
    stated, currency = program.provision, program.currency
    cost = program.point_value if stated.cost_per_point is None else stated.cost_per_point
    rate = expected_of_outstanding(standing, stated.expected_redemption)
    yield "day", day, "the closed day"
    yield "earned", standing.earned, "points earned so far, net of refunds and corrections"
    yield "redeemed", standing.redeemed, "of them redeemed or adjusted away, net"
    yield "lapsed", standing.lapsed, "of them expired or cancelled, net"
    yield "outstanding", standing.outstanding, "of them held still"
    yield "expected_redemption", stated.expected_redemption, "given: the part of all points earned that is redeemed"
    yield "observed_redemption", _rate(standing), "the part redeemed of the points that are held no more"
    yield "expected_of_outstanding", rate.quantize(Decimal("0.0001")), "what is then left to redeem of those held"
    yield "cost_per_point", cost, f"given, in {currency}"
    yield (
        "cost_provision",
        _money(cost_provision(standing.outstanding, rate, cost)),
        f"{currency}: held, times left, times cost",
    )
    yield from _revenue(program, standing)


def _revenue(program: Program, standing: Standing) -> Iterator[tuple[str, object, str]]:
    """Both methods beside each other, on the stand-alone price of the points; the program's own is marked."""
    stated, currency = program.provision, program.currency
    price = standing.earned * program.point_value * stated.expected_redemption
    expected = standing.redeemed + standing.outstanding * expected_of_outstanding(standing, stated.expected_redemption)
    yield "stand_alone_price", _money(price), f"{currency}: earned, times point value, times expected"
    methods = {
        "in_proportion": recognised_in_proportion(price, standing.redeemed, expected),
        "at_expiry": recognised_at_expiry(price, standing),
    }
    for name, recognised in methods.items():
        own = ", the method of the program" if name == stated.method else ""
        yield f"recognised_{name}", _money(recognised), f"{currency}: revenue so far{own}"
        yield f"liability_{name}", _money(price - recognised), f"{currency}: contract liability{own}"


def _rate(standing: Standing) -> Decimal | None:
    gone = standing.redeemed + standing.lapsed
    return (Decimal(standing.redeemed) / gone).quantize(Decimal("0.0001")) if gone > 0 else None


def _money(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)
