"""One process of Airflow's: started in a session of its own, found again by pid and birth, ended with its children."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from loyalty.errors import LoyaltyError
from loyalty.local.kept import write_private
from loyalty.local.processes import send, started_at, tail, wait_until, works_in

ORPHAN_SECONDS = 10.0
# Held so that a child that ended is reaped by poll(), and no zombie is taken for a living process.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Component:
    """``words`` are Airflow's subcommand (``name``, where empty); ``folder`` is AIRFLOW_HOME, and where it works.

    It has ``longest`` seconds at most to end in good order, however patient the caller is.
    """

    name: str
    folder: Path
    options: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    longest: float = math.inf

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    def start(self, environment: Mapping[str, str]) -> None:
        """The process runs; one that ran already is left alone."""
        if self.pid() is not None:
            return
        self.end(0)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "airflow", *(self.words or (self.name,)), *self.options],
                cwd=self.folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _children[child.pid] = child
        write_private(self._record, json.dumps({"pid": child.pid, "started_at": started_at(child.pid)}))

    def pid(self) -> int | None:
        """The pid of the living process, None for one that ended, whoever has its number now."""
        pid, born = self._recorded()
        return pid if pid and born is not None and started_at(pid) == born else None

    def members(self) -> list[int]:
        """Every living process of this component's session; those of a crashed leader must still be in its folder."""
        leader, _ = self._recorded()
        if leader == 0 or (self.pid() is None and started_at(leader) is not None):
            return []
        found = [pid for pid in psutil.pids() if _session(pid) == leader and started_at(pid) is not None]
        return found if self.pid() else [pid for pid in found if works_in(pid, self.folder)]

    def ask_to_end(self) -> None:
        """The process, or what a crash left of its session, has been told to end in good order."""
        pid = self.pid()
        send([pid] if pid else self.members(), signal.SIGTERM)

    def end(self, patience: float) -> None:
        """Nothing of the session lives; what did after ``patience`` seconds was killed.

        What a crashed leader left behind listens to nobody, and has a few seconds only.
        """
        seconds = min(patience, self.longest, math.inf if self.pid() else ORPHAN_SECONDS)
        if not wait_until(lambda: not self.members(), seconds, interval=0.1):
            for _ in range(3):
                send(self.members(), signal.SIGKILL)
            if not wait_until(lambda: not self.members(), 10):
                raise LoyaltyError(f"processes {self.members()} of Airflow's {self.name} cannot be ended")
        self._record.unlink(missing_ok=True)

    def check(self) -> None:
        """The process lives; otherwise the error shows the end of its log."""
        if self.pid() is None:
            raise LoyaltyError(f"Airflow's {self.name} ended; its log {self.log} ends:\n{tail(self.log, 25)}")

    @property
    def _record(self) -> Path:
        return self.folder / "run" / f"{self.name}.json"

    def _recorded(self) -> tuple[int, float | None]:
        for child in _children.values():
            child.poll()
        try:
            found = json.loads(self._record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0, None
        return int(found["pid"]), found["started_at"]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
