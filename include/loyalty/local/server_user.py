"""Whom PostgreSQL runs as: it refuses root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from loyalty.errors import LoyaltyError

# Nothing of the caller's environment: a PGHOST or PGDATA of somebody else's server must not reach ours.
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class ServerUser:
    """The operating system's user that the server runs as; ``uid`` is None where that is the caller."""

    name: str
    uid: int | None = None
    gid: int | None = None

    def run(self, *command: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """The finished command, run as this user in a clean environment, with its output."""
        return subprocess.run(
            [str(part) for part in command],
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
        )

    def can(self, *command: str | Path) -> bool:
        """Whether the command runs and succeeds as this user."""
        try:
            return self.run(*command).returncode == 0
        except OSError:
            return False

    def own(self, path: Path) -> Path:
        """``path`` belongs to this user."""
        if self.uid is not None:
            os.chown(path, self.uid, self.gid or 0)
        return path

    def own_folder(self, path: Path) -> Path:
        """``path`` is a folder that this user alone may enter."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_symlink() or path.stat().st_uid not in (os.geteuid(), self.uid):
            raise LoyaltyError(f"{path} belongs to somebody else; remove it, or set TMPDIR to a folder of your own")
        path.chmod(0o700)
        return self.own(path)


def server_user() -> ServerUser:
    """The caller, or for root the user ``postgres``, or ``nobody`` where there is no such user."""
    if os.geteuid() != 0:
        return ServerUser(name="the present user")
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in users and users[name].pw_uid != 0:
            return ServerUser(name, users[name].pw_uid, users[name].pw_gid)
    raise LoyaltyError("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as")
