"""Where this installation keeps its things, read from the environment once per call."""

import os
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parents[1]


@dataclass(frozen=True)
class Settings:
    """``database_url`` is None where the embedded PostgreSQL serves; ``home`` is where that one and Airflow live."""

    database_url: str | None
    program: Path
    home: Path


def load_settings() -> Settings:
    """The settings of this process: LOYALTY_DATABASE_URL, LOYALTY_PROGRAM, LOYALTY_HOME, else the defaults."""
    program = os.environ.get("LOYALTY_PROGRAM")
    home = os.environ.get("LOYALTY_HOME")
    return Settings(
        database_url=os.environ.get("LOYALTY_DATABASE_URL") or None,
        program=Path(program) if program else PACKAGE / "definitions" / "program.yaml",
        home=Path(home) if home else _default_home(),
    )


def _default_home() -> Path:
    if (PROJECT / "pyproject.toml").exists():
        return PROJECT / ".loyalty"
    return Path.home() / ".local" / "share" / "loyalty"
