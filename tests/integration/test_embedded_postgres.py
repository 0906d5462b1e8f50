"""The embedded PostgreSQL really is started, attacked, killed and stopped."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from loyalty.errors import LoyaltyError
from loyalty.local import server_place
from loyalty.local.postgres import EmbeddedPostgres
from loyalty.local.processes import working_in

START = "import sys; from pathlib import Path; from loyalty.local.postgres import EmbeddedPostgres as E; "


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home below a folder that nobody but its owner may enter, as a clone in ``mktemp -d`` is.

    Its server lies where it does outside of tests, since other processes must find it.
    """
    monkeypatch.setattr(server_place, "SYSTEM_ROOT", Path("/var/lib"))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    return closed / "home"


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(home)
    server.start()
    yield server
    server.remove()


def ask(server: EmbeddedPostgres, question: str, database: str = "postgres") -> object:
    engine = create_engine(server.url(database))
    try:
        with engine.connect() as connection:
            return connection.execute(text(question)).scalar_one()
    finally:
        engine.dispose()


def data_folder(server: EmbeddedPostgres) -> Path:
    return Path(str(ask(server, "SHOW data_directory")))


def postmaster(server: EmbeddedPostgres) -> int:
    return int((data_folder(server) / "postmaster.pid").read_text().splitlines()[0])


def refused(server: EmbeddedPostgres, **changes: object) -> str:
    address = make_url(server.url("postgres"))
    where = {"host": address.query["host"], "port": address.query["port"], "hostaddr": ""}
    login = {"user": address.username, "password": "wrong", "dbname": "postgres"}
    with pytest.raises(psycopg.OperationalError) as failure:
        psycopg.connect(**(where | login | changes)).close()
    return str(failure.value)


def test_starting_twice_changes_nothing(server: EmbeddedPostgres) -> None:
    before = postmaster(server)
    server.start()
    assert postmaster(server) == before
    assert server.running()


@pytest.mark.parametrize("host", [{}, {"host": "127.0.0.1"}], ids=["socket", "tcp"])
@pytest.mark.parametrize("password", ["wrong", ""])
def test_without_the_password_nobody_enters(server: EmbeddedPostgres, host: dict[str, str], password: str) -> None:
    assert "password" in refused(server, password=password, **host)


def test_nothing_is_trusted(server: EmbeddedPostgres) -> None:
    rules = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules"
    assert ask(server, rules) == "scram-sha-256"
    assert ask(server, "SHOW listen_addresses") == "127.0.0.1"


def test_secrets_are_readable_by_their_owner_alone(server: EmbeddedPostgres) -> None:
    for path in server.keep.iterdir():
        if path.is_file() and path.name not in ("server.log", "lock"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_password_over_tcp_is_accepted(server: EmbeddedPostgres) -> None:
    address = make_url(server.url("postgres"))
    login = {"user": address.username, "password": address.password, "dbname": "postgres"}
    with psycopg.connect(host="127.0.0.1", port=str(address.query["port"]), **login) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_is_ensured_once(server: EmbeddedPostgres) -> None:
    server.ensure_database("points")
    server.ensure_database("points")
    assert ask(server, "SELECT current_database()", "points") == "points"


def test_two_processes_starting_at_once_end_with_one_server(home: Path) -> None:
    server = EmbeddedPostgres(home)
    command = [sys.executable, "-c", START + "E(Path(sys.argv[1])).start()", str(home)]
    try:
        starters = [subprocess.Popen(command) for _ in range(3)]
        assert [starter.wait(120) for starter in starters] == [0, 0, 0]
        assert ask(server, "SELECT 1") == 1
        parents = parents_in(data_folder(server))
        assert len([parent for parent in parents if parent != postmaster(server)]) == 1
    finally:
        server.remove()


def parents_in(folder: Path) -> list[int]:
    """Whose child each process is that works in ``folder``; those that end meanwhile are left out."""
    parents = []
    for pid in working_in(folder):
        with suppress(psutil.NoSuchProcess):
            parents.append(psutil.Process(pid).ppid())
    return parents


def test_a_killed_server_starts_again_and_has_what_was_committed(server: EmbeddedPostgres) -> None:
    engine = create_engine(server.url("postgres"))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 42 AS points"))
    engine.dispose()
    os.kill(postmaster(server), signal.SIGKILL)
    server.start()
    assert ask(server, "SELECT points FROM kept") == 42


def test_a_stale_pid_that_is_anothers_now_does_not_block_the_start(server: EmbeddedPostgres) -> None:
    pid_file = data_folder(server) / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    os.kill(int(lines[0]), signal.SIGKILL)
    with subprocess.Popen(["sleep", "60"]) as other:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert not server.running()
        server.start()
        assert ask(server, "SELECT 1") == 1
        assert other.poll() is None
        other.kill()


def test_stop_leaves_no_process_and_can_be_repeated(server: EmbeddedPostgres) -> None:
    folder = data_folder(server)
    server.stop()
    server.stop()
    assert working_in(folder) == []
    assert not server.running()


def test_port_and_password_survive_a_restart(server: EmbeddedPostgres) -> None:
    before = server.url("postgres")
    server.stop()
    server.start()
    assert server.url("postgres") == before


def test_the_callers_pg_variables_do_not_reach_the_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("PGHOST", "/nowhere")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    server = EmbeddedPostgres(home)
    try:
        server.start()
        server.ensure_database("points")
    finally:
        server.remove()


def test_remove_leaves_nothing(home: Path) -> None:
    server = EmbeddedPostgres(home)
    server.start()
    folder = data_folder(server)
    server.remove()
    server.remove()
    assert not folder.parent.exists()
    assert not server.keep.exists()


def test_a_home_that_was_never_started_says_so(home: Path) -> None:
    server = EmbeddedPostgres(home)
    server.stop()
    server.remove()
    assert not server.running()
    with pytest.raises(LoyaltyError, match="never started"):
        server.url("postgres")


def test_a_server_that_cannot_start_shows_its_log(server: EmbeddedPostgres) -> None:
    folder = data_folder(server)
    server.stop()
    (folder / "global" / "pg_control").unlink()
    with pytest.raises(LoyaltyError, match="pg_control"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must borrow another user")
def test_as_root_the_server_is_another_users_and_closed_folders_stay_closed(server: EmbeddedPostgres) -> None:
    assert Path(f"/proc/{postmaster(server)}").stat().st_uid != 0
    assert stat.S_IMODE(server.home.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's data lie in the home")
def test_as_root_a_copied_home_does_not_take_the_originals_data(server: EmbeddedPostgres, tmp_path: Path) -> None:
    copy = EmbeddedPostgres(tmp_path / "copy")
    copy.keep.mkdir(parents=True)
    (copy.keep / "id").write_text((server.keep / "id").read_text())
    with pytest.raises(LoyaltyError, match="is a copy of"):
        copy.start()
    with pytest.raises(LoyaltyError, match="is a copy of"):
        copy.remove()
    assert server.running()
