"""A real PostgreSQL for links, as another user where the tests run as root: it refuses that."""

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg

from runcast.ids import new_run_id
from runcast.link import Link
from runcast.link.opening import open_link
from tests.helpers.ports import free_ports
from tests.helpers.programs import program
from tests.helpers.wait import MS, wait_until

_PATIENCE = 20000 * MS
_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
    "shared_buffers": "32MB",
    "listen_addresses": "127.0.0.1",
    "autovacuum_naptime": "5s",
}
_NOBODY = "nobody"


def binary(name: str) -> str:
    """Return the path of a program of the server: Debian has them in a folder of their version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else program(name)


def as_user() -> dict[str, object]:
    """Return what starts a process as a user that PostgreSQL does not refuse."""
    if os.geteuid():
        return {}
    user = pwd.getpwnam(_NOBODY)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def folder_for_it() -> Path:
    """Return a new folder of that user's, which is removed at the end: those of pytest are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="runcast-postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if not os.geteuid():
        user = pwd.getpwnam(_NOBODY)
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def run(*command: str) -> None:
    """Run a program of the server's."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={**os.environ, "HOME": "/"},
        **as_user(),
    )  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


@functools.cache
def template() -> Path:
    """Return the data of a server that nobody has used; made once."""
    data = folder_for_it() / "data"
    options = ("--username=admin", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8")
    run(binary("initdb"), f"--pgdata={data}", *options)
    return data


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to processes, of which some may have ended by themselves."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Postgres:
    """A server; ended with the test.

    Attributes:
        port: where it listens.
        options: of its configuration, by name.
    """

    def __init__(self, data: Path | None = None, **options: str) -> None:
        self.folder = folder_for_it()
        self.data = self.folder / "data"
        self.port = free_ports(1)[0]
        self.options = _OPTIONS | options
        self.process: subprocess.Popen[bytes] | None = None
        run("cp", "-a", str(data or template()), str(self.data))

    @property
    def url(self) -> str:
        """The address, for a link."""
        return f"postgresql://admin@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it serves."""
        command = [binary("postgres"), "-D", str(self.data), "-p", str(self.port), "-k", str(self.folder)]
        for name, value in self.options.items():
            command += ["-c", f"{name}={value}"]
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", **as_user()
            )  # type: ignore[call-overload]
        wait_until(self._serves, _PATIENCE, f"a server at {self.port}")

    def _serves(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with contextlib.suppress(psycopg.Error), psycopg.connect(self.url):
            return True
        return False

    def sql(self, command: str, **options: str) -> list[tuple[object, ...]]:
        """Execute a command, as an administrator; return its rows."""
        with psycopg.connect(self.url, autocommit=True, **options) as connection:  # type: ignore[arg-type]
            cursor = connection.execute(command.encode())
            return cursor.fetchall() if cursor.description else []

    def clear(self) -> None:
        """Have it lose all data: whatever is not its own."""
        for [schema] in self.sql(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public$)'"
        ):
            self.sql(f'DROP SCHEMA "{schema}" CASCADE')

    def standby(self) -> "Postgres":
        """Return a server that follows this one, not started yet."""
        copy = self.folder / "copy"
        source = f"postgresql://admin@127.0.0.1:{self.port}/postgres"
        run(
            binary("pg_basebackup"),
            f"--pgdata={copy}",
            f"--dbname={source}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
            "--wal-method=stream",
        )
        return Postgres(copy)

    def promote(self) -> None:
        """Have a standby take over."""
        self.sql("SELECT pg_promote(true)")

    def dump(self) -> Path:
        """Return a backup of all that is in it."""
        backup = self.folder / "backup"
        run(binary("pg_dump"), "--format=custom", f"--file={backup}", self.url)
        return backup

    def restore(self, backup: Path) -> None:
        """Have it as it was, while others are connected."""
        run(binary("pg_restore"), "--clean", "--single-transaction", f"--dbname={self.url}", str(backup))

    def cut(self) -> None:
        """Have it end the sessions of all links, and wait until they have ended."""
        links = "FROM pg_stat_activity WHERE application_name = 'runcast'"
        self.sql(f"SELECT pg_terminate_backend(pid, 10000) {links}")

    def pids(self) -> list[int]:
        """Return its processes, the first one first."""
        assert self.process is not None
        main = self.process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        return [main, *map(int, children)]

    def freeze(self) -> None:
        """Stop all of its processes, with all connections left open."""
        _send(self.pids(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self.process is not None:
            _send(self.pids(), signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, with all of its processes."""
        if self.process is not None:
            pids = self.pids()
            _send(pids, signal.SIGKILL)
            self.process.wait()
            self.process = None
            for pid in pids[1:]:
                wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), _PATIENCE, "its end")  # type: ignore[misc]

    def close(self) -> None:
        """End it, and remove what it has."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def postgres(**options: str) -> Iterator[Postgres]:
    """Give a server."""
    server = Postgres(**options)
    try:
        server.start()
        yield server
    finally:
        server.close()


class PostgresPlace:
    """Links to one server, apart from all others by their schema: what `check_link` wants."""

    def __init__(self, server: Postgres, url: str | None = None) -> None:
        self.server, self.url = server, url or server.url
        self.prefix = f"rc {new_run_id()}"
        self.links: list[Link] = []

    def link(self) -> Link:
        """Return another link."""
        self.links.append(open_link(self.url, prefix=self.prefix))
        return self.links[-1]

    def cut(self) -> None:
        """Have the server end all sessions."""
        self.server.cut()

    def clear(self) -> None:
        """Have the server lose all data."""
        self.server.sql(f'DROP SCHEMA IF EXISTS "{self.prefix}" CASCADE')

    def close(self) -> None:
        """Close all links."""
        for link in self.links:
            link.close()
        self.clear()
