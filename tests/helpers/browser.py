"""A real Chromium at the real server: the person, the program under the test's control, the bad proxy.

Playwright drives the browser that Debian installs; nothing is downloaded. A `Person` notices what
no page of ours may ever do: show a dialog, throw, break its Content-Security-Policy.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, sync_playwright

from tests.helpers.cli import cli_begun
from tests.helpers.ports import free_port
from tests.helpers.wait import MS, wait_until

LONG = 20000 * MS
LINES = "#lines-here .line"
_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    "--disable-smooth-scrolling",  # a key that comes at the very end of such a movement is lost
    *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
]
_REPORT = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP report: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""


def chromium() -> str:
    """Return the path of a Chromium; fail the test, with what to do, where there is none."""
    named = os.environ.get("RUNCAST_CHROMIUM")
    found = named or shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        pytest.fail("expected a Chromium: `apt-get install chromium` as root, or set RUNCAST_CHROMIUM to one")
    return found


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Give a browser. Not longer than a module needs it: its event loop is in the way of other tests'."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=_ARGUMENTS, timeout=LONG * 1000)
        try:
            yield browser
        finally:
            browser.close()


class Served(Protocol):
    """A server: its address, and the link that lets somebody in."""

    root: str
    url: str


class Person:
    """Somebody at a browser, who has opened the server's link with the token.

    Attributes:
        server: where pages are opened.
        context: the browser as this person has it: cookies, tabs.
        problems: dialogs, errors and CSP reports of all tabs so far.
    """

    def __init__(self, browser: Browser, server: Served, **options: object) -> None:
        self.server = server
        self.context = browser.new_context(**{"locale": "en-GB", **options})  # type: ignore[arg-type]
        self.context.set_default_timeout(LONG * 1000)
        self.context.add_init_script(_REPORT)
        self.context.on("dialog", self._dialog)
        self.context.on("weberror", lambda error: self.problems.append(f"error: {error.error}"))
        self.context.on("console", self._console)
        self.problems: list[str] = []

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        # A server that is away is told on the console, too; that is no fault of the page. One that goes
        # while somebody connects resets what its socket had not accepted.
        away = "Failed to load resource" in message.text or "net::ERR_CONNECTION_RE" in message.text
        if message.type == "error" and not away:
            self.problems.append(f"console: {message.text}")

    def open(self, path: str = "/runs", root: str = "") -> Page:
        """Open a page of the server in a new tab; the first one by the link with the token."""
        page = self.context.new_page()
        root = root or self.server.root
        token = urlsplit(self.server.url).query
        if token and not self.context.cookies():
            page.goto(f"{root}/?{token}")
        page.goto(root + path)
        return page

    def __enter__(self) -> "Person":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.context.close()
        if error is None:
            assert not self.problems, "\n".join(self.problems)


def lines(page: Page) -> list[str]:
    """Return the lines that the page of a run shows."""
    shown: list[str] = page.locator(LINES).evaluate_all("all => all.map((one) => one.textContent)")
    return shown


def shows(page: Page, *expected: str) -> None:
    """Wait until the page of a run shows exactly these lines."""
    __tracebackhide__ = True
    with contextlib.suppress(AssertionError):
        wait_until(lambda: lines(page) == list(expected), timeout=LONG)
    shown, wanted = lines(page), list(expected)
    if shown != wanted:
        pairs = enumerate(zip(shown, wanted, strict=False))
        same = next((at for at, (one, other) in pairs if one != other), min(len(shown), len(wanted)))
        raise AssertionError(
            f"expected {len(wanted)} lines, got {len(shown)}; from line {same + 1} on "
            f"expected {wanted[same : same + 5]}, got {shown[same : same + 5]}; "
            f"{page.title()!r} says {page.locator('#link').text_content()!r}"
        )


def stop_clock(page: Page) -> None:
    """Have the clock of a page, and of those that it leads to, stand still: what is there for seconds stays.

    `page.clock.resume()` lets it go on.
    """
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 60)


class Serving:
    """A server, `runcast serve`, that can be killed and started again at the same port.

    Attributes:
        url: what it printed: its address, with the token.
        root: its address.
    """

    def __init__(self, *arguments: object) -> None:
        self._arguments = arguments
        self._port = free_port()  # which stays its own while it is dead: other tests want ports, too
        self._processes = contextlib.ExitStack()
        self.start()

    def start(self) -> None:
        """Start it and wait until it listens."""
        begun = cli_begun("serve", "--port", self._port, *self._arguments, stderr=subprocess.DEVNULL)
        self.process = self._processes.enter_context(begun)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().decode().strip()
        parts = urlsplit(self.url)
        assert parts.port == self._port, f"expected an address at {self._port}, got {self.url!r}"
        self.root = f"http://{parts.netloc}"

    def kill(self) -> None:
        """Kill it, as a machine out of memory does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(LONG)

    def __enter__(self) -> "Serving":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._processes.close()


_PUPPET = """
import os, sys
for line in open(sys.argv[1], "rb"):
    what, _, data = line.partition(b" ")
    if what == b"exit":
        os._exit(int(data))
    data = bytes.fromhex(data.decode())
    while data:
        data = data[os.write(int(what), data):]
"""


class Puppet:
    """A program that writes what the test sends it, when the test sends it.

    Attributes:
        argv: the command.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "strings"
        os.mkfifo(path)
        self.argv = [sys.executable, "-I", "-S", "-c", _PUPPET, str(path)]
        self._fd = os.open(path, os.O_RDWR)  # for both: neither waits for the other to open it

    def say(self, text: str | bytes, fd: int = 1) -> None:
        """Have it write to stdout (1) or stderr (2)."""
        data = text.encode() if isinstance(text, str) else text
        self._pull(f"{fd} {data.hex()}\n")

    def exit(self, code: int = 0) -> None:
        """Have it exit."""
        self._pull(f"exit {code}\n")

    def _pull(self, string: str) -> None:
        data = string.encode()
        while data:
            data = data[os.write(self._fd, data) :]

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


class Proxy:
    """A proxy in front of a server, which misbehaves on demand.

    Attributes:
        root: its address.
        mode: "pass" what comes; answer "bad gateway"; or "hold" event streams back, as a proxy that
            buffers does. A change cuts the connections that are open.
        seen: the request lines, in order.
    """

    BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\nConnection: close\r\n\r\n502\n"

    def __init__(self, root: str) -> None:
        self._to = ("127.0.0.1", urlsplit(root).port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.root = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.mode = "pass"
        self.seen: list[str] = []
        self._open: set[socket.socket] = set()
        self._frozen: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def turn(self, mode: str) -> None:
        """Change the mode, and cut what is open."""
        self.mode = mode
        for end in tuple(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Pass nothing more through the open connections, without closing them."""
        self._frozen |= self._open

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._open.add(client)
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        """Serve one connection: one request, for nothing is kept alive."""
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(65536)
                if not data:
                    break
                head += data
            self.seen.append(head.partition(b"\r\n")[0].decode())
            if self.mode == "bad gateway":
                client.sendall(self.BAD_GATEWAY)
            elif head:
                held = self.mode == "hold" and b"accept: text/event-stream" in head.lower()
                self._pass(client, head.replace(b"keep-alive", b"close"), held)
        self._open.discard(client)

    def _pass(self, client: socket.socket, head: bytes, held: bool) -> None:
        with socket.create_connection(self._to) as server:
            self._open.add(server)
            server.sendall(head)
            back = threading.Thread(target=_pump, args=(client, server))
            back.start()
            while data := server.recv(65536):
                if not held and client not in self._frozen:
                    client.sendall(data)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            back.join()
            self._open.discard(server)

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        self.turn("bad gateway")
        for thread in self._threads[1:]:
            thread.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until one of the two ends; then end both."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
