"""Where this installation keeps its things, read from the environment once per call."""

import os
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PROJECT = PACKAGE.parents[1]


@dataclass(frozen=True)
class Settings:
    """``database_url`` is None where the embedded PostgreSQL serves; ``home`` is where that one and Airflow live.

    ``smtp_url`` is None where no mail server is named.
    """

    database_url: str | None
    program: Path
    home: Path
    smtp_url: str | None = None


def load_settings() -> Settings:
    """The settings of this process: LOYALTY_DATABASE_URL, LOYALTY_PROGRAM, LOYALTY_HOME, LOYALTY_SMTP_URL, else
    the defaults.

    The program is the file named, else ``program.yaml`` of the home, else the one that is shipped.
    """
    program = os.environ.get("LOYALTY_PROGRAM")
    home = Path(os.environ.get("LOYALTY_HOME") or _default_home()).expanduser().absolute()
    return Settings(
        database_url=os.environ.get("LOYALTY_DATABASE_URL") or None,
        program=Path(program).expanduser().absolute() if program else _program_of(home),
        home=home,
        smtp_url=os.environ.get("LOYALTY_SMTP_URL") or None,
    )


def _program_of(home: Path) -> Path:
    own = home / "program.yaml"
    return own if own.exists() else PACKAGE / "definitions" / "program.yaml"


def _default_home() -> Path:
    if (PROJECT / "pyproject.toml").exists():
        return PROJECT / ".loyalty"
    return Path.home() / ".local" / "share" / "loyalty"
