"""Where events come from that another PostgreSQL holds."""

from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from loyalty.model.frozen import Frozen, Slug
from loyalty.model.periods import Span

NEEDED = ("customer_id", "action", "occurred_at", "event_id")
SECONDS = {"hours": 3600, "days": 86_400, "weeks": 604_800}


class EventSource(Frozen):
    """A table or a query of another database, whose rows are events.

    ``columns`` maps names of an event to columns of the query, or with a leading ``=`` to one text for all rows; every
    other column is a parameter. ``watermark`` names a column that grows as rows are added; each reading goes back by
    ``overlap`` (for a time) or ``overlap_count`` (for a number), to find what was committed late.
    """

    name: Slug
    connection: Slug = Field(description="the Airflow connection; `loyalty sync` reads LOYALTY_SOURCE_ and its name")
    table: str | None = Field(default=None, min_length=1, description="schema.table")
    query: str | None = Field(default=None, min_length=1)
    columns: dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict
    )
    watermark: str = Field(min_length=1)
    overlap: Span = Span(count=1, unit="hours")
    overlap_count: Annotated[StrictInt, Field(ge=0)] = 10_000
    batch_size: Annotated[StrictInt, Field(ge=1)] = 50_000

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise PydanticCustomError("one_of", "takes exactly one of table and query")
        if self.columns.get("event_id", "").startswith("="):
            raise PydanticCustomError("wrong", "columns.event_id must be a column: it tells each event from all others")
        if self.overlap.unit not in SECONDS:
            raise PydanticCustomError("wrong", "overlap is in hours, days or weeks")
        return self

    @property
    def overlap_seconds(self) -> int:
        """The overlap of a watermark that is a time."""
        return self.overlap.count * SECONDS[self.overlap.unit]

    def column_of(self, name: str) -> str | None:
        """The column that holds it; None where it is one text for all rows."""
        column = self.columns.get(name, name)
        return None if column.startswith("=") else column
