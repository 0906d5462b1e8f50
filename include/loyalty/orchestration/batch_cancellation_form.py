"""When batch cancellations run by themselves, and the form in which one is asked for by hand."""

from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from airflow.sdk import CronTriggerTimetable, Param

from loyalty.definitions.load_program import load_program
from loyalty.settings import load_settings


class CancellationPlan(NamedTuple):
    """How the DAG is laid out.

    A timetable (None: by hand only), the instant from which it counts, how long an approval is waited for, and how many
    chunks are locked at a time, and as many deducted.
    """

    schedule: CronTriggerTimetable | None
    first: datetime
    approval_hours: float
    chunks_at_once: int


def cancellation_plan() -> CancellationPlan:
    """What program.yaml says of it; read when the DAG file is imported, like the days of a program."""
    program = load_program(load_settings().program)
    own = program.cancellation
    timetable = CronTriggerTimetable(own.schedule, timezone=program.timezone) if own.schedule else None
    return CancellationPlan(
        timetable,
        first=datetime(1970, 1, 1, tzinfo=ZoneInfo(program.timezone)),
        approval_hours=own.approval_hours,
        chunks_at_once=own.chunks_at_once,
    )


def _field(title: str, description: str, *types: str, **more: Any) -> Param:
    return Param(None, type=["null", *types], title=title, description=description, **more)


# A switch cannot be left open.
AS_THE_PROGRAM_SAYS = "as program.yaml says"
ANSWERS = {"yes": True, "no": False}
OPEN = "Left empty: as program.yaml says."
FORM: dict[str, Param] = {
    "segment": _field("Segment", f"Whose points are cancelled. {OPEN}", "string"),
    "as_of": _field("As of", "The instant it speaks about. Left empty: now.", "string", format="date-time"),
    "spare_days": _field("Days spared", f"Points earned in so many last days are kept. {OPEN}", "integer", minimum=1),
    "exclude_segment": _field("Excluded segment", f"Its customers are left alone. {OPEN}", "string"),
    "exclude_countries": _field(
        "Excluded countries", f"Customers whose attribute country is one of these are left alone. {OPEN}", "array"
    ),
    "lock_minutes": _field("Lock, minutes", f"When a lock ends by itself. {OPEN}", "number", exclusiveMinimum=0),
    "lock_wait_minutes": _field(
        "Wait for locks, minutes", f"Who is not locked by then fails. {OPEN}", "number", exclusiveMinimum=0
    ),
    "deactivation_wait_minutes": _field(
        "Wait for promotions, minutes", f"Whose promotions are not deactivated by then fails. {OPEN}", "number",
        exclusiveMinimum=0,
    ),
    "chunk_size": _field("Chunk size", f"Members per task, at most. {OPEN}", "integer", minimum=1),
    "approval": Param(
        AS_THE_PROGRAM_SAYS, enum=[AS_THE_PROGRAM_SAYS, *ANSWERS], title="Approval needed",
        description="Whether somebody must approve the preview.",
    ),
    "second_round_of": _field(
        "Second round of run", "Take up the members of this run that failed for a reason that may come again.",
        "integer", minimum=1,
    ),
    "dry_run": Param(False, type="boolean", title="Dry run", description="End with the preview; nothing is touched."),
}  # fmt: skip


def asked_for(params: dict[str, Any]) -> dict[str, Any]:
    """What the form asks for, by the names of the settings; what it leaves open is not among it."""
    asked = {field: params.get(field) for field in FORM if params.get(field) not in (None, "", [])}
    asked["approval"] = ANSWERS.get(str(params.get("approval")))
    if "spare_days" in asked:
        asked["spared"] = {"count": asked.pop("spare_days"), "unit": "days"}
    return asked
