"""Doors: every adapter of every framework under a real server, and the standalone server.

One server has all frameworks of its kind (WSGI, ASGI), each an application of its own behind a
header, so that some hundred routes are tried without some hundred servers.
"""

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from tests.helpers.servers import LONG, Server
from tests.integration.server.test_serve import serving
from tests.integration.web.mounted import mounted_code, prefix_of

SECRET = "the-owner-alone-knows-this"
SIGNS = "what-share-links-are-signed-by"
ASKS = (
    '{"authorize": lambda verb, run, request: request.header("authorization") == "Bearer SECRET", '
    '"allow_any_command": True, "commands": {"greet": "echo hello"}, "share_secret": "SIGNS"}'
).replace("SECRET", SECRET)
ASKS = ASKS.replace("SIGNS", SIGNS)
SILENT = f'{{"share_secret": "{SIGNS}"}}'
# A command with a hook, called as the stream is that the matrix tries.
HOOK = f"""
[commands.kept]
command = "true"
[commands.kept.hook]
kind = "github"
secret = "{SECRET}"
"""
FRAMEWORKS = {
    "gunicorn": ("flask", "bottle", "cherrypy", "django-wsgi", "wsgi"),
    "uvicorn": ("starlette", "fastapi", "django-asgi", "asgi"),
    "itself": ("aiohttp",),  # the adapter of the examples
}
WITH_SOCKETS = {"aiohttp", "serve", "starlette", "fastapi", "asgi"}
_CHOOSE = """
    import importlib
    NAMES = {names!r}
    apps = {{name.replace("_", "-"): importlib.import_module("in_" + name) for name in NAMES}}
    runs = apps["{kind}"].app
"""
_CHOOSERS = {
    "gunicorn": """
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/view":
            return runs.stream(environ, start_response, ["echo", "viewed"])
        return apps[environ.get("HTTP_X_APP", "wsgi")].app(environ, start_response)
""",
    "uvicorn": """
    async def app(scope, receive, send):
        chosen = dict(scope.get("headers", ())).get(b"x-app", b"asgi").decode()
        await apps[chosen].app(scope, receive, send)
""",
}


class Door(NamedTuple):
    """Where somebody may try to get in.

    Attributes:
        name: of the framework; `serve` for the standalone server.
        column: of the specification.
        root: the server's URL.
        prefix: below which path its runs are.
        token: what the owner knows.
        signs: what share links are signed by.
    """

    name: str
    column: str
    root: str
    prefix: str
    token: str
    signs: str

    @property
    def shares(self) -> bool:
        """Whether there are share links."""
        return self.column in ("serve", "authorize")

    def headers(self, who: str) -> dict[str, str]:
        """Return what somebody sends with each request."""
        known = {"Authorization": f"Bearer {self.token}"} if who == "owner" else {}
        return {"X-App": self.name, "X-Runcast": "1", **known}

    @contextlib.contextmanager
    def ask(
        self, who: str, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        """Give a reply, which may go on."""
        connection = http.client.HTTPConnection(urlsplit(self.root).netloc, timeout=LONG)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, self.prefix + path, body, self.headers(who) | named)
        with contextlib.closing(connection), connection.getresponse() as response:
            yield response

    def status(self, who: str, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
        """Return the status of a reply."""
        with self.ask(who, method, path, body, **headers) as response:
            return response.status

    def message(self, who: str, path: str, message: Mapping[str, object] | None) -> str:
        """Open a WebSocket, send a message, return what came of it: `refused`, or the answer.

        That is the first event that is not the state of things, or `opened` without a message.
        """
        url = self.root.replace("http", "ws") + self.prefix + path
        try:
            with connect(url, additional_headers=self.headers(who), open_timeout=LONG) as socket:
                if message is None:
                    return "opened"
                socket.send(json.dumps(message))
                while True:
                    said = json.loads(socket.recv(LONG))
                    if said.get("error") == "NotAllowed":
                        return "refused"
                    if "chunks" in said or "resize" in said or said.get("event") in ("exit", "error"):
                        return "done"
        except InvalidHandshake:
            return "refused"
        except ConnectionClosed as closed:
            return f"closed: {closed}"


@contextlib.contextmanager
def doors(folder: Path) -> Iterator[list[Door]]:
    """Give all doors to the store that `$RUNCAST_STORE` names."""
    with contextlib.ExitStack() as stack:
        file = folder / "hooks.toml"
        file.write_text(HOOK)
        server = stack.enter_context(serving("--allow-any-command", "--config", file))
        found = [
            Door("serve", "serve", f"http://{server.host}:{server.port}", "", server.token, server.token)
        ]
        for kind, names in FRAMEWORKS.items():
            for options, column in ((SILENT, "mounted"), (ASKS, "authorize")):
                place = folder / f"{kind}-{column}"
                place.mkdir()
                running = stack.enter_context(Server(place, kind, _code(place, kind, options)))
                for name in names:
                    shown = "open" if column == "mounted" and name in ("wsgi", "asgi") else column
                    found.append(Door(name, shown, running.root, prefix_of(name), SECRET, SIGNS))
        yield found


def _code(folder: Path, kind: str, options: str) -> str:
    if kind == "itself":
        return mounted_code("aiohttp", options)
    for name in FRAMEWORKS[kind]:
        code = mounted_code(name, options)
        if options == ASKS:  # where nobody says who may, these are open to all
            code = code.replace("RunsWSGI()", "RunsWSGI(**OPTIONS)")
            code = code.replace("RunsASGI()", "RunsASGI(**OPTIONS)")
        else:
            code = code.replace("RunsWSGI()", "RunsWSGI(allow_any_command=True, **OPTIONS)")
            code = code.replace("RunsASGI()", "RunsASGI(allow_any_command=True, **OPTIONS)")
        (folder / f"in_{name.replace('-', '_')}.py").write_text(code)
    names = [name.replace("-", "_") for name in FRAMEWORKS[kind]]
    alone = "wsgi" if kind == "gunicorn" else "asgi"
    return _CHOOSE.format(names=names, kind=alone) + _CHOOSERS[kind]
