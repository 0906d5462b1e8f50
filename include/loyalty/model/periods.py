"""When an event must have happened, seen from the as-of instant A; days and longer are those of the program's zone."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, model_validator

from loyalty.model.frozen import Frozen
from loyalty.model.scalars import Instant

Unit = Literal["years", "months", "weeks", "days", "hours"]


class Span(Frozen):
    """A length of time: hours of the clock, or calendar units of the program's zone."""

    count: Annotated[StrictInt, Field(ge=1, le=1_000_000)]
    unit: Unit

    @model_validator(mode="after")
    def _no_longer_than_history(self) -> Self:
        per_year = {"hours": 8_766, "days": 365, "weeks": 52, "months": 12, "years": 1}
        if self.count > 200 * per_year[self.unit]:
            raise ValueError("must not be longer than 200 years; for no bound use the period 'lifetime'")
        return self

    def describe(self) -> str:
        """As in ``182 days``."""
        return f"{self.count} {self.unit if self.count > 1 else self.unit.removesuffix('s')}"


class Lifetime(Frozen):
    """Everything before A; with ``before`` everything up to and including A - before."""

    type: Literal["lifetime"] = "lifetime"
    before_: Span | None = Field(default=None, alias="before")

    def before(self, **length: int) -> "Lifetime":
        """The same, ending so long before A: ``lifetime().before(days=182)``."""
        return Lifetime(before_=span(**length))

    def describe(self) -> str:
        """The period in words."""
        return f"up to {self.before_.describe()} ago" if self.before_ else "at any time"


class Last(Frozen):
    """[A - length, A); with ``before`` (A - before - length, A - before], so that consecutive days partition time."""

    type: Literal["last"] = "last"
    length: Span
    before_: Span | None = Field(default=None, alias="before")

    def before(self, **length: int) -> "Last":
        """The same, ending so long before A: ``last(hours=24).before(days=182)``."""
        return Last(length=self.length, before_=span(**length))

    def describe(self) -> str:
        """The period in words."""
        words = f"in the last {self.length.describe()}"
        return f"{words} before {self.before_.describe()}" if self.before_ else words


class Between(Frozen):
    """[start, end), whatever A is; an open side has no bound of its own."""

    type: Literal["between"] = "between"
    start: Instant | None = None
    end: Instant | None = None

    @model_validator(mode="after")
    def _holds_some_time(self) -> Self:
        if self.start is None and self.end is None:
            raise ValueError("takes start, end, or both")
        if self.start and self.end and self.start >= self.end:
            raise ValueError("start must lie before end")
        return self

    def describe(self) -> str:
        """The period in words."""
        sides = [("since", self.start), ("before", self.end)]
        return " and ".join(f"{word} {moment.isoformat()}" for word, moment in sides if moment)


class Reached(Frozen):
    """The local day that the event carries in ``parameter``, as 2026-05-31, has begun by A; one without is outside."""

    type: Literal["reached"] = "reached"
    parameter: str = Field(min_length=1)

    def describe(self) -> str:
        """The period in words."""
        return f"whose {self.parameter} has come"


Period = Annotated[Lifetime | Last | Between | Reached, Field(discriminator="type")]


def span(**length: int) -> Span:
    """One length: ``span(days=182)``."""
    if len(length) != 1:
        raise TypeError("a length has exactly one unit, as in days=182")
    [(unit, count)] = length.items()
    return Span.model_validate({"unit": unit, "count": count})


def lifetime() -> Lifetime:
    """No bound but A."""
    return Lifetime()


def last(**length: int) -> Last:
    """The time of that length that ends at A: ``last(days=30)``."""
    return Last(length=span(**length))


def between(start: datetime, end: datetime) -> Between:
    """From ``start`` until just before ``end``."""
    return Between(start=start, end=end)


def since(start: datetime) -> Between:
    """From ``start`` on."""
    return Between(start=start)


def until(end: datetime) -> Between:
    """Everything before ``end``."""
    return Between(end=end)
