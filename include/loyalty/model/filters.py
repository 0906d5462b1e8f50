"""Conditions on one parameter of an event."""

from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, StrictStr, model_validator

from loyalty.model.frozen import Frozen

Comparison = Literal["equal", "not_equal", "more_than", "less_than", "in", "contains", "exists"]
Scalar = StrictBool | StrictInt | float | AwareDatetime | StrictStr
Kind = Literal["number", "text", "time", "boolean"]


class Filter(Frozen):
    """Keeps the events whose ``parameter`` compares to ``value``; a missing parameter compares to nothing."""

    parameter: str = Field(min_length=1)
    is_: Comparison = Field(alias="is")
    value: Scalar | tuple[Scalar, ...] | None = None

    @model_validator(mode="after")
    def _value_fits_the_comparison(self) -> Self:
        if self.is_ == "exists":
            if self.value is not None:
                raise ValueError("'exists' takes no value")
        elif self.is_ == "in":
            if not isinstance(self.value, tuple) or not self.value:
                raise ValueError("'in' takes a list of values")
            if len({kind_of(one) for one in self.value}) > 1:
                raise ValueError("'in' takes values of one kind")
        elif self.value is None or isinstance(self.value, tuple):
            raise ValueError(f"{self.is_!r} takes one value")
        elif self.is_ == "contains" and not isinstance(self.value, str):
            raise ValueError("'contains' takes a text")
        elif self.is_ in ("more_than", "less_than") and kind_of(self.value) not in ("number", "time"):
            raise ValueError(f"{self.is_!r} takes a number or a time")
        return self


def kind_of(value: Scalar) -> Kind:
    """As what the database is to compare a parameter with this value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "time" if isinstance(value, datetime) else "text"
