"""`loyalty bench` measures every journey, checks what it measured, and leaves nothing behind, interrupted or not."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from effort import ALL
from loyalty.cli import app
from loyalty.cli import bench as command
from loyalty.local.postgres_server import Server
from loyalty.local.processes import started_at, wait_until
from loyalty.local.server_user import server_user

LOYALTY = Path(sys.executable).with_name("loyalty")
USAGE = {
    "seconds",
    "wal_bytes",
    "disk_bytes",
    "temp_bytes",
    "python_largest_mib",
    "python_together_mib",
    "database_private_mib",
    "database_mib",
    "steps",
}
# By the name of the record: the steps that the command's way has, and its cases.
WAYS = {
    "batch_cancellation": ({"select", "lock", "deduct", "all chunks, by the clock"}, {"batch cancellation"}),
    "rolling_expiry": (
        {"select", "expire", "finish"},
        {"a night", "30 missed days", "a night, as many due amid fewer"},
    ),
    "award_points": ({"award"}, {"award"}),
    "import_events": ({"stage", "store"}, {"import of CSV", "import of Parquet"}),
    "mail": ({"render and hand over"}, {"mail"}),
}
CHECKED = {
    "batch_cancellation": "members hold the same",
    "rolling_expiry": "expired is what fell due",
    "award_points": "every charge that waited is awarded once",
    "import_events": "every event of the file is there once",
    "mail": "each message came once",
}


USUAL = [("--journey", "batch", "import", "--members", "300")]
THOROUGH = [
    ("--journey", "batch", "award", "import", "mail", "--members", "300", "--preview", "--spend"),
    ("--members", "300", "--repeat", "2"),
    ("--journey", "rolling", "--members", "100", "300"),
]
EACH = [
    pytest.param(name, marks=() if name in ("batch_cancellation", "import_events") else pytest.mark.exhaustive)
    for name in WAYS
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the records of journeys, of 300 customers, of 100 where it is about growth."""
    folder, place = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("bench")
    quick = ("--floor-connections", "2", "--results", str(folder))
    for asked in THOROUGH if os.environ.get(ALL) else USUAL:
        done = subprocess.run(
            [LOYALTY, "bench", *asked, *quick], env=environment(place), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert list(place.iterdir()) == []
    return folder


def environment(place: Path) -> dict[str, str]:
    """Temporary folders are made in this one."""
    return {**os.environ, "TMPDIR": str(place)}


def record(results: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((results / f"{name}.json").read_text(encoding="utf-8")))


def measured(results: Path, name: str) -> Iterator[dict[str, Any]]:
    """The cases of the largest size that write rows, and are measured by their floors."""
    cases = record(results, name)["sizes"][-1]["cases"]
    yield from (case for case in cases if "ways" in case and case["case"] != "segment preview")


def batch_cases(results: Path) -> list[dict[str, Any]]:
    return list(record(results, "batch_cancellation")["sizes"][0]["cases"])


@pytest.mark.parametrize("name", EACH)
def test_each_case_says_what_each_way_took_and_how_it_compares_with_its_floor(results: Path, name: str) -> None:
    steps, cases = WAYS[name]
    assert {case["case"] for case in measured(results, name)} == cases
    for case in measured(results, name):
        ours, floor = case["ways"].pop("command"), case["ways"].popitem()[1]
        assert ours["ratio_to_floor"] == pytest.approx(ours["median_seconds"] / floor["median_seconds"], rel=0.02)
        assert ours["rows_per_second"] == pytest.approx(case["rows"] / ours["median_seconds"], rel=0.02, abs=1)
        assert steps <= ours["runs"][0]["steps"].keys()


@pytest.mark.parametrize("name", EACH)
def test_each_run_says_what_it_used(results: Path, name: str) -> None:
    runs = [run for case in measured(results, name) for way in case["ways"].values() for run in way["runs"]]
    assert [run for run in runs if not run.keys() >= USAGE] == []
    assert all(run["python_largest_mib"] > 20 for run in runs)
    assert all(run["database_mib"] > run["database_private_mib"] > 0 for run in runs)
    assert all(case["ways"]["command"]["runs"][0]["wal_bytes"] > 0 for case in measured(results, name))


@pytest.mark.parametrize("name", EACH)
def test_what_came_out_was_checked(results: Path, name: str) -> None:
    for case in measured(results, name):
        assert CHECKED[name] in case["checks"]
        assert name == "mail" or "every invariant holds" in case["checks"]
        assert name == "mail" or "300 customers drawn at random are right, lot by lot" in case["checks"]


@pytest.mark.exhaustive
def test_a_preview_is_measured_by_reading_every_event(results: Path) -> None:
    preview = next(case for case in batch_cases(results) if case["case"] == "segment preview")
    assert preview["rows"] == 300 * 10 + 300 // 20
    assert preview["ways"]["command"]["runs"][0]["steps"].keys() == {"sample", "count"}
    assert preview["checks"] == ["the segment has whom the making says"]


@pytest.mark.exhaustive
def test_customers_spend_while_a_run_goes_on(results: Path) -> None:
    answers = next(case["milliseconds"] for case in batch_cases(results) if "milliseconds" in case)
    assert answers["before the run"]["count"] > 0
    assert answers["before the run"]["p50"] <= answers["before the run"]["p99"] <= answers["before the run"]["max"]
    assert answers["meanwhile, not locked"]["count"] + answers["meanwhile, locked and refused"]["count"] > 0


@pytest.mark.exhaustive
def test_runs_in_a_row_are_compared(results: Path) -> None:
    repeated = record(results, "batch_repeated")["sizes"][0]["cases"][0]
    first, last = repeated["runs"]
    assert repeated["last_to_first"] == pytest.approx(last["seconds"] / first["seconds"], abs=0.01)
    assert "members hold the same" in repeated["checks"]


@pytest.mark.exhaustive
def test_growth_is_drawn(results: Path) -> None:
    found = record(results, "rolling_expiry")
    assert found["growth_per_member"].keys() >= {"a night, command", "30 missed days, floor"}
    assert "a night, command, 300 customers" in found["amid_more"]
    assert "30 missed days, command" in (results / "rolling_expiry.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_leaves_nothing_behind(tmp_path: Path, how: signal.Signals) -> None:
    interrupt(tmp_path, how, ("--members", "20000"), "postgres/address.json")


@pytest.mark.exhaustive
def test_airflow_is_gone_after_an_interrupted_benchmark(tmp_path: Path) -> None:
    interrupt(tmp_path, signal.SIGTERM, ("--members", "300", "--via", "airflow"), "airflow-home/airflow/run/*.json")


def interrupt(place: Path, how: signal.Signals, asked: tuple[str, ...], sign: str) -> None:
    """A benchmark that has begun, as the sign in its folder says, ends by the signal; and nothing of it is left."""
    words = [LOYALTY, "bench", "--results", str(place / "results"), *asked]
    with subprocess.Popen(words, env=environment(place), stderr=subprocess.PIPE, text=True) as bench:
        try:
            assert wait_until(lambda: any(place.glob(f"loyalty-bench-*/{sign}")), 240)
            files = files_of_server(place)
            assert wait_until(lambda: Server(files, server_user()).ready(), 30)
            pids = family(bench.pid) | family(Server(files, server_user()).postmaster() or 0)
        finally:
            bench.send_signal(how)
        said = bench.communicate()[1]
    assert bench.returncode == 128 + how, said
    assert "nothing is left" in said
    assert "Traceback" not in said
    assert list(place.iterdir()) == []
    assert not files.exists()
    assert {pid for pid, born in pids.items() if born and started_at(pid) == born} == set()


def files_of_server(place: Path) -> Path:
    """Where the files of the benchmark's server are: with its home, but for root in a folder for its user."""
    [keep] = place.glob("loyalty-bench-*/postgres")
    if server_user().uid is None:
        return keep
    name = "loyalty-" + (keep / "id").read_text(encoding="utf-8")
    return next(root / name for root in (Path("/var/lib"), place) if (root / name).is_dir())


def family(pid: int) -> dict[int, float | None]:
    """The process and all below it, each with its birth."""
    first = psutil.Process(pid)
    return {one.pid: started_at(one.pid) for one in (first, *first.children(recursive=True))}


def test_without_the_source_the_command_says_where_benchmarks_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BENCHMARKS", tmp_path)
    done = CliRunner().invoke(app, ["bench", "--members", "10"])
    assert done.exit_code == 1
    assert "checkout" in done.stderr
