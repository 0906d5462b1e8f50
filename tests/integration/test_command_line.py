"""`loyalty …` as a terminal sees it: what is printed, what fails, and how it says so."""

import csv
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL
from typer.testing import CliRunner, Result

from loyalty.cli import app
from loyalty.store.database import open_engine, transaction

PROGRAM = """
name: test
timezone: UTC
currency: EUR
point_value: 0.01
earning_actions:
  points.loyalty: {validity_days: 10}
earning_rules:
  - {name: purchase, action: transaction.charge, earns: points.loyalty, points_per_unit: 1}
"""
EVENTS = """customer_id,action,occurred_at,event_id,$totalAmount,promotionRequireRedeemedPoints
ann,transaction.charge,2026-01-01T10:00Z,1,50.90,
bob,transaction.charge,2026-01-02T10:00Z,2,20,
"""
SPENDS = """customer_id,action,occurred_at,promotionRequireRedeemedPoints
ann,client.activatePromotion,2026-01-03T10:00Z,30
"""


class Terminal:
    """Runs commands on one database with one program."""

    def __init__(self, folder: Path, url: URL) -> None:
        self.folder, self.url = folder, url
        self.program = folder / "program.yaml"
        self.program.write_text(PROGRAM, encoding="utf-8")

    def environment(self, url: str | None = None) -> dict[str, str]:
        return {
            "LOYALTY_DATABASE_URL": url or self.url.render_as_string(hide_password=False),
            "LOYALTY_PROGRAM": str(self.program),
            "COLUMNS": "200",
        }

    def run(self, *words: str, url: str | None = None) -> Result:
        return CliRunner().invoke(app, words, env=self.environment(url), catch_exceptions=False)

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        command = [str(Path(sys.executable).with_name("loyalty")), *words]
        return subprocess.Popen(command, env=os.environ | self.environment(), stdout=subprocess.DEVNULL)

    def ok(self, *words: str) -> str:
        done = self.run(*words)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    def rows(self, *words: str) -> list[dict[str, str]]:
        return list(csv.DictReader(self.ok(*words, "--format", "csv").splitlines()))

    def fails(self, *words: str, url: str | None = None) -> str:
        done = self.run(*words, url=url)
        assert done.exit_code == 1, (done.exit_code, done.stderr)
        return done.stderr

    def file(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return str(path)


@pytest.fixture
def terminal(tmp_path: Path, database_url: URL) -> Terminal:
    return Terminal(tmp_path, database_url)


@pytest.fixture
def told(terminal: Terminal) -> Terminal:
    """Two customers have bought, one has spent, and the first midnight that matters is settled."""
    terminal.ok("import", "events", terminal.file("events.csv", EVENTS))
    terminal.ok("award")
    terminal.ok("import", "events", terminal.file("spends.csv", SPENDS))
    terminal.ok("expire", "--as-of", "2026-01-12")
    return terminal


def test_a_history_is_told_settled_and_looked_at(told: Terminal) -> None:
    ann, bob = told.rows("balances")
    assert list(ann)[:6] == ["customer_id", "collected", "redeemed", "expired", "cancelled", "balance"]
    assert (ann["collected"], ann["redeemed"], ann["expired"], ann["balance"]) == ("50", "30", "20", "0")
    assert (bob["collected"], bob["expired"], bob["balance"]) == ("20", "0", "20")
    assert told.rows("balances", "--as-of", "2026-01-03")[0]["balance"] == "50"
    assert told.rows("upcoming") == [{"expires_on": "2026-01-13", "customers": "1", "points": "20"}]
    assert told.rows("rollforward")[0]["closing"] == "20"
    assert "holds" in told.ok("reconcile")
    [seen] = json.loads(told.ok("profile", "bob", "--format", "json"))
    assert (seen["balance"], seen["lots"][0]["remaining"]) == (20, 20)


def test_the_same_command_again_changes_nothing(told: Terminal) -> None:
    before = told.ok("balances", "--format", "csv")
    assert told.rows("import", "events", str(told.folder / "events.csv"))[0]["stored"] == "0"
    assert told.rows("award")[0]["award_count"] == "0"
    told.ok("expire", "--as-of", "2026-01-12")
    assert told.ok("balances", "--format", "csv") == before


def test_a_definition_is_explained(told: Terminal) -> None:
    said = told.ok("explain", "a7d340ac-906d-49af-83a1-fbe4015bc76f", "--as-of", "2026-01-12")
    assert "matured_points" in said
    assert "SELECT" in said
    assert "Scan" in said
    parts = told.ok("explain", "current_balance", "--profile", "bob", "--as-of", "2026-01-12")
    assert "collected_points" in parts
    assert "did you mean" in told.fails("explain", "points_to_expyre")


def test_a_broken_invariant_is_shown_with_its_rows(told: Terminal) -> None:
    engine = open_engine(told.url)
    with transaction(engine) as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("UPDATE loyalty.account SET balance = balance + 5"))
    engine.dispose()
    said = told.fails("reconcile")
    assert "1_balance_is_the_sum: 2 offending rows" in said
    assert "customer_id=bob, balance=25, sum_of_events=20" in said


def test_two_of_the_same_command_at_once(terminal: Terminal) -> None:
    terminal.ok("import", "events", terminal.file("events.csv", EVENTS))
    commands = [("award",), ("award",), ("expire", "--from", "2026-01-01", "--to", "2026-02-01")] * 2
    started = [terminal.start(*words) for words in commands]
    assert [process.wait() for process in started] == [0] * 6
    terminal.ok("award")
    terminal.ok("expire", "--as-of", "2026-02-01")
    assert sum(int(row["expired"]) for row in terminal.rows("balances")) == 70
    terminal.ok("reconcile")


def test_a_database_that_is_down(terminal: Terminal) -> None:
    said = terminal.fails("balances", url="postgresql://nobody:secret@127.0.0.1:1/loyalty")
    assert "no database answers at postgresql" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("url", "said"),
    [("mysql://localhost/x", "the ledger lives in PostgreSQL"), ("what is this", "is no database URL")],
)
def test_a_url_of_something_else(terminal: Terminal, url: str, said: str) -> None:
    assert said in terminal.fails("balances", url=url)


@pytest.mark.parametrize(("version", "said"), [("0000", "too new"), (None, "no loyalty schema yet")])
def test_a_schema_that_does_not_fit(terminal: Terminal, version: str | None, said: str) -> None:
    engine = open_engine(terminal.url)
    with transaction(engine) as connection:
        if version:
            connection.execute(text("UPDATE loyalty.schema_version SET version_num = :v"), {"v": version})
        else:
            connection.execute(text("DROP SCHEMA loyalty CASCADE"))
    engine.dispose()
    assert said in terminal.fails("balances")


PROGRAM_FAULTS = {
    "an unknown key": (lambda t: t + "time_zone: UTC\n", ["time_zone", "did you mean 'timezone'?"]),
    "an unknown zone": (lambda t: t.replace("UTC", "Europe/Warsav"), ["Europe/Warsav", "Europe/Warsaw"]),
    "a negative validity": (lambda t: t.replace("validity_days: 10", "validity_days: -3"), ["validity_days", "-3"]),
    "a rule that earns what is not there": (
        lambda t: t.replace("earns: points.loyalty", "earns: points.loyalti"), ["points.loyalti"],
    ),
    "a ring of definitions": (
        lambda t: t
        + "definitions:\n  expressions:\n"
        + "    - {name: one, formula: {type: expression, name: two}}\n"
        + "    - {name: two, formula: {type: expression, name: one}}\n",
        ["one", "two"],
    ),
    "no YAML at all": (lambda _: "name: [", ["program.yaml"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", PROGRAM_FAULTS)
def test_a_program_with_a_fault_is_refused_by_every_command(terminal: Terminal, fault: str) -> None:
    spoil, words = PROGRAM_FAULTS[fault]
    terminal.program.write_text(spoil(PROGRAM), encoding="utf-8")
    for command in (("check",), ("balances",)):
        said = terminal.fails(*command)
        assert str(terminal.program) in said
        assert all(word in said for word in words), said


def test_all_faults_are_listed_at_once(terminal: Terminal) -> None:
    spoiled = PROGRAM.replace("UTC", "Mars/Base").replace("EUR", "euros") + "colour: red\n"
    terminal.program.write_text(spoiled, encoding="utf-8")
    assert terminal.fails("check").count("error:") == 3


def test_a_validity_that_changes_the_past_asks_first(told: Terminal) -> None:
    told.program.write_text(PROGRAM.replace("validity_days: 10", "validity_days: 20"), encoding="utf-8")
    assert "points.loyalty is valid for 20 days instead of 10" in told.fails("expire", "--as-of", "2026-01-13")
    told.ok("program", "apply", "--resettle")
    told.ok("expire", "--as-of", "2026-01-13")
    assert [row["expired"] for row in told.rows("balances")] == ["0", "0"]
    told.ok("reconcile")


EXPIRE: dict[str, tuple[tuple[str, ...], str]] = {
    "no date": (("--as-of", "yesterday"), "'yesterday' is no date"),
    "half a range": (("--from", "2026-01-01"), "both --from DAY and --to DAY"),
    "backwards": (("--from", "2026-01-02", "--to", "2026-01-01"), "lies before"),
    "the future": (("--as-of", "2999-01-01"), "has not begun yet"),
    "an unknown segment": (("--as-of", "2026-01-01", "--segment", "points_to_expir"), "mean 'points_to_expire'?"),
}  # fmt: skip


@pytest.mark.parametrize("case", EXPIRE)
def test_expire_refuses_what_it_cannot_do(terminal: Terminal, case: str) -> None:
    words, said = EXPIRE[case]
    assert said in terminal.fails("expire", *words)


def test_the_version_is_that_of_the_package() -> None:
    said = CliRunner().invoke(app, ["--version"])
    assert (said.exit_code, said.output) == (0, f"loyalty {metadata.version('loyalty-expiry')}\n")


def test_an_unknown_customer(terminal: Terminal) -> None:
    assert "no customer 'eve' is known" in terminal.fails("profile", "eve")


def test_rejected_rows_are_said_and_the_others_stored(terminal: Terminal) -> None:
    rows = EVENTS + "eve,transaction.charge,someday,3,1,\n"
    done = terminal.run("import", "events", terminal.file("events.csv", rows), "--format", "csv")
    assert done.exit_code == 1
    assert "1 rows were rejected: see " in done.stderr
    assert [row["customer_id"] for row in terminal.rows("balances")] == ["ann", "bob"]


def test_an_error_of_a_real_process_is_one_line(terminal: Terminal) -> None:
    command = [str(Path(sys.executable).with_name("loyalty")), "profile", "eve"]
    done = subprocess.run(command, env=os.environ | terminal.environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: no customer 'eve' is known\n")
