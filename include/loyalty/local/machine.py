"""PostgreSQL's settings for the machine that is found: its memory, its disk, its shared memory."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

MIB = 1024**2
GIB = 1024**3
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

ACCESS = """local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


@dataclass(frozen=True)
class Machine:
    """Sizes in bytes; ``shared_memory`` is the room in /dev/shm, None where there is none."""

    memory: int
    cpus: int
    free_disk: int
    shared_memory: int | None


def this_machine(folder: Path) -> Machine:
    """The machine as this process may use it, container limits included; the disk is the one that holds ``folder``."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    shared = Path("/dev/shm")  # noqa: S108 - measured, not written to
    return Machine(
        memory=min([physical, *_cgroup_limits()]),
        cpus=os.cpu_count() or 1,
        free_disk=shutil.disk_usage(folder).free,
        shared_memory=shutil.disk_usage(shared).total if shared.is_dir() else None,
    )


def configuration(machine: Machine, port: int, sockets: Path) -> str:
    """The text of postgresql.conf: tuned for ``machine``, and open on 127.0.0.1 and in ``sockets`` only."""
    settings = server_settings(machine) | {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "password_encryption": "scram-sha-256",
    }
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def server_settings(machine: Machine) -> dict[str, str]:
    """Settings that use a quarter of the memory as cache, and keep every promise about durability."""
    wal = _between(machine.free_disk // 10, 256 * MIB, 8 * GIB)
    return {
        "shared_buffers": _mib(_between(machine.memory // 4, 64 * MIB, 8 * GIB)),
        "effective_cache_size": _mib(_between(machine.memory * 6 // 10, 128 * MIB, 256 * GIB)),
        "work_mem": _mib(_between(machine.memory // 256, 8 * MIB, 128 * MIB)),
        "maintenance_work_mem": _mib(_between(machine.memory // 16, 64 * MIB, 2 * GIB)),
        "max_wal_size": _mib(wal),
        "min_wal_size": _mib(wal // 4),
        # pglz, which every build has, costs a sixth of a night, and makes its WAL a fourteenth less.
        "wal_compression": "off",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "autovacuum_naptime": "15s",
        "max_connections": "200",
        # With fewer than two the planner sees no gain where each process adds up partitions of its own.
        "max_parallel_workers": str(max(2, machine.cpus)),
        "max_parallel_workers_per_gather": str(_between(machine.cpus // 2, 2, 4)),
        "dynamic_shared_memory_type": _dynamic_shared_memory(machine),
        "synchronous_commit": "on",
        "fsync": "on",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
    }


def _dynamic_shared_memory(machine: Machine) -> str:
    """A container's /dev/shm of 64 MB is too small for parallel queries; System V memory has no such limit."""
    small = machine.shared_memory is not None and machine.shared_memory < GIB
    return "sysv" if small else "posix"


def _cgroup_limits() -> list[int]:
    found = (path.read_text(encoding="ascii").strip() for path in CGROUP_LIMITS if path.is_file())
    return [int(limit) for limit in found if limit.isdigit()]


def _between(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))


def _mib(size: int) -> str:
    return f"{size // MIB}MB"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
