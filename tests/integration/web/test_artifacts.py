"""Files that are kept with a run, on the web: listed, served inertly, whole and in parts."""

import contextlib
import http.client
import json
import time
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.client import Client
from runcast.errors import ArtifactNotFound
from runcast.web.http.share import ShareKey
from tests.helpers.servers import ASGI, LONG, WSGI, Server
from tests.integration.web.mounted import mounted_code, prefix_of

pytestmark = pytest.mark.slow

PAGE = "<script>alert(1)</script>"
MADE = f"""
mkdir out
printf '{PAGE}' > 'a "b".html'
head -c 9000000 /dev/zero > out/large.png
printf x > out/d.svg
"""
INERT = {
    "content-security-policy": "default-src 'none'; sandbox",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.fixture(name="run")
def run_fixture(store: Store, tmp_path: Path) -> Run:
    """Give a run that has ended, with files."""
    (tmp_path / "work").mkdir()
    run = store.start(["sh", "-c", MADE], cwd=tmp_path / "work", artifacts=["*.html", "out/*", "none"])
    run.wait(timeout=LONG)
    return run


@pytest.mark.parametrize(("server", "code"), [("uvicorn", ASGI), ("gunicorn", WSGI)], ids=["asgi", "wsgi"])
def test_served(store: Store, run: Run, tmp_path: Path, server: str, code: str):
    """Each is a download that no browser interprets; pictures have their type, a document never has."""
    with Server(tmp_path, server, code, store=store) as served:
        status, _, body = served.ask("GET", f"/runs/{run.id}/artifacts")
        listed = json.loads(body)
        assert status == 200
        assert [(one["name"], one["bytes"], one["type"]) for one in listed["artifacts"]] == [
            ('a "b".html', len(PAGE), "application/octet-stream"),
            ("out/d.svg", 1, "application/octet-stream"),
            ("out/large.png", 9_000_000, "image/png"),
        ]
        assert listed["left_out"] == [{"name": "none", "why": "there is no such file"}]

        for one in listed["artifacts"]:
            status, fields, body = served.ask("GET", one["url"], Accept="text/html")
            assert (status, len(body)) == (200, one["bytes"])
            assert fields.items() >= {**INERT, "content-type": one["type"]}.items()
            assert fields["content-disposition"].startswith("attachment; filename*=UTF-8''")
            assert served.ask("HEAD", one["url"])[1]["content-length"] == str(one["bytes"])
            assert served.ask("GET", one["url"], If_None_Match=fields["etag"])[0] == 304
        assert body == b"\0" * 9_000_000
        assert served.ask("GET", listed["artifacts"][0]["url"])[1]["content-disposition"] == (
            "attachment; filename*=UTF-8''a%20%22b%22.html"
        )


@pytest.mark.parametrize(
    ("server", "framework"),
    [
        ("gunicorn", "flask"),
        ("gunicorn", "bottle"),
        ("gunicorn", "django-wsgi"),
        ("uvicorn", "django-asgi"),
        ("uvicorn", "starlette"),
        ("itself", "cherrypy"),
        ("itself", "aiohttp"),
    ],
)
def test_length_at_head(store: Store, run: Run, tmp_path: Path, server: str, framework: str):
    """HEAD says how long a file is in every framework, once, and sends nothing of it."""
    with Server(tmp_path, server, mounted_code(framework), store=store) as served:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", served.port, timeout=LONG)) as asking:
            asking.request("HEAD", f"{prefix_of(framework)}/runs/{run.id}/artifacts/out/large.png")
            reply = asking.getresponse()
            assert (reply.status, reply.read()) == (200, b"")
            assert reply.headers.get_all("Content-Length") == ["9000000"]


def test_parts(store: Store, run: Run, tmp_path: Path):
    """A part is given where it can be; what leads elsewhere is not there."""
    with Server(tmp_path, "uvicorn", ASGI, store=store) as server:
        file = f"/runs/{run.id}/artifacts/a%20%22b%22.html"
        status, fields, body = server.ask("GET", file, Range="bytes=1-6")
        assert (status, fields["content-range"], body) == (206, f"bytes 1-6/{len(PAGE)}", b"script")
        assert fields.items() >= INERT.items()
        assert server.ask("GET", file, Range="bytes=1-6", If_Range='"other"')[0] == 200
        status, fields, _ = server.ask("GET", file, Range="bytes=99-")
        assert (status, fields["content-range"]) == (416, f"bytes */{len(PAGE)}")
        assert server.ask("GET", file, Range="bytes=1-2,4-5")[0] == 400
        for name in ("none", "../run.json", "%2e%2e/run.json", "0", "out", "/etc/passwd", "out/%2e%2e/a"):
            assert server.ask("GET", f"/runs/{run.id}/artifacts/{name}")[0] == 404, name
        status, _, body = server.ask("POST", file, b"", X_Runcast="1")
        assert status == 405


def test_client(store: Store, run: Run, tmp_path: Path):
    """A client lists, reads and saves them, also of a run that it has started itself."""
    with Server(tmp_path, "uvicorn", ASGI, store=store) as server, Client(server.root) as client:
        remote = client.get(run.id)
        assert remote.artifacts == run.artifacts
        assert remote.left_out == run.left_out
        assert remote.read_artifact('a "b".html') == PAGE.encode()
        assert len(remote.save_artifacts(tmp_path / "saved")) == 3
        assert (tmp_path / "saved/out/large.png").read_bytes() == b"\0" * 9_000_000
        with pytest.raises(ArtifactNotFound, match="has no file 'none'"):
            remote.read_artifact("none")
        assert next(client.list(1)).artifacts == []

        started = client.start(["sh", "-c", "echo x > own"], cwd=f"{tmp_path}/work", artifacts=["own"])
        started.wait(timeout=LONG)
        assert started.artifacts == [("own", 2)]


def test_rights(store: Store, run: Run, tmp_path: Path):
    """Only who may start any command may name patterns; a pattern that leaves the folder is refused."""
    named = ASGI.replace("allow_any_command=True", 'commands=["true"]')
    with Server(tmp_path, "uvicorn", named, store=store) as server:
        headers = {"Content_Type": "application/json", "X_Runcast": "1"}
        body = b'{"name": "true", "artifacts": ["a"]}'
        status, _, reply = server.ask("POST", "/runs", body, **headers)
        assert (status, "expected no artifacts with a name" in json.loads(reply)["detail"]) == (400, True)
        assert server.ask("POST", "/runs", b'{"command": ["true"], "artifacts": ["a"]}', **headers)[0] == 403
    with Server(tmp_path, "uvicorn", ASGI, store=store) as server:
        body = b'{"command": ["true"], "artifacts": ["../a"]}'
        status, _, reply = server.ask("POST", "/runs", body, **headers)
        assert (status, "within the folder of the run" in json.loads(reply)["detail"]) == (400, True)


def test_shared(store: Store, run: Run, tmp_path: Path):
    """A share link reads the files of its run, and of no other."""
    code = """
        from runcast import Store
        from runcast.web.asgi import RunsASGI
        app = RunsASGI(Store.open(), authorize=lambda *_: False, share_secret="secret" * 4)
    """
    with Server(tmp_path, "uvicorn", code, store=store) as server:
        token = ShareKey("secret" * 4).token(run.id, int(time.time()) + 60)
        file = f"/runs/{run.id}/artifacts/out/d.svg"
        assert server.ask("GET", file)[0] == 403
        assert server.ask("GET", f"{file}?share={token}")[::2] == (200, b"x")
        assert server.ask("GET", f"/runs/{run.id}/artifacts?share={token}")[0] == 200
        other = store.start(["true"])
        other.wait(timeout=LONG)
        assert server.ask("GET", f"/runs/{other.id}/artifacts?share={token}")[0] == 403
