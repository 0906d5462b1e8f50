"""Conditions on one parameter of an event."""

from typing import Literal, Self

from pydantic import Field, model_validator

from loyalty.model.frozen import Frozen
from loyalty.model.scalars import Kind, Scalar, ScalarField, kind_of, shown

Comparison = Literal["equal", "not_equal", "more_than", "less_than", "in", "contains", "exists", "missing"]
_WORDS: dict[Comparison, str] = {
    "equal": "is", "not_equal": "is not", "more_than": "is more than", "less_than": "is less than",
    "in": "is one of", "contains": "contains", "exists": "exists", "missing": "is missing",
}  # fmt: skip


class Filter(Frozen):
    """Keeps the events whose ``parameter`` compares to ``value``; a missing parameter compares to nothing."""

    parameter: str = Field(min_length=1)
    is_: Comparison = Field(alias="is")
    value: ScalarField | tuple[ScalarField, ...] | None = None

    @model_validator(mode="after")
    def _value_fits_the_comparison(self) -> Self:
        if self.is_ in ("exists", "missing"):
            if self.value is not None:
                raise ValueError(f"{self.is_!r} takes no value")
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

    @property
    def values(self) -> tuple[Scalar, ...]:
        """What the parameter is compared with: none, one or several constants."""
        if self.value is None:
            return ()
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @property
    def kind(self) -> Kind | None:
        """As what the parameter is compared; None where only its presence counts."""
        return kind_of(self.values[0]) if self.values else None

    def describe(self) -> str:
        """The condition in words."""
        return " ".join([self.parameter, _WORDS[self.is_], ", ".join(map(shown, self.values))]).rstrip()
