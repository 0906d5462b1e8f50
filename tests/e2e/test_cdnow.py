"""Real purchases, every day of them, through the command line; and the same net however the days were run."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL
from typer.testing import CliRunner

from databases import HOME, cloned
from ledger import settle
from loyalty.cli import app, session
from loyalty.definitions.load_catalog import load_catalog
from loyalty.definitions.load_program import load_program
from loyalty.local.cdnow import fetch_purchases
from loyalty.local.demo import PROGRAM
from loyalty.local.simulation import Story, play, read_points, write_redemptions
from loyalty.model.catalog import Catalog
from loyalty.model.program import Program
from loyalty.services.reconcile import broken, reconcile
from loyalty.store.database import open_engine, transaction

FIRST, LAST = date(1997, 1, 1), date(1998, 6, 30)
DAYS = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
# Computed independently: validity 182 days, whole dollars of each row, expire then earn then redeem on a day.
TOTALS = {
    "nobody redeems": (2_453_159, 0, 1_984_168, 468_991),
    "full hundreds are redeemed": (2_453_159, 1_357_600, 891_032, 204_527),
}
CLAMPED = (2_453_159, 1_164_600, 1_126_183, 162_376)
Nets = dict[tuple[str, date], int]


def exhaustive(case: str) -> Any:
    """A case that adds certainty and minutes: it runs with `make test ALL=1`."""
    return pytest.param(case, marks=pytest.mark.exhaustive)


@pytest.fixture(scope="module", autouse=True)
def kept_engines() -> Iterator[dict[str, Engine]]:
    """Commands of one process keep its definitions and connections: the days take some thousands of commands."""
    engines: dict[str, Engine] = {}

    def kept_engine(url: str) -> Engine:
        if url not in engines:
            engines[url] = open_engine(url)
            patch.setattr(engines[url], "dispose", lambda: None)
        return engines[url]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "load_program", cache(session.load_program))
        patch.setattr(session, "load_catalog", kept_catalog)
        patch.setattr(session, "open_engine", kept_engine)
        yield engines
        close_all(engines)


def close_all(engines: Mapping[str, Engine]) -> None:
    for engine in engines.values():
        Engine.dispose(engine)


@lru_cache
def kept_catalog_of(program_json: str, source: str) -> Catalog:
    return load_catalog(Program.model_validate_json(program_json), source)


def kept_catalog(program: Program, source: str) -> Catalog:
    return kept_catalog_of(program.model_dump_json(), source)


@pytest.fixture(scope="module")
def purchases() -> Path:
    return fetch_purchases(Path(os.environ[HOME]) / "cdnow")


@pytest.fixture(scope="module")
def stories(purchases: Path) -> Mapping[str, Mapping[str, Story]]:
    redeemed = {customer: play(earned, LAST) for customer, earned in read_points(purchases).items()}
    kept = {customer: play(earned, LAST, redeems=False) for customer, earned in read_points(purchases).items()}
    return {"nobody redeems": kept, "full hundreds are redeemed": redeemed}


@pytest.fixture(scope="module")
def history(
    server: URL,
    template: str,
    purchases: Path,
    stories: Mapping[str, Mapping[str, Story]],
    kept_engines: dict[str, Engine],
) -> Iterator[str]:
    """The name of a database with the whole second history in it, and no midnight settled."""
    with cloned(server, template) as url:
        Shell(url).record_all(purchases, stories["full hundreds are redeemed"])
        close_all(kept_engines)  # nobody may be connected to what is copied
        yield str(url.database)


class Shell:
    """The command line, on one database."""

    def __init__(self, url: URL, program: Path = PROGRAM) -> None:
        self.url = url
        self.environment = {
            "LOYALTY_DATABASE_URL": url.render_as_string(hide_password=False),
            "LOYALTY_PROGRAM": str(program),
        }

    def loyalty(self, *words: str) -> str:
        done = CliRunner().invoke(app, words, env=self.environment, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        command = [str(Path(sys.executable).with_name("loyalty")), *words]
        return subprocess.Popen(command, env=os.environ | self.environment, stdout=subprocess.DEVNULL)

    def record_all(self, purchases: Path, stories: Mapping[str, Story]) -> None:
        redemptions = purchases.with_name(f"redemptions-{os.getpid()}.csv")
        write_redemptions(stories, redemptions)
        for words in (["import", "events", str(purchases)], ["award"], ["import", "events", str(redemptions)]):
            self.loyalty(*words)

    def nets(self) -> Nets:
        engine = open_engine(self.url)
        with transaction(engine) as connection:
            assert broken(reconcile(connection)) == []
            rows = connection.execute(
                text(
                    "SELECT customer_id, timezone('UTC', occurred_at)::date AS midnight, "
                    "-sum(points)::bigint AS points FROM loyalty.event JOIN loyalty.profile USING (profile_id) "
                    "WHERE action IN ('points.expire', 'points.restore') GROUP BY 1, 2 HAVING sum(points) <> 0"
                )
            ).all()
        engine.dispose()
        return {(row.customer_id, row.midnight): row.points for row in rows}

    def totals(self) -> tuple[int, int, int, int]:
        rows = list(csv.DictReader(self.loyalty("balances", "--format", "csv").splitlines()))
        earned, redeemed, expired, closing = (
            sum(int(row[name]) for row in rows) for name in ("collected", "redeemed", "expired", "balance")
        )
        return earned, redeemed, expired, closing


def expected(stories: Mapping[str, Story]) -> Nets:
    return {(who, day): points for who, story in stories.items() for day, points in story.expired.items()}


@pytest.mark.parametrize("policy", [exhaustive("nobody redeems"), exhaustive("full hundreds are redeemed")])
def test_the_whole_history_first_and_the_days_afterwards(
    database_url: URL, purchases: Path, stories: Mapping[str, Mapping[str, Story]], policy: str
) -> None:
    shell = Shell(database_url)
    shell.record_all(purchases, stories[policy])
    shell.loyalty("expire", "--from", str(FIRST), "--to", str(LAST))
    assert shell.nets() == expected(stories[policy])
    assert shell.totals() == TOTALS[policy]


@pytest.mark.parametrize("policy", [exhaustive("nobody redeems"), exhaustive("full hundreds are redeemed")])
def test_events_in_the_order_of_time_with_the_runs_between_them(
    database_url: URL, tmp_path: Path, purchases: Path, stories: Mapping[str, Mapping[str, Story]], policy: str
) -> None:
    shell = Shell(database_url)
    redemptions = tmp_path / "redemptions.csv"
    write_redemptions(stories[policy], redemptions)
    bought, spent = by_day(purchases, tmp_path), by_day(redemptions, tmp_path)
    for day in DAYS:
        shell.loyalty("expire", "--as-of", str(day))
        if day in bought:
            shell.loyalty("import", "events", str(bought[day]))
            shell.loyalty("award")
        if day in spent:
            shell.loyalty("import", "events", str(spent[day]))
    assert shell.nets() == expected(stories[policy])
    assert shell.totals() == TOTALS[policy]


def in_random_order() -> list[date]:
    return random.Random(1).sample(DAYS, len(DAYS))


AT_ONCE = "one single run as of the last day"
WAYS = {
    "days in random order": in_random_order(),
    "days in reverse": DAYS[::-1],
    "every day twice": [day for day in DAYS for _ in range(2)],
    AT_ONCE: [LAST],
    "a second time over days already run": [*DAYS[:400], *DAYS[300:]],
}


@pytest.mark.parametrize("way", [AT_ONCE, *map(exhaustive, sorted(WAYS.keys() - {AT_ONCE}))])
def test_the_net_does_not_depend_on_the_runs(
    server: URL, history: str, stories: Mapping[str, Mapping[str, Story]], way: str
) -> None:
    with cloned(server, history) as url:
        engine = open_engine(url)
        with engine.connect() as connection:
            for day in WAYS[way]:
                settle(connection, load_program(PROGRAM), day)
        engine.dispose()
        assert Shell(url).nets() == expected(stories["full hundreds are redeemed"])
        assert Shell(url).totals() == TOTALS["full hundreds are redeemed"]


@pytest.mark.exhaustive
@pytest.mark.parametrize("kills", [3, 8])
def test_the_net_does_not_depend_on_kills(
    server: URL, history: str, stories: Mapping[str, Mapping[str, Story]], kills: int
) -> None:
    chance, command = random.Random(2), ("expire", "--from", str(FIRST), "--to", str(LAST))
    with cloned(server, history) as url:
        shell = Shell(url)
        for _ in range(kills):
            process = shell.start(*command)
            time.sleep(chance.uniform(2.0, 6.0))
            process.send_signal(signal.SIGKILL)
            process.wait()
        shell.loyalty(*command)
        assert shell.nets() == expected(stories["full hundreds are redeemed"])


@pytest.mark.exhaustive
def test_the_net_does_not_depend_on_the_order_of_arrival(
    database_url: URL, tmp_path: Path, purchases: Path, stories: Mapping[str, Mapping[str, Story]]
) -> None:
    """Purchases and redemptions arrive in ten parts, shuffled across all days, with runs of random days between.

    A redemption may come before what it was paid with, or after that has expired: the program allows debt.
    """
    chance, redeemed = random.Random(3), stories["full hundreds are redeemed"]
    program = tmp_path / "program.yaml"
    program.write_text(PROGRAM.read_text(encoding="utf-8") + "allow_debt: true\n", encoding="utf-8")
    shell = Shell(database_url, program)
    for part in shuffled_parts(purchases, redeemed, tmp_path, chance):
        shell.loyalty("import", "events", str(part))
        shell.loyalty("award")
        shell.loyalty("expire", "--as-of", str(chance.choice(DAYS)))
    shell.loyalty("expire", "--as-of", str(LAST))
    assert shell.nets() == expected(redeemed)
    assert shell.totals() == TOTALS["full hundreds are redeemed"]


def shuffled_parts(purchases: Path, stories: Mapping[str, Story], folder: Path, chance: random.Random) -> list[Path]:
    """Ten files; each event has an id of its own, since identical rows may come in different files."""
    redemptions = folder / "redemptions.csv"
    write_redemptions(stories, redemptions)
    rows = [*read_rows(purchases), *read_rows(redemptions)]
    chance.shuffle(rows)
    numbered = [{"event_id": str(n), **row} for n, row in enumerate(rows)]
    return [write_rows(numbered[n::10], folder / f"part{n}.csv") for n in range(10)]


def by_day(path: Path, folder: Path) -> dict[date, Path]:
    """A file for each day on which something happened."""
    days: dict[date, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows(path):
        days[date.fromisoformat(row["occurred_at"][:10])].append(row)
    return {day: write_rows(rows, folder / f"{path.stem}-{day}.csv") for day, rows in days.items()}


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(rows: list[dict[str, str]], path: Path) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_clamp_would_be_caught(stories: Mapping[str, Mapping[str, Story]]) -> None:
    """min(lot, balance), the widely used algorithm, takes points that were spent: its totals are not the right ones."""
    played = [_clamp(story.earned) for story in stories["nobody redeems"].values()]
    earned, redeemed, lapsed = (sum(column) for column in zip(*played, strict=True))
    assert (earned, redeemed, lapsed, earned - redeemed - lapsed) == CLAMPED
    assert TOTALS["full hundreds are redeemed"] != CLAMPED


def _clamp(earned: Mapping[date, int]) -> tuple[int, int, int]:
    balance = redeemed = lapsed = 0
    for day in sorted({*earned, *(bought + timedelta(days=182) for bought in earned)}):
        if day > LAST:
            break
        taken = min(earned.get(day - timedelta(days=182), 0), balance)
        lapsed += taken
        balance += earned.get(day, 0) - taken
        if day in earned:
            redeemed += balance // 100 * 100
            balance %= 100
    return sum(earned.values()), redeemed, lapsed
