"""Real servers for tests: an application in a file of its own, under the server that users have.

Each server is a process group that is gone at the end of the block. A port is chosen by the
kernel and given to the server, which may be killed and started again at the same one.
"""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from runcast import Store
from tests.helpers.ports import free_port
from tests.helpers.wait import MS, wait_until

LONG = 15000 * MS

ASGI = """
    import os
    from runcast import Store
    from runcast.web.asgi import RunsASGI
    app = RunsASGI(Store.open(), allow_any_command=True)
"""
WSGI = ASGI.replace("asgi", "wsgi").replace("ASGI", "WSGI")

_GUNICORN = "gunicorn --workers {workers} --bind 127.0.0.1:{port} {app}:app"
COMMANDS = {
    "serve": "runcast serve --no-auth --allow-any-command --store {folder}/store --port {port}",  # has no app
    "uvicorn": "uvicorn --log-level warning --timeout-keep-alive 60 --port {port} {app}:app",
    "uvicorn-direct": "tests.helpers.direct {app} {port}",
    "uvicorn-h11": "uvicorn --log-level warning --http h11 --timeout-keep-alive 60 --port {port} {app}:app",
    "gunicorn": f"{_GUNICORN} -k gthread --threads 40",
    # Longer than the 2 s after which gunicorn closes, and a client that is busy then fails.
    "gunicorn-kept": f"{_GUNICORN} -k gthread --threads 40 --keep-alive 60",
    "gunicorn-sync": f"{_GUNICORN} -k sync",
    "gunicorn-gevent": f"{_GUNICORN} -k gevent",
    "gunicorn-asgi": f"{_GUNICORN} -k asgi",
    "hypercorn": "hypercorn --bind 127.0.0.1:{port} {app}:app",
    "daphne": "daphne -b 127.0.0.1 -p {port} {app}:app",
    "waitress": "waitress --threads 20 --listen 127.0.0.1:{port} {app}:app",
    # By itself it lets 5 connections wait; the kernel drops one beyond, whose client tries again after 1 s.
    "cheroot": "cheroot --request-queue-size 128 --bind 127.0.0.1:{port} {app}:app",
    "werkzeug": "flask --app {app} run --port {port}",
    "runserver": "{app} runserver --noreload 127.0.0.1:{port}",  # the application's own main
    "itself": "{app} {port}",
}


class Server:
    """A server process with one application. Use as a context manager.

    Attributes:
        store: what it serves, where that is not the store that `$RUNCAST_STORE` names.
    """

    def __init__(
        self, folder: Path, server: str, code: str, *, workers: int = 1, store: Store | None = None
    ) -> None:
        self.port = free_port()
        self.store = store or Store.open()
        self.folder = folder
        (folder / "served_app.py").write_text(textwrap.dedent(code))
        # CherryPy answers before it has started, and if told to end by then, it drops what it owes.
        started = server == "itself" and "cherrypy.engine.start()" in code
        self._says = b"Bus STARTED" if started else b""
        command = COMMANDS[server]
        told = {"port": self.port, "app": "served_app", "workers": workers, "folder": folder}
        self._command = [sys.executable, "-m", *(word.format(**told) for word in command.split())]
        self._log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = os.environ | {"PYTHONPATH": str(self.folder), "RUNCAST_STORE": self.store.path}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        wait_until(self._answers, timeout=LONG, what=f"an answer of {self._command}")
        wait_until(lambda: self._says in self._log.read_bytes(), timeout=LONG, what=f"{self._says!r}")

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()
        with contextlib.suppress(OSError), self.connect() as connection:
            connection.request("GET", "/runs/none")
            return connection.getresponse().status == 404
        return False

    def kill(self) -> None:
        """Kill the whole process group at once."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @contextlib.contextmanager
    def connect(self) -> Iterator[http.client.HTTPConnection]:
        """Give a connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        try:
            yield connection
        finally:
            connection.close()

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers (names in lower case) and body of one request."""
        with self.connect() as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return response.status, told, response.read()

    def offer(self, path: str, size: int) -> int:
        """Return the status of a POST of so many bytes, of which none is sent but its head.

        Who goes on sending to a server that has refused it gets a broken pipe, and loses the reply.
        """
        with self.connect() as connection:
            connection.putrequest("POST", path)
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            return connection.getresponse().status

    @contextlib.contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
        """Give the response of a GET whose body goes on; `read1` returns what is there."""
        with self.connect() as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers=named)
            with connection.getresponse() as response:
                yield response

    def __enter__(self) -> "Server":
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
