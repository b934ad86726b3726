"""What strangers write comes out as text: every verb, with what a name, an argument or a server says (T16).

The output of a run is another thing: it is bytes, and passes as it is (`--safe` strips it).
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import pytest

from runcast import Store
from runcast.cli.app import VERBS
from tests.helpers.cli import Done
from tests.helpers.injected import TRICKS, harm
from tests.integration.server.test_serve import serving

pytestmark = pytest.mark.slow

ID = "01jd0000000000000000000000"
ARGUMENTS: dict[str, list[str]] = {
    "run": ["--", "true"],
    "attach": [ID],
    "ls": [],
    "log": [ID],
    "follow": [ID],
    "wait": [ID],
    "stop": [ID],
    "kill": [ID],
    "pin": [ID],
    "unpin": [ID],
    "share": [ID],
    "rm": [ID],
    "prune": ["--keep", "1"],
    "push": ["/v1/stream/x"],
    "serve": [],
    "bridge": [],
    "mcp": [],
    "token": ["list"],
    "progress": ["1"],
    "artifacts": [ID],
    "note": ["seen"],
    "doctor": ["--unit", "seen.service"],
}


def test_every_verb_is_tried() -> None:
    """No verb is left out of these tests."""
    assert set(ARGUMENTS) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_arguments(call: Callable[..., Done], verb: str) -> None:
    """What an argument or an option has is told as text when it is refused."""
    tried = [["--store", f"redis://{''.join(TRICKS)}", verb, ID]]  # once: an engine is waited for
    for trick in TRICKS:
        tried += [verb, trick], [verb, f"--{trick}"], [trick]
    for arguments in tried:
        if arguments[0] == "run" and not arguments[1].startswith("--"):
            arguments = ["run", "--", f"/nowhere/{arguments[1]}"]
        done = call(*arguments)
        assert done.code != 0 or verb == "note", arguments  # outside of a run that takes any text
        assert harm(done.out.decode() + done.err) == [], arguments


def test_names(call: Callable[..., Done], store: Store) -> None:
    """Runs and streams whose names and commands are such are listed, named and waited for as text."""
    for trick in TRICKS:
        run = store.start(["sh", "-c", "exit 3", trick], name=trick)
        run.wait()
        for verb in ("ls", "wait", "stop", "kill", "rm"):
            done = call(verb, *([run.id] if verb != "ls" else []))
            assert harm(done.out.decode() + done.err) == [], (verb, trick)


class Hostile(BaseHTTPRequestHandler):
    """A server whose every answer is a trick."""

    kind = "problem"
    trick = ""

    def answer(self) -> None:
        """Answer anything."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, content_type, body = {
            "problem": (
                403,
                "application/problem+json",
                json.dumps(
                    {
                        "type": self.trick,
                        "title": self.trick,
                        "status": 403,
                        "detail": self.trick,
                        "error": self.trick,
                    }
                ).encode(),
            ),
            "no run": (
                200,
                "application/json",
                json.dumps({"id": self.trick, "runs": [self.trick]}).encode(),
            ),
            "run": (200, "application/json", json.dumps(self.run() | {"runs": [self.run()]}).encode()),
        }[self.kind]
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", quote(self.trick))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

    def run(self) -> dict[str, Any]:
        """Return a run as JSON."""
        outcome = {
            "ok": False,
            "reason": "failed to start",
            "code": None,
            "signal": None,
            "message": self.trick,
            "value": self.trick,
            "dropped": 0,
            "truncated": False,
            "ended_at": "2026-11-21T08:30:07.250Z",
            "text": self.trick,
        }
        offset = "0" * 20
        return {
            "id": ID,
            "name": self.trick,
            "source": "command",
            "command": ["x", self.trick],
            "state": "exited",
            "pid": 1,
            "outcome": outcome,
            "progress": {"done": 1, "total": 2, "text": self.trick, "time": 1.0},
            "created_at": "2026-11-21T08:30:00.000Z",
            "started_at": "2026-11-21T08:30:00.004Z",
            "ended_at": "2026-11-21T08:30:07.250Z",
            "tail_offset": offset,
            "lines": 0,
            "closed": True,
            "links": {"self": self.trick, "log": self.trick},
            "chunks": [],
            "offset": offset,
            "next": offset,
            "count": 0,
            "next_url": None,
        }

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(name="hostile")
def hostile_fixture() -> Iterator[str]:
    """Give the URL of such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("kind", ["problem", "no run", "run"])
def test_hostile_server(
    call: Callable[..., Done], hostile: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server answers comes out as text in every verb that speaks with one."""
    monkeypatch.setattr(Hostile, "kind", kind)
    monkeypatch.setattr(Hostile, "trick", "".join(TRICKS))
    for verb, given in ARGUMENTS.items():
        # The first two are asked, and do not ask; what is pushed meets only errors; agents get JSON.
        if verb in ("serve", "bridge", "push", "mcp"):
            continue
        done = call(verb, "--server", hostile, *given)
        assert "Traceback" not in done.err, verb
        assert harm(done.out.decode(errors="replace") + done.err) == [], verb


def test_log_of_the_server(store: Store, tmp_path: Any) -> None:
    """What clients send, in every part of a request, stands in the server's log as text."""
    with (tmp_path / "log").open("wb") as log, serving("--access-log", stderr=log) as server:
        for trick in TRICKS:
            raw = trick.encode("latin-1", "replace").replace(b"\n", b"%0a")
            inline = raw.replace(b"\r", b"%0d").replace(b"\x0b", b"\t")
            for request in (
                b"GET /" + inline + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n",
                b"GET /runs?token=" + inline + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n",
                b"GET /"
                + quote(trick).encode()
                + b"?"
                + quote(trick).encode()
                + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n",
                inline + b" /runs HTTP/1.1\r\nHost: 127.0.0.1\r\n",
                b"GET /runs HTTP/1.1\r\nHost: " + inline + b"\r\n",
                *(
                    b"GET /runs HTTP/1.1\r\nHost: 127.0.0.1\r\n" + name + b": " + inline + b"\r\n"
                    for name in (
                        b"Authorization: Bearer",
                        b"Cookie",
                        b"Origin",
                        b"User-Agent",
                        b"Referer",
                        b"X-Forwarded-For",
                        b"X-Forwarded-Proto",
                        b"Forwarded",
                        b"Content-Type",
                    )
                ),
            ):
                with socket.create_connection((server.host, server.port), 20) as client:
                    client.sendall(request + b"Connection: close\r\n\r\n")
                    while client.recv(65536):
                        pass
        server.end()
    said = (tmp_path / "log").read_text(errors="replace")
    assert "seen" in said
    assert harm(said) == []
