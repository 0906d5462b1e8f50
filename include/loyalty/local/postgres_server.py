"""One PostgreSQL server on one folder: created, launched and halted with the wheel's own programs."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from loyalty.errors import LoyaltyError
from loyalty.local.kept import free_port, write_private
from loyalty.local.machine import ACCESS, configuration, this_machine
from loyalty.local.processes import exists, tail, wait_until, working_in, works_in
from loyalty.local.server_place import server_programs
from loyalty.local.server_user import ServerUser

SUPERUSER = "loyalty"
SECONDS = 300
LOG_LIMIT = 10_000_000


@dataclass(frozen=True)
class Server:
    """``place`` holds the data and the log; ``user`` is whom the server runs as."""

    place: Path
    user: ServerUser

    @property
    def folder(self) -> Path:
        return self.place / "data"

    @property
    def log(self) -> Path:
        return self.place / "server.log"

    def postmaster(self) -> int | None:
        """The pid of the living server, None where only a stale file is left of it."""
        lines = self._pid_lines()
        if lines and lines[0].isdigit() and works_in(int(lines[0]), self.folder):
            return int(lines[0])
        return None

    def ready(self) -> bool:
        """Whether the server lives and accepts connections."""
        return self.postmaster() is not None and self._pid_lines()[7:8] == ["ready"]

    def settle(self) -> None:
        """A server that was starting or stopping when its starter went away has become ready, or is gone."""
        wait_until(lambda: self.postmaster() is None or self.ready(), SECONDS)

    def create(self, password: str) -> None:
        """The folder holds a database cluster, made whole or not at all."""
        if (self.folder / "PG_VERSION").exists():
            return
        unfinished = self.place / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        word = self.place / "password.new"
        write_private(word, password)
        try:
            self._initdb(self.user.own_folder(unfinished), self.user.own(word))
        finally:
            word.unlink()
        unfinished.rename(self.folder)

    def launch(self, wanted_port: int | None, sockets: Path) -> int:
        """The server is ready, and listens on the port returned and in the folder ``sockets``."""
        self._clear_the_way(self.user.own_folder(sockets))
        for _ in range(3):
            wanted_port = free_port(wanted_port)
            self._configure(wanted_port, sockets)
            if self._started():
                return wanted_port
        raise LoyaltyError(f"PostgreSQL found no port free; its log {self.log} ends:\n{tail(self.log)}")

    def halt(self) -> None:
        """The server is gone, after a fast and clean shutdown."""
        if self.postmaster() is None:
            return
        done = self._pg_ctl("stop", "-m", "fast")
        if not wait_until(lambda: not working_in(self.folder), 30):
            raise LoyaltyError(f"PostgreSQL did not stop: {done.stderr.strip()}\n{tail(self.log)}")

    def _initdb(self, folder: Path, password_file: Path) -> None:
        options = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        who = [f"--username={SUPERUSER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
        done = self.user.run(self._program("initdb"), "-D", folder, "--no-instructions", *options, *who)
        if done.returncode != 0:
            raise LoyaltyError(f"PostgreSQL's initdb failed in {folder}:\n{done.stderr.strip()}")

    def _configure(self, port: int, sockets: Path) -> None:
        settings = configuration(this_machine(self.folder), port, sockets)
        for name, text in (("postgresql.conf", settings), ("pg_hba.conf", ACCESS)):
            write_private(self.folder / name, text)
            self.user.own(self.folder / name)

    def _started(self) -> bool:
        """Whether pg_ctl started the server; False where another program took the port in the meantime."""
        size = self._prepare_log()
        done = self._pg_ctl("start", "-l", self.log)
        said = tail(self.log, offset=size)
        if done.returncode != 0 and "Address already in use" not in said:
            raise LoyaltyError(f"PostgreSQL did not start: {done.stderr.strip()}\n{self.log} ends:\n{said}")
        return done.returncode == 0

    def _prepare_log(self) -> int:
        self.log.touch(mode=0o600)
        if self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
            self.log.touch(mode=0o600)
        return self.user.own(self.log).stat().st_size

    def _clear_the_way(self, sockets: Path) -> None:
        """After a kill -9 nothing of the old server lives; its pid, be it another's now, blocks nothing."""
        if not wait_until(lambda: not working_in(self.folder), 60):
            raise LoyaltyError(f"processes of a dead PostgreSQL still use {self.folder}: {working_in(self.folder)}")
        for leftover in sockets.glob(".s.PGSQL.*"):
            leftover.unlink()
        lines = self._pid_lines()
        if lines and lines[0].isdigit() and exists(int(lines[0])):
            (self.folder / "postmaster.pid").unlink()

    def _program(self, name: str) -> Path:
        return server_programs(self.place, self.user) / name

    def _pg_ctl(self, verb: str, *options: str | Path) -> CompletedProcess[str]:
        common: list[str | Path] = ["-D", self.folder, "-w", "-t", str(SECONDS)]
        return self.user.run(self._program("pg_ctl"), verb, *common, *options, timeout=SECONDS + 60)

    def _pid_lines(self) -> list[str]:
        try:
            return [line.strip() for line in (self.folder / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []
