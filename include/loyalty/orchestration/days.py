"""The days of a program: when its midnights are, and which one a run speaks about."""

from datetime import date, datetime, time
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from airflow.sdk import Context, CronPartitionTimetable
from airflow.sdk.exceptions import AirflowFailException

from loyalty.definitions.load_program import load_program
from loyalty.settings import load_settings

KEY_FORMAT = "%Y-%m-%d"
# The number of our record of the run, for the templated fields of the operators that come after select_members.
JOURNEY_RUN = "{{ ti.xcom_pull(task_ids='select_members', map_indexes=-1) }}"


class ProgramDays(NamedTuple):
    """A timetable with one run for each midnight, and the first and the last that the scheduler runs by itself."""

    midnights: CronPartitionTimetable
    first: datetime
    last: datetime | None


def program_days() -> ProgramDays:
    """The midnights of this installation's program, for a DAG file to be scheduled by.

    It reads program.yaml, as a DAG file itself must not: the timetable has to know the zone when the file is imported,
    and a copy of the zone in the environment could contradict the ledger's. It is one small file; a fault in it shows
    as the DAG's import error.
    """
    program = load_program(load_settings().program)
    zone = ZoneInfo(program.timezone)
    # The tick is the very midnight, which Airflow also makes of a key typed by hand: a backfill then takes a manual
    # run of a day for what it is.
    return ProgramDays(
        midnights=CronPartitionTimetable("0 0 * * *", timezone=program.timezone, key_format=KEY_FORMAT),
        first=datetime(1970, 1, 1, tzinfo=zone),
        last=datetime.combine(program.ends_on, time(), zone) if program.ends_on else None,
    )


def business_date(context: Context | dict[str, Any]) -> date:
    """The day that the run speaks about, which is its partition key; a run without one is refused."""
    key = context["dag_run"].partition_key
    try:
        return datetime.strptime(key or "", KEY_FORMAT).date()
    except ValueError:
        raise AirflowFailException(_refusal(key)) from None


def _refusal(key: str | None) -> str:
    given = f"the partition key {key!r} is no date" if key else "this run has no partition key"
    return (
        f"{given}: it says which day the run speaks about, as in 2026-05-31. Trigger the DAG again with one (the field "
        "'Partition Key' of the trigger form; \"partition_key\" in the REST API), or make a backfill of the day"
    )
