"""Durable Streams behind nginx with default settings: replies without a body leave connections in order."""

import http.client
from pathlib import Path

import pytest

from bench.peers.nginx import nginx, proxy
from bench.peers.server import running
from runcast import Store
from tests.helpers.ports import free_port
from tests.helpers.servers import LONG, Server
from tests.integration.web.mounted import mounted_code, prefix_of

pytestmark = pytest.mark.slow

# Connections to the server are kept, so that its replies follow each other: a byte too much behind
# a HEAD or a 204 would be taken for the next one.
KEEPING = """
upstream kept {{ server 127.0.0.1:{upstream}; keepalive 1; }}
server {{
  listen 127.0.0.1:{port};
  location / {{ proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection ""; }}
}}
"""


def behind(folder: Path, server: Server, ports: list[int]) -> list[str]:
    """Return what has nginx serve a server at one port without settings, at another with kept connections."""
    default, keeping = ports
    return nginx(folder, proxy(default, server.port) + KEEPING.format(port=keeping, upstream=server.port))


@pytest.mark.parametrize(
    ("name", "framework"),
    [
        ("gunicorn", "flask"),
        ("waitress", "bottle"),
        ("itself", "cherrypy"),
        ("gunicorn", "django-wsgi"),
        ("uvicorn", "django-asgi"),
        ("hypercorn", "starlette"),
        ("gunicorn", "wsgi"),
        ("uvicorn", "asgi"),
    ],
    ids=lambda value: value,
)
def test_idle_stream(name: str, framework: str, store: Store, tmp_path: Path) -> None:
    """A poll without news is 204 and HEAD has no body, on one connection that goes on to be used."""
    path = f"{prefix_of(framework)}/v1/stream/s"
    with (
        Server(tmp_path, name, mounted_code(framework, seconds=0.5)) as server,
        running(behind(tmp_path, server, ports := [free_port(), free_port()]), ports[0]),
    ):
        for port in ports:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)

            def ask(
                method: str, query: str = "", body: bytes | None = None, connection=connection
            ) -> tuple[int, bytes, http.client.HTTPMessage]:
                connection.request(method, path + query, body, {"Content-Type": "text/plain"})
                reply = connection.getresponse()
                return reply.status, reply.read(), reply.headers

            assert ask("PUT", body=b"hello")[0] == 201
            used = connection.sock
            for _ in range(2):
                status, body, fields = ask("GET", "?offset=5&live=long-poll")
                assert (status, body, fields["Stream-Next-Offset"]) == (204, b"", "0" * 19 + "5")
                assert fields["Stream-Up-To-Date"] == "true"
                status, body, fields = ask("HEAD")
                assert (status, body, fields["Stream-Next-Offset"]) == (200, b"", "0" * 19 + "5")
                assert ask("HEAD", "?offset=-1")[:2] == (200, b"")
                assert ask("GET", "?offset=-1")[:2] == (200, b"hello")
            assert ask("POST", body=b"!")[0] == 204
            status, body, fields = ask("GET", "?offset=5&live=long-poll")
            assert (status, body) == (200, b"!")
            assert ask("DELETE")[0] == 204
            assert ask("HEAD")[0] == 404
            assert connection.sock is used  # nginx has closed it never
            connection.close()
