"""What every part of the demonstration stands on: how it tells its steps, and runs the command line."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from sqlalchemy import Engine

from loyalty.errors import LoyaltyError
from loyalty.local.airflow_api import Run
from loyalty.local.mail_sink import MailSink
from loyalty.local.stack import Stack
from loyalty.settings import Settings
from loyalty.store.database import open_engine

DATABASE = "loyalty"
Result = TypeVar("Result")


class Stage:
    """The installation of a demonstration, and the console on which it is told."""

    def __init__(self, settings: Settings, console: Console, mail: MailSink) -> None:
        self.settings = settings
        self.console = console
        self.mail = mail
        self.stack = Stack(settings, DATABASE, mail.airflow_connection)
        self._beside = ThreadPoolExecutor(2)

    def meanwhile(self, work: Callable[[], Result]) -> Future[Result]:
        """The work goes on beside the next steps; whoever asks for its result waits for it, and gets its error."""
        return self._beside.submit(work)

    def end(self) -> None:
        """Nothing goes on any more, and no process is left."""
        self._beside.shutdown(cancel_futures=True)
        self.stack.stop()

    def tell(self, step: str) -> None:
        """A new step begins."""
        self.console.print(f"\n[bold]{step}[/]")

    def say(self, line: str) -> None:
        """A line about the step."""
        self.console.print(line, soft_wrap=True, markup=False)

    def say_run(self, run: Run) -> None:
        """A run has come to another state."""
        self.say(f"  {run.partition_key or run.run_id}  {run.state}")

    def loyalty(self, *words: str, echo: bool = True) -> str:
        """The command has run; returns what it printed."""
        self.console.print("[dim]$ loyalty " + " ".join(words) + "[/]", soft_wrap=True)
        command = [str(Path(sys.executable).with_name("loyalty")), *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise LoyaltyError(f"`loyalty {' '.join(words)}` ended with {done.returncode}\n{done.stdout}")
        if echo:
            self.say(done.stdout.rstrip())
        return done.stdout

    def ledger(self) -> Engine:
        """The ledger of the installation."""
        return open_engine(self.settings.database_url or self.stack.postgres.url(DATABASE))
