"""The days of a program, as the timetable and the runs see them."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
import yaml

import oracle
from loyalty.errors import LoyaltyError

MONTHS = [
    ("UTC", date(1998, 6, 1)),
    ("Europe/Warsaw", date(2026, 3, 10)),
    ("Europe/Warsaw", date(2026, 10, 10)),
    ("America/Sao_Paulo", date(2018, 10, 20)),  # on 2018-11-04 the clocks went from 00:00 to 01:00
    ("America/Havana", date(2026, 10, 20)),  # on 2026-11-01 there are two midnights
    ("Africa/Cairo", date(2026, 4, 10)),
    ("Atlantic/Azores", date(2026, 10, 10)),
]


@pytest.mark.parametrize(("zone", "first"), MONTHS, ids=lambda value: str(value))
def test_every_day_has_one_run_which_never_starts_before_its_midnight(zone: str, first: date) -> None:
    from airflow.timetables.trigger import CronPartitionTimetable
    from pendulum import instance

    from loyalty.orchestration.days import KEY_FORMAT

    timetable = CronPartitionTimetable("0 0 * * *", timezone=zone, key_format=KEY_FORMAT)
    days = [first + timedelta(days=n) for n in range(30)]
    bounds = [instance(datetime.combine(day, datetime.min.time(), UTC)) for day in (days[0], days[-1])]
    runs = list(timetable.iter_partition_dagrun_infos(earliest=bounds[0], latest=bounds[1]))
    assert [run.partition_key for run in runs] == [str(day) for day in days]
    for day, run in zip(days, runs, strict=True):
        late = run.run_after - oracle.midnight(day, ZoneInfo(zone))
        assert timedelta(0) <= late <= timedelta(hours=1)


def test_the_timetable_follows_the_program(program_file: Path) -> None:
    from loyalty.orchestration.days import program_days

    said = yaml.safe_load(program_file.read_text()) | {"timezone": "Asia/Tokyo", "ends_on": "1998-06-30"}
    program_file.write_text(yaml.safe_dump(said))
    days = program_days()
    assert days.midnights.timezone == "Asia/Tokyo"
    assert days.last == datetime(1998, 6, 30, tzinfo=ZoneInfo("Asia/Tokyo"))


def test_a_program_with_no_end_has_no_last_day(program_file: Path) -> None:
    from loyalty.orchestration.days import program_days

    assert program_days().last is None


def test_a_fault_of_the_program_is_an_import_error(program_file: Path) -> None:
    from loyalty.orchestration.days import program_days

    program_file.write_text("timezone: Mars/Olympus\n")
    with pytest.raises(LoyaltyError, match="Mars/Olympus"):
        program_days()


@pytest.mark.parametrize("key", [None, "", "2026-13-01", "20260101", "yesterday"])
def test_a_run_that_names_no_day_is_refused_with_the_way_to_name_one(key: str | None) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from loyalty.orchestration.days import business_date

    with pytest.raises(AirflowFailException, match=r"2026-05-31.*Partition Key"):
        business_date({"dag_run": SimpleNamespace(partition_key=key)})
