"""How a batch cancellation is run: whom it spares, how long it locks and waits, in what chunks it works."""

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StrictBool, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from loyalty.model.frozen import Frozen, Slug
from loyalty.model.periods import Span

Minutes = Annotated[float, Field(gt=0, le=7 * 24 * 60)]


class Cancellation(Frozen):
    """The settings of program.yaml, which a run's own may replace one by one."""

    schedule: str | None = Field(
        default=None, description="a cron expression in the program's zone; null: by hand only"
    )
    segment: Slug = Field(default="points_to_cancel", description="whose points are cancelled")
    spared: Span = Field(default=Span(count=1, unit="months"), description="points earned within this time are kept")
    exclude_segment: Slug | None = Field(default=None, description="a segment whose customers are left alone")
    exclude_countries: tuple[str, ...] = Field(default=(), description="values of the attribute 'country' left alone")
    lock_minutes: Minutes = Field(default=120, description="when a lock ends by itself, from its request")
    lock_wait_minutes: Minutes = Field(default=30, description="how long confirmations of locks are waited for")
    deactivation_wait_minutes: Minutes = Field(default=30, description="how long deactivations are waited for")
    margin_minutes: Minutes = Field(default=30, description="what a lock must last longer than both waits")
    chunk_size: Annotated[StrictInt, Field(ge=1)] = Field(default=1_000_000, description="members per task, at most")
    chunks_at_once: Annotated[StrictInt, Field(ge=1)] = Field(
        default=2, description="chunks that Airflow locks at a time, and as many that it deducts"
    )
    approval: StrictBool = Field(default=True, description="whether somebody must approve the preview")
    approval_hours: Annotated[float, Field(gt=0, le=24 * 14)] = Field(default=12, description="no answer: rejected")
    engine: Literal["database", "events"] = Field(
        default="database", description="who confirms: this database, or an outside points engine by events"
    )

    @model_validator(mode="after")
    def _locks_outlast_the_waits(self) -> Self:
        needed = self.lock_wait_minutes + self.deactivation_wait_minutes + self.margin_minutes
        if self.lock_minutes < needed:
            raise PydanticCustomError(
                "order",
                "lock_minutes {lock} is too short: both waits and the margin take {needed}",
                {"lock": f"{self.lock_minutes:g}", "needed": f"{needed:g}"},
            )
        return self


class CancellationRun(Cancellation):
    """What one run was asked for: the settings, and what concerns this run alone."""

    as_of: AwareDatetime | None = Field(default=None, description="the instant it speaks about; null: when it starts")
    second_round_of: StrictInt | None = Field(default=None, description="the run whose failed members are taken up")
    dry_run: StrictBool = Field(default=False, description="end with the preview")

    @model_validator(mode="after")
    def _a_second_round_keeps_its_instant(self) -> Self:
        if self.second_round_of is not None and self.as_of is not None:
            raise PydanticCustomError("one_of", "a second round keeps the as_of of the first: leave it out")
        return self
