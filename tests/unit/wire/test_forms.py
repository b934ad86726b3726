"""One entry and one class make a form: a made-up one is found wherever the forms are."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from runcast import Store
from runcast.model import Reading
from runcast.server.app import ServerApp
from runcast.server.guard import Guard
from runcast.web.api.log_reply import log_reply
from runcast.web.http.messages import Request
from runcast.wire import Encoder, ResumePoint
from runcast.wire.forms import FORMS, Form, add
from runcast.wire.negotiation import negotiate
from scripts.wire_forms import FILES, description, http_page, table, wire_page
from tests.unit.runs import make_run

PATHS = {path.name: path for path in FILES}
TOKEN = "correct-horse-battery-staple"


class Shout(Encoder):
    """The class of the made-up form: says all in capitals."""

    has_updates = False

    @property
    def resume_point(self) -> ResumePoint:
        return ResumePoint(self.next)

    def feed(self, reading: Reading, *, final: bool = False) -> bytes:
        self.next = reading.next
        return b"".join(chunk.data for chunk in reading.chunks).upper()


@pytest.fixture(name="shout")
def shout_fixture() -> Iterator[Form]:
    """The entry of the made-up form."""
    yield add(
        Form(
            name="shout",
            media_type="text/x-shout",
            charset="utf-8",
            summary="[capitals](#capitals): nothing else",
            encoder=Shout,
        )
    )
    del FORMS["shout"]


@pytest.fixture(name="whisper")
def whisper_fixture(shout: Form) -> Iterator[Form]:
    """Another made-up form, of the same media type."""
    yield add(replace(shout, name="whisper", summary="[the same](#capitals), unlike its name"))
    del FORMS["whisper"]


@pytest.fixture(name="client")
def client_fixture(own_store: Path) -> Iterator[TestClient]:
    """A client of a server in this process, which has a run of three lines."""
    app = ServerApp(Store(str(own_store)), Guard(["127.0.0.1"], TOKEN), commands={})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with TestClient(app, "http://127.0.0.1:8765", headers=headers) as client:
        yield client


@pytest.mark.parametrize(
    ("query", "accept"),
    [("?format=shout", "*/*"), ("?format=text/x-shout", "*/*"), ("", "text/x-shout, text/plain;q=0.5")],
    ids=["format", "media type", "Accept"],
)
def test_made_up_form_is_served(client: TestClient, own_store: Path, shout: Form, query: str, accept: str):
    """It comes by name, by its type and by negotiation; GET and HEAD have its headers."""
    url = f"/runs/{make_run(own_store)}/log{query}"
    reply, head = (client.request(method, url, headers={"Accept": accept}) for method in ("GET", "HEAD"))

    assert reply.content == b"ONE\nTWO\r\nTHREE"
    assert (head.status_code, head.content) == (200, b"")
    assert reply.headers["content-type"] == "text/x-shout; charset=utf-8"
    assert dict(head.headers) == dict(reply.headers)


def test_made_up_form_is_offered(client: TestClient, own_store: Path, shout: Form):
    """Where no form fits, the answers name it; the metrics count its viewers."""
    url = f"/runs/{make_run(own_store)}/log"

    assert "text/x-shout" in client.get(url, headers={"Accept": "image/png"}).json()["offered"]
    assert "shout" in client.get(f"{url}?format=none").json()["detail"]
    assert 'runcast_viewers{format="shout"} 0.0' in client.get("/metrics").text


def test_made_up_form_is_described(shout: Form):
    """The description of the API has its name and type, the reference its line and `Content-Type`."""
    wire, http, api = (
        made(PATHS[name].read_text(encoding="utf-8"))
        for name, made in (("wire.md", wire_page), ("http.md", http_page), ("openapi.json", description))
    )

    assert "| `text/x-shout` | `shout` | [capitals](#capitals): nothing else |\n" in wire
    assert "`application/x-asciicast`, `text/x-shout; charset=utf-8` | |\n" in wire
    assert "| `text/x-shout` | `shout` | [capitals](wire.md#capitals): nothing else |\n" in http
    assert ', "shout"]' in api
    assert '"text/x-shout": {"schema": {"type": "string"}}\n' in api


def test_second_form_of_a_media_type(whisper: Form):
    """Only its name selects it; the table of forms names no `Accept` for it, and the API its type once."""
    shout = FORMS["shout"]

    assert [negotiate("text/x-shout"), negotiate("*/*", "text/x-shout")] == [shout, shout]
    assert negotiate("text/x-shout", "whisper") is whisper
    assert "| | `whisper` | [the same](#capitals), unlike its name |\n" in table()
    api = PATHS["openapi.json"]
    assert description(api.read_text(encoding="utf-8")).count('"text/x-shout"') == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_fresh(path: Path):
    """The description and the reference have the forms that are registered now, and no other."""
    text = path.read_text(encoding="utf-8")

    assert FILES[path](text) == text, "stale: run `python scripts/wire_forms.py`"


def test_name_of_its_own(shout: Form):
    """A second form of a name is refused, and the first one stays."""
    with pytest.raises(ValueError, match="shout is registered already"):
        add(Form(name="shout", media_type="text/x", summary="another"))

    assert FORMS["shout"] is shout


@pytest.mark.parametrize(
    ("form", "first", "second", "together"),
    [
        ("sse", "named=1", "named=1", True),
        ("sse", "named=1", "named=0", False),
        ("ndjson", "named=1", "named=0", True),
        ("sse", "partial=1", "partial=0", False),
        ("ndjson", "partial=1", "partial=0", True),
        ("text", "end=1", "end=0", False),
        ("ndjson", "end=1", "end=0", False),  # of which only one has trailers
        ("asciicast", "channel=stdout", "", False),
    ],
)
def test_shared(own_store: Path, form: str, first: str, second: str, together: bool):
    """Viewers share bytes where what they ask for makes no difference in their form, and only there."""
    run = Store(str(own_store)).get(make_run(own_store))
    replies = [log_reply(run, Request("GET", "", query=f"format={form}&{one}")) for one in (first, second)]
    keys = [reply.stream.form for reply in replies if reply.stream is not None]

    assert len(keys) == 2
    assert (keys[0] == keys[1]) is together
