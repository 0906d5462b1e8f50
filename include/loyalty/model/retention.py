"""For how long events are kept that nothing needs."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StrictInt

from loyalty.model.frozen import Frozen
from loyalty.model.periods import Between, Last, Lifetime, Period, Reached, Span

Days = Annotated[StrictInt, Field(ge=1, le=36_500)]
LONGEST = {"hours": 1 / 24, "days": 1, "weeks": 7, "months": 31, "years": 366}


class Retention(Frozen):
    """Days after which events go: of each action named, and of every other that nothing reads; null is for ever."""

    days: Days | None = 30
    actions: dict[Annotated[str, Field(min_length=1)], Days | None] = Field(default_factory=dict)


@dataclass(frozen=True)
class Retentions:
    """After how many days the events of an action go (None: never); ``others`` is for actions that are not named."""

    days: dict[str, int | None]
    others: int | None


def days_read(period: Period) -> int | None:
    """How many days back from now the period ever looks; None where no number of days is enough."""
    match period:
        case Last(length=length, before_=before):
            return _days(length) + (_days(before) if before else 0) + 1
        case Lifetime() | Between() | Reached():
            return None


def _days(length: Span) -> int:
    return -int(-length.count * LONGEST[length.unit] // 1)
