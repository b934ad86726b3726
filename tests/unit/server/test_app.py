"""The server's application matches its description: each route exists, is documented and is guarded."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from runcast import Channel, Outcome, Reason, State, Store
from runcast.model import Chunk
from runcast.server.app import ServerApp
from runcast.server.guard import Guard
from runcast.server.guard_middleware import SECURITY_HEADERS
from runcast.web.api.durable.routes import _REQUEST_HEADERS as HEADERS_OF_STREAMS
from runcast.web.api.durable.routes import ROUTES as STREAM_ROUTES
from runcast.web.responder import ROUTES
from runcast.wire.forms import FORMS
from runcast.wire.query import Query

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}", "X-Runcast": "1"}
ID = "01jd0000000000000000000000"  # of no run
DESCRIPTION: dict[str, Any] = json.loads(files("runcast.server").joinpath("openapi.json").read_bytes())
METHODS = ("get", "head", "put", "post", "delete", "patch")
OPERATIONS = [
    (path, method.upper(), operation)
    for path, item in DESCRIPTION["paths"].items()
    for method, operation in item.items()
    if method in METHODS
]
GUARDED = [(path, method) for path, method, operation in OPERATIONS if operation.get("security") != []]
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "http.md"


def filled(path: str) -> str:
    """Return a path of the description with something in place of its parameters."""
    return path.replace("{id}", ID).replace("{name}", "nothing.js")


def parameters(path: str, method: str) -> list[dict[str, Any]]:
    """Return the parameters of an operation, its path's included."""
    item = DESCRIPTION["paths"][path]
    found = [*item.get("parameters", ()), *item[method.lower()].get("parameters", ())]
    return [resolve(one["$ref"]) if "$ref" in one else one for one in found]


def resolve(reference: str) -> Any:
    """Return what a reference within the description names."""
    value: Any = DESCRIPTION
    for part in reference.removeprefix("#/").split("/"):
        value = value[part]
    return value


def references(value: Any) -> Iterator[str]:
    """Yield every reference in a part of the description."""
    if isinstance(value, dict):
        yield from (one for name, one in value.items() if name == "$ref")
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(one)


@pytest.fixture(name="client")
def client_fixture(own_store: Path) -> Iterator[TestClient]:
    """A client of a server in this process, which starts nothing; one event loop for all requests."""
    app = ServerApp(Store(str(own_store)), Guard(["127.0.0.1"], TOKEN), commands={})
    url = "http://127.0.0.1:8765"
    with TestClient(app, url, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


def test_every_route_wants_the_token(client: TestClient, own_store: Path):
    """Without the token, or with a wrong one, every route answers 401 alone, and nothing happens (T1)."""
    passed = [
        (path, method, headers)
        for path, method in [*GUARDED, ("/nothing/there", "GET"), ("/", "POST"), ("/runs", "OPTIONS")]
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"runcast={TOKEN}"})
        if client.request(method, filled(path), headers={"X-Runcast": "1", **headers}).status_code
        not in (401, 429)
    ]

    assert passed == []
    assert not own_store.exists()


def test_only_health_is_open(client: TestClient):
    """The one route without a token or a signature shows that the server answers, and nothing else."""
    assert {path for path, *_ in OPERATIONS} - {path for path, _ in GUARDED} == {"/healthz", "/hooks/{name}"}

    answer = client.get("/healthz", headers={"Host": "10.0.0.1"})

    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({**BEARER, "Origin": "http://evil"}, 403),
        (BEARER, 404),
    ],
)
def test_websocket_is_guarded(client: TestClient, headers: dict[str, str], status: int):
    """A WebSocket without the token, or of a foreign page, is refused; with it, it is looked for."""
    url = f"ws://127.0.0.1:8765/runs/{ID}/log"
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect(url, headers=headers):
        pass
    assert denied.value.status_code == status


def test_every_reply_has_the_headers(client: TestClient):
    """Every reply, a refusal too, has the security headers, once."""
    replies = [
        client.request(method, filled(path), headers=headers)
        for path, method, _ in OPERATIONS
        for headers in ({}, BEARER)
    ]

    for reply in replies:
        for name, _ in SECURITY_HEADERS:
            assert len(reply.headers.get_list(name)) == 1, (reply.request.url, name)


def test_home_leads_to_the_runs(client: TestClient):
    """`/` is the list of runs."""
    answer = client.get("/", headers=BEARER)

    assert (answer.status_code, answer.headers["location"]) == (303, "/runs")


def test_metrics(client: TestClient):
    """The metrics count the requests so far."""
    client.get("/commands", headers=BEARER)

    answer = client.get("/metrics", headers=BEARER)

    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'runcast_http_requests_total{method="GET",status="200"} 1.0' in answer.text


# The description


def test_description_is_served(client: TestClient):
    """The description is served as it stands."""
    answer = client.get("/openapi.json", headers=BEARER)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DESCRIPTION
    assert DESCRIPTION["openapi"].startswith("3.1.")


def test_references_lead_somewhere():
    """Every reference in it leads to something, and everything that can be referred to is."""
    used = set(references(DESCRIPTION))
    there = {
        f"#/components/{kind}/{name}"
        for kind in ("headers", "parameters", "requestBodies", "responses", "schemas")
        for name in DESCRIPTION["components"][kind]
    }

    assert used == there


@pytest.mark.parametrize(("path", "method"), [(path, method) for path, method, _ in OPERATIONS])
def test_described_route_is_there(client: TestClient, path: str, method: str):
    """Every operation that is described is there: what is missing is at most the run."""
    answer = client.request(method, filled(path), headers=BEARER, content=b"" if method == "GET" else b"{}")

    assert answer.status_code != 405
    if answer.status_code == 404:
        assert path.count("{") == 1 or path.endswith("/{path}")
        assert "there is nothing at" not in answer.text
    documented = DESCRIPTION["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in documented or "default" in documented


def test_every_route_is_described(client: TestClient):
    """No route and no method is left out of the description, and none is described that is not there."""
    routes = ServerApp(Store("unused"), Guard([], TOKEN), commands={}).routes
    own = {path: {method} for method, path in routes}
    there = own | {path: set(methods) for path, methods in {**ROUTES, **STREAM_ROUTES}.items()}
    described: dict[str, set[str]] = {}
    for path, method, _ in OPERATIONS:
        described.setdefault(path, set()).add(method)

    assert described == there


def test_headers_of_streams_are_described():
    """Of streams all headers are described that a page may send."""
    headers = {
        one["name"]
        for method in ("get", "put", "post", "delete")
        for one in parameters("/v1/stream/{name}", method)
        if one["in"] == "header"
    }

    # These two a description has elsewhere.
    assert headers == set(HEADERS_OF_STREAMS.split(", ")) - {"Authorization", "Content-Type"}


def test_parameters_of_the_log():
    """The parameters of the log are those that are understood; so are the forms."""
    known = {"channel" if name == "channels" else name for name in Query.__dataclass_fields__}
    described = {one["name"]: one for one in parameters("/runs/{id}/log", "GET") if one["in"] == "query"}

    assert set(described) == known
    assert described["format"]["schema"]["enum"] == [form.name for form in FORMS.values() if form.media_type]


SELDOM = {
    "artifacts",
    "left_out",
    "note",
    "disk_bytes",
    "columns",
    "damaged",
    "elsewhere",
    "host",
    "hint",
    "last_line",
    "resizes",
    "rows",
    "shared_until",
    "trace_id",
    "traceback",
    "used_so_far",
}
"""Fields of a run that are left out where they have no value."""


def test_schemas():
    """The schemas have the fields and the words that the code has."""
    schemas = DESCRIPTION["components"]["schemas"]
    outcome = Outcome(Reason.EXITED, 0).to_json()

    assert list(schemas["Outcome"]["properties"]) == [*outcome, "traceback"]  # which some may see
    assert schemas["State"]["enum"] == [state.value for state in State]
    assert schemas["Outcome"]["properties"]["reason"]["enum"] == [reason.value for reason in Reason]
    assert schemas["Chunk"]["properties"]["channel"]["enum"] == [channel.value for channel in Channel]
    assert set(schemas["Chunk"]["required"]) == set(Chunk._fields) - {"data"}
    for name in ("Run", "Outcome", "Poll", "Problem"):
        required = [one for one in schemas[name]["properties"] if one not in SELDOM]
        assert schemas[name]["required"] == required


def test_problems(client: TestClient):
    """Refusals of the guard and errors of the runs have the same form."""
    replies = [
        client.get("/runs"),
        client.get("/runs", headers={**BEARER, "Host": "evil"}),
        client.post("/runs", headers={"Authorization": BEARER["Authorization"]}),
        client.get(f"/runs/{ID}", headers=BEARER),
        client.get("/nothing", headers=BEARER),
    ]

    assert [reply.status_code for reply in replies] == [401, 421, 403, 404, 404]
    for reply in replies:
        assert reply.headers["content-type"] == "application/problem+json"
        assert list(reply.json()) == DESCRIPTION["components"]["schemas"]["Problem"]["required"]
        assert reply.json()["status"] == reply.status_code


# The page of the reference


def test_page_tells_every_operation():
    """The reference has a heading for each path, and each method and parameter stands below it."""
    parts = re.split(r"^## +(.+)$", PAGE.read_text(), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))

    missing = []
    for path, method, _ in OPERATIONS:
        heading = next((heading for heading in sections if f"`{path}`" in heading), None)
        if heading is None:
            missing.append(path)
            continue
        documented = heading + sections[heading]
        names = [f"`{one['name']}" for one in parameters(path, method) if one["in"] in ("query", "header")]
        missing += [f"{path} {word}" for word in (method, *names) if word not in documented]

    assert missing == []
