"""The demonstration: real purchases, real expiries, and every number held against an independent computation."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from sqlalchemy import Engine, text

from loyalty.errors import LoyaltyError
from loyalty.local.airflow_api import Run, wait_for_runs
from loyalty.local.cdnow import fetch_purchases
from loyalty.local.simulation import Story, play_all, write_redemptions
from loyalty.local.stack import Stack
from loyalty.settings import Settings
from loyalty.store.database import open_engine, transaction

DATABASE = "loyalty"
DAG = "rolling_expiry"
FIRST, LAST = date(1997, 1, 1), date(1998, 6, 30)
MISSED = 14
PROGRAM = Path(__file__).with_name("demo_program.yaml")
EXPIRED = text(
    "SELECT profile.customer_id, timezone('UTC', event.occurred_at)::date AS midnight, "
    "-sum(event.points)::bigint AS points FROM loyalty.event JOIN loyalty.profile USING (profile_id) "
    "WHERE event.action IN ('points.expire', 'points.restore') GROUP BY 1, 2 HAVING sum(event.points) <> 0"
)


def run_demo(settings: Settings, console: Console) -> None:
    """The demonstration has run, its numbers agree with the simulation, and nothing that it started is left running."""
    started = time.monotonic()
    demo = Demo(settings, console)
    try:
        demo.run()
    finally:
        demo.stack.stop()
    console.print(
        f"\nDone in {time.monotonic() - started:.0f} s. [bold]make up[/] opens the Airflow UI on what you saw;"
    )
    console.print("[bold].venv/bin/loyalty --help[/] lists what else there is, [bold]make clean[/] removes it all.")


class Demo:
    """The steps, in the order in which they are told."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self.settings = settings
        self.console = console
        self.stack = Stack(settings, DATABASE)

    def run(self) -> None:
        """Every step has run, or an error says which did not."""
        last_night_run = LAST - timedelta(days=MISSED)
        self._tell("A ledger in PostgreSQL, keeping to the program of the demonstration")
        self._place_program()
        self._loyalty("db", "upgrade")
        self._tell("69,659 real purchases of 23,570 customers, 1997-01-01 to 1998-06-30 (CDNOW)")
        purchases = fetch_purchases(self.settings.home)
        stories = play_all(purchases, LAST)
        redemptions = purchases.with_name("redemptions.csv")
        write_redemptions(stories, redemptions)
        self._loyalty("import", "events", str(purchases))
        self._loyalty("award")
        self._tell("Whoever has 100 points or more on a day of purchase redeems every full hundred")
        self._loyalty("import", "events", str(redemptions))
        self._tell(f"Expire every day up to {last_night_run}, then miss {MISSED} days")
        runs = json.loads(
            self._loyalty("expire", "--from", str(FIRST), "--to", str(last_night_run), "--format", "json", echo=False)
        )
        self._say(f"{len(runs)} midnights settled, {sum(run['points'] for run in runs):,} points expired")
        self._tell(
            f"Real Airflow makes up the missed days {last_night_run + timedelta(days=1)} to {LAST} by a backfill"
        )
        self._backfill(last_night_run + timedelta(days=1), LAST)
        self._tell("Every invariant of the ledger")
        self._loyalty("reconcile")
        self._tell("Every customer and midnight, held against a simulation in plain Python")
        self._compare(stories)
        self._tell("The points of the program, month by month")
        self._loyalty("rollforward")

    def _place_program(self) -> None:
        own = self.settings.home / "program.yaml"
        if not own.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROGRAM, own)

    def _loyalty(self, *words: str, echo: bool = True) -> str:
        self.console.print("[dim]$ loyalty " + " ".join(words) + "[/]", soft_wrap=True)
        command = [str(Path(sys.executable).with_name("loyalty")), *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise LoyaltyError(f"`loyalty {' '.join(words)}` ended with {done.returncode}\n{done.stdout}")
        if echo:
            self.console.print(done.stdout.rstrip(), soft_wrap=True, markup=False)
        return done.stdout

    def _backfill(self, first: date, last: date) -> None:
        self.stack.start()
        with self.stack.airflow.api() as airflow:
            airflow.wait_for_dag(DAG)
            airflow.unpause(DAG)
            self._say(f"Airflow is ready at {self.stack.airflow.url}")
            airflow.create_backfill(DAG, first, last, reprocess="failed")
            runs = wait_for_runs(lambda: airflow.runs(DAG, first, last), (last - first).days + 1, self._say_run, 240)
        failed = [run.partition_key for run in runs if run.state != "success"]
        if failed:
            raise LoyaltyError(f"runs failed for {failed}; their logs are below {self.stack.airflow.folder / 'logs'}")

    def _compare(self, stories: Mapping[str, Story]) -> None:
        wanted = {(who, day): points for who, story in stories.items() for day, points in story.expired.items()}
        with transaction(self._engine()) as connection:
            found = {(row.customer_id, row.midnight): row.points for row in connection.execute(EXPIRED)}
        if wanted != found:
            differing = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
            raise LoyaltyError(f"{len(differing)} customers and midnights differ, the first of them {differing[:5]}")
        self._say(f"{len(found):,} expiries of {len({who for who, _ in found}):,} customers: all equal")

    def _engine(self) -> Engine:
        return open_engine(self.settings.database_url or self.stack.postgres.url(DATABASE))

    def _tell(self, step: str) -> None:
        self.console.print(f"\n[bold]{step}[/]")

    def _say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True)

    def _say_run(self, run: Run) -> None:
        self._say(f"  {run.partition_key}  {run.state}")
