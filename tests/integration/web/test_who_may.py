"""Who may do what: verbs x transports x {owner, guest, other, anonymous}, at every door (T1, T4 to T6, T10).

The specification is the table of docs/reference/who-may.md. What must be in it is made from the
tables by which the code dispatches: a route, a method, a message, a form or an adapter that is
not here fails a test.
"""

import contextlib
import http.client
import json
import os
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, get_args
from urllib.parse import urlsplit

import pytest

import runcast.web
from runcast import Run, Store
from runcast.durable import FileStreams
from runcast.errors import RunFinished
from runcast.run.base import files_of
from runcast.server.app import OPEN, ServerApp
from runcast.server.guard import Guard
from runcast.server.hook_route import HOOKS
from runcast.web.adapters import websocket
from runcast.web.api.durable.routes import ROUTES as STREAM_ROUTES
from runcast.web.api.durable.routes import Durable
from runcast.web.http.messages import Reply, Request
from runcast.web.http.share import ShareKey
from runcast.web.page import list_page
from runcast.web.responder import ROUTES, Responder
from runcast.wire import ClientMessage
from runcast.wire.durable import LIVE, Creation
from runcast.wire.forms import FORMS
from tests.helpers.servers import LONG
from tests.helpers.stores import temporary_store
from tests.integration.web.doors import FRAMEWORKS, WITH_SOCKETS, Door, doors

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "who-may.md"
NEGOTIATED = [form for form in FORMS.values() if form.media_type]
PEOPLE = ("owner", "guest", "other", "anonymous")
MEANS = {
    "token": {"owner"},
    "yes": {"owner"},
    "id": {"owner", "guest", "other"},
    "all": set(PEOPLE),
    "none": set(),
    "signature": set(),  # which nobody here has
}
GUESSED = "01jd0000000000000000000000"
REFUSED = (401, 403, 404)
ASSET = re.findall(r"/assets/([\w.]+)", list_page("").decode())[0]
# How each operation is asked for, where more than its path is needed.
BODIES: dict[tuple[str, str], tuple[bytes, dict[str, str]]] = {
    ("POST", "/runs"): (b'{"command": ["true"]}', {"Content_Type": "application/json"}),
    ("POST", "/runs/{id}/stop"): (b'{"grace": 0}', {"Content_Type": "application/json"}),
    ("POST", "/runs/{id}/signal"): (b'{"signal": "CONT"}', {"Content_Type": "application/json"}),
    ("POST", "/runs/{id}/note"): (b'{"text": "seen"}', {"Content_Type": "application/json"}),
    ("POST", "/runs/{id}/resize"): (b'{"columns": 80, "rows": 24}', {"Content_Type": "application/json"}),
    ("POST", "/runs/{id}/pin"): (b"", {}),
    ("POST", "/runs/{id}/unpin"): (b"", {}),
    ("POST", "/runs/{id}/share"): (b'{"expires": "1h"}', {"Content_Type": "application/json"}),
    ("POST", "/runs/{id}/rerun"): (b"{}", {}),
    ("POST", "/runs/{id}/stdin"): (b"said\n", {}),
    ("DELETE", "/runs/{id}"): (b"", {}),
    ("POST", "/hooks/{name}"): (b"{}", {"Content_Type": "application/json"}),
    ("PUT", "/v1/stream/{name}"): (b"begun", {"Content_Type": "text/plain"}),
    ("POST", "/v1/stream/{name}"): (b" more", {"Content_Type": "text/plain"}),
    ("DELETE", "/v1/stream/{name}"): (b"", {}),
}
QUERIES = {"/runs/{id}/search": "q=a", "/runs/-/search": "q=a"}
MESSAGES = {"Stdin": {"stdin": "said\n"}, "Resize": {"resize": [100, 30]}}
MESSAGES |= {"Signal": {"signal": "TERM"}, "Stop": {"stop": {"grace": 0}}}


class Line(NamedTuple):
    """A line of the specification: what, by which verb, and for each door who may."""

    method: str
    path: str
    verb: str
    may: dict[str, str]


def specification() -> list[Line]:
    """Return the first table of the page."""
    table = PAGE.read_text().partition("\n| what |")[2].partition("\n\n")[0]
    rows = [row.strip("|\n ").split("|") for row in f"| what |{table}".splitlines()]
    names = [cell.strip() for cell in rows[0]][2:]
    lines = []
    for what, verb, *cells in rows[2:]:
        method, _, path = what.strip().rpartition(" ")
        cells = [cell.strip() for cell in cells]
        lines.append(Line(method, path.strip("`"), verb.strip(" `"), dict(zip(names, cells, strict=True))))
    return lines


SPECIFICATION = specification()


# The specification is whole


def test_every_operation_is_specified(own_store: Path) -> None:
    """What the code dispatches by is what the page lists: routes, methods, messages, and their verbs."""
    own = ServerApp(Store(str(own_store)), Guard([], "x"), commands={}).routes
    there = {(method, path, "metrics" if path == "/metrics" else "") for method, path in own}
    for path, methods in ROUTES.items():
        there |= {(method, path, one.verb or "") for method, one in methods.items()}
    for path, verbs in STREAM_ROUTES.items():
        there |= {(method, path, verb) for method, verb in verbs.items()}
    there.add(("WebSocket", websocket.PATH, "read"))
    there.add(("traceback", "/runs/{id}", "traceback"))  # what only some see of a run that they may read
    there |= {("WebSocket message", one.__name__.lower(), verb) for one, verb in websocket.VERBS.items()}

    assert {line[:3] for line in SPECIFICATION} == there
    assert len(SPECIFICATION) == len(there)


def test_every_message_has_a_verb() -> None:
    """No message of a WebSocket is obeyed without somebody who allows it."""
    assert set(websocket.VERBS) == set(get_args(ClientMessage))
    assert {one.__name__ for one in websocket.VERBS} == set(MESSAGES)


def test_every_change_can_be_asked_for() -> None:
    """The matrix knows how to ask for each operation that changes something, and leaves none out."""
    changes = {(line.method, line.path) for line in SPECIFICATION if line.method in ("POST", "PUT", "DELETE")}
    assert set(BODIES) == changes


def test_only_health_is_for_everybody() -> None:
    """At the standalone server all needs the token, but what reveals nothing and what needs a signature."""
    assert [line.path for line in SPECIFICATION if line.may["serve"] not in ("token", "signature")] == [OPEN]
    assert [line.path for line in SPECIFICATION if line.may["serve"] == "signature"] == [f"{HOOKS}{{name}}"]


def test_every_adapter_is_a_door() -> None:
    """No adapter is left out of the matrix."""
    found = set()
    for module in pkgutil.iter_modules(runcast.web.__path__):
        text = "".join(path.read_text() for path in _sources(module.name))
        if re.search(r"^class \w+\(RuncastApp\)|^def init_app|^    def init_app|^urlpatterns", text, re.M):
            found.add(module.name)
    covered = {name.partition("-")[0] for names in FRAMEWORKS.values() for name in names}
    assert found == covered - {"fastapi", "aiohttp"}  # which have Starlette's, and that of an example


def _sources(name: str) -> list[Path]:
    path = Path(runcast.web.__path__[0]) / name
    return sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


# The matrix


class Place:
    """A store with what may be tried at: a run that goes on, one that has ended, a stream."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.streams = FileStreams(store.path)
        self._going: Run | None = None
        self._over: Run | None = None
        self._failed: Run | None = None
        self._made = 0

    def going(self) -> Run:
        """Return a run that goes on in a terminal, and repeats its input."""
        if self._going is None or self._going.outcome is not None:
            self._going = self.store.start(["cat"], tty=True)
        return self._going

    def end(self) -> None:
        """See the run that goes on to its end: who may has it stopped, which takes a moment."""
        if self._going is not None:
            with contextlib.suppress(RunFinished):
                self._going.kill()
            self._going.wait(timeout=LONG)
        self._going = None

    def over(self) -> Run:
        """Return a run that has ended."""
        if self._over is None or not Path(files_of(self._over).path).exists():
            self._over = self.store.start(
                ["sh", "-c", "echo secret; echo secret > kept.txt"],
                cwd=os.path.dirname(self.store.path),
                artifacts=["kept.txt"],
            )
            self._over.wait(timeout=LONG)
        return self._over

    def failed(self) -> Run:
        """Return a function's run that an exception has ended, and whose viewers see no traceback."""
        if self._failed is None or not Path(files_of(self._failed).path).exists():

            def fails() -> None:
                raise ValueError("hunter2")

            self._failed = self.store.start(fails, traceback=False)
            self._failed.wait(LONG)
        return self._failed

    def stream(self) -> str:
        """Return the name of a stream."""
        self.streams.create("kept", Creation("text/plain"), b"secret")
        return "kept"

    def free(self) -> str:
        """Return a name that no stream has."""
        self._made += 1
        return f"new{self._made}"

    def all_there(self) -> None:
        """See that there is one of each."""
        self.going()
        self.over()
        self.stream()

    def state(self) -> object:
        """Return all that somebody could have changed."""
        runs = [(run.id, run.outcome is None, run.tail_offset, run.pinned) for run in self.store.list()]
        streams = []
        for name in sorted(self.streams.names()):
            log = self.streams.get(name).open_log()
            streams.append((name, log.tail_offset))
            log.close()
        return runs, streams


def path_of(line: Line, place: Place, who: str, *, goes_on: bool) -> str:
    """Return a path of the line; who holds nothing can only guess ids."""
    if "{id}" in line.path:
        run = place.going() if goes_on else place.over()
        path = line.path.replace("{path}", "kept.txt")
        return path.replace("{id}", GUESSED if who == "anonymous" else run.id)
    if line.path.endswith("assets/{name}"):
        return line.path.replace("{name}", ASSET)
    if "{name}" in line.path:
        name = place.free() if line.method == "PUT" else place.stream()
        return line.path.replace("{name}", name)
    return line.path


def ways(line: Line) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every form in which a route can be read: a query, and headers."""
    if line.method != "GET":
        yield "", BODIES.get((line.method, line.path), (b"", {}))[1]
    elif line.path == websocket.PATH:
        yield from ((f"?format={form}", {}) for form in NEGOTIATED)
        yield from (("", {"Accept": form.media_type}) for form in NEGOTIATED)
        yield "", {"Range": "bytes=0-2"}
        yield "", {"Last_Event_ID": f"{GUESSED}:0"}
    elif line.path.startswith("/v1/stream/"):
        yield "", {}
        yield from ((f"?offset=-1&live={live}", {}) for live in LIVE)
    elif line.path in QUERIES:
        yield f"?{QUERIES[line.path]}", {}
        yield f"?{QUERIES[line.path]}", {"Accept": "text/event-stream"}
    else:
        yield "", {}
        yield "", {"Accept": "text/html"}
        if line.verb == "list":
            yield "", {"Accept": "text/event-stream"}


def people(door: Door) -> list[str]:
    """Return who is tried at a door: without share links a guest is another who has the id."""
    return [who for who in PEOPLE if who != "guest" or door.shares]


def may(line: Line, door: Door, who: str) -> bool:
    """Return whether a role may, by the page. A role without an id has no run, even where it may read."""
    if line.may[door.column] == "-":
        return False
    if who == "guest" and door.shares and line.may["link"] == "yes":
        return True
    return who in MEANS[line.may[door.column]] and not (who == "anonymous" and "{id}" in line.path)


def by_link(door: Door, path: str, run: Run) -> str:
    """Return a path as somebody asks for it who has a share link of a run."""
    token = ShareKey(door.signs).token(run.id, int(time.time()) + 3600)
    return f"{path}{'&' if '?' in path else '?'}share={token}"


def wrong(
    door: Door, place: Place, who: str, lines: list[Line], expected: Callable[[int], bool]
) -> list[str]:
    """Do what some lines say in each form; return what was not answered as expected."""
    found = []
    for line in lines:
        body = BODIES.get((line.method, line.path), (None, {}))[0]
        # A live log would go on: who may read reads one that has ended, and only such a run is removed.
        goes_on = line.method == "POST" and not line.path.endswith("/rerun")
        for query, headers in ways(line):
            path = path_of(line, place, who, goes_on=goes_on) + query
            if who == "guest":
                path = by_link(door, path, place.going() if goes_on else place.over())
            methods = [line.method, "HEAD"] if line.method == "GET" else [line.method]
            for method in methods:
                status = door.status(who, method, path, body, **headers)
                if not expected(status):
                    found.append(f"{who}: {method} {path} {headers}: {status}")
    return found


@pytest.fixture(name="places", scope="module")
def places_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Door], Place]]:
    """Give all doors to one store."""
    folder = tmp_path_factory.mktemp("doors")
    with pytest.MonkeyPatch.context() as patch, temporary_store(folder / "store") as store:
        patch.setenv("RUNCAST_STORE", str(folder / "store"))
        with doors(folder) as found:
            yield found, Place(store)


DOORS = [("serve", "serve")] + [
    (name, "open" if name in ("wsgi", "asgi") and column == "mounted" else column)
    for names in FRAMEWORKS.values()
    for name in names
    for column in ("mounted", "authorize")
]


@pytest.fixture(name="door", params=DOORS, ids="-".join)
def door_fixture(request: pytest.FixtureRequest, places: tuple[list[Door], Place]) -> Door:
    """Give one door after the other."""
    (door,) = [one for one in places[0] if (one.name, one.column) == request.param]
    return door


def test_who_may(door: Door, places: tuple[list[Door], Place]) -> None:
    """Who may not is refused, in every form, and nothing has changed; who may is served."""
    place = places[1]
    place.all_there()
    before = place.state()
    by_http = [line for line in SPECIFICATION if line.method.isupper()]
    for who in people(door):
        lines = [line for line in by_http if not may(line, door, who)]
        statuses = (401,) if door.name == "serve" else REFUSED
        assert wrong(door, place, who, lines, statuses.__contains__) == []
    assert place.state() == before

    for who in people(door):
        lines = [line for line in by_http if may(line, door, who)]
        # Last of all what ends a run, or removes it.
        lines.sort(key=lambda line: (line.method == "DELETE", line.path.endswith("/stop")))
        assert wrong(door, place, who, lines, lambda status: status < 400) == []
        place.end()  # a stop is answered before the run has ended


def test_who_may_by_websocket(door: Door, places: tuple[list[Door], Place]) -> None:
    """A WebSocket is opened for those who may read, and each of its messages is obeyed for those who may."""
    place = places[1]
    lines = [line for line in SPECIFICATION if line.method.startswith("WebSocket")]
    for who in people(door):
        for line in lines:
            run = place.going()
            path = websocket.PATH.replace("{id}", GUESSED if who == "anonymous" else run.id)
            path = by_link(door, path, run) if who == "guest" else path
            message = None if line.method == "WebSocket" else MESSAGES[line.path.capitalize()]
            allowed = may(line, door, who) and who != "anonymous" and door.name in WITH_SOCKETS
            came = door.message(who, path, message)
            if message is None:
                assert came == ("opened" if allowed else "refused"), (who, line)
            else:
                assert came == ("done" if allowed else "refused"), (who, line)
            if not allowed:
                assert (run.outcome, run.tail_offset) == (None, 0), (who, line)
            elif message is not None:
                place.end()


def test_who_may_see_a_traceback(door: Door, places: tuple[list[Door], Place]) -> None:
    """The traceback of a function goes to those who may see it, in one place; no list and no log has it."""
    place = places[1]
    run = place.failed()
    (line,) = [one for one in SPECIFICATION if one.method == "traceback"]
    for who in ("owner", "guest", "other"):
        shown = f"/runs/{run.id}"
        with door.ask(who, "GET", by_link(door, shown, run) if who == "guest" else shown) as reply:
            fields = json.loads(reply.read())
        allowed = may(line, door, who)
        assert (reply.status == 200) or not allowed, who
        assert ("hunter2" in fields.get("outcome", {}).get("traceback", "")) is allowed, who
        if who == "guest":  # who gets the same forms of a log as another reader
            continue
        for path in (f"/runs/{run.id}/log", f"/runs/{run.id}/log?end=1", "/runs?limit=1000"):
            for _, headers in ways(Line("GET", path.partition("?")[0], "read", {})):
                with door.ask(who, "GET", path, **headers) as reply:
                    assert b"hunter2" not in reply.read1(), (who, path)
        for form in NEGOTIATED:
            with door.ask(who, "GET", f"/runs/{run.id}/log?format={form}") as reply:
                assert b"hunter2" not in reply.read(), (who, form)


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
]


# The plain applications leave it to whoever mounts them.
@pytest.mark.parametrize(
    "door", [one for one in DOORS if one[0] not in ("wsgi", "asgi")], ids="-".join, indirect=True
)
def test_foreign_pages_change_nothing(door: Door, places: tuple[list[Door], Place]) -> None:
    """No page of another site makes the owner's browser change anything: each route, each sign of it (T4)."""
    place = places[1]
    place.all_there()
    before = place.state()
    for line in SPECIFICATION:
        if line.method not in ("POST", "PUT", "DELETE") or not may(line, door, "owner"):
            continue
        body, headers = BODIES[line.method, line.path]
        for sign in FOREIGN:
            path = path_of(line, place, "owner", goes_on=line.method == "POST")
            assert door.status("owner", line.method, path, body, **headers, **sign) == 403, (line, sign)
    assert place.state() == before


def test_other_names_of_this_machine(places: tuple[list[Door], Place]) -> None:
    """After DNS rebinding a page can send all that ours can, but not our name: each route is 421 (T5)."""
    (door,) = [one for one in places[0] if one.name == "serve"]
    for line in SPECIFICATION:
        if line.path == OPEN or not line.method.isupper():
            continue
        path = path_of(line, places[1], "owner", goes_on=False)
        assert door.status("owner", line.method, path, b"{}", Host="evil.example") == 421, line


def test_unsafe_content_types(places: tuple[list[Door], Place]) -> None:
    """What a form can send changes nothing, though it has the cookie and no Origin: each route (T4)."""
    (door,) = [one for one in places[0] if one.name == "serve"]
    place = places[1]
    place.all_there()
    before = place.state()
    for line in SPECIFICATION:
        # Clients of streams send neither; a browser's form has an Origin there, and that is looked at.
        if line.method not in ("POST", "PUT", "DELETE") or line.path.startswith("/v1/stream/"):
            continue
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            path = path_of(line, place, "owner", goes_on=line.method == "POST")
            body = BODIES[line.method, line.path][0]
            refused = 401 if line.may["serve"] == "signature" else 403
            status = door.status("owner", line.method, path, body, Content_Type=kind, X_Runcast="")
            assert status == refused, line
    assert place.state() == before


def test_unknown_methods(door: Door, places: tuple[list[Door], Place]) -> None:
    """A method that a route does not have is refused to the owner, too, and changes nothing."""
    place = places[1]
    place.all_there()
    before = place.state()
    known = {(line.method, line.path) for line in SPECIFICATION}
    for path in {
        line.path for line in SPECIFICATION if line.path.startswith("/") and line.may[door.column] != "-"
    }:
        for method in ("PATCH", "POST", "PUT", "DELETE", "PROPFIND"):
            if (method, path) not in known:
                asked = path_of(Line("GET", path, "", {}), place, "owner", goes_on=True)
                assert door.status("owner", method, asked, b"{}") in (403, 404, 405, 501), (method, path)
    assert place.state() == before


def test_behind_a_view(places: tuple[list[Door], Place]) -> None:
    """A view's own URL gives the runs that it shows; all else is refused, for every role."""
    place = places[1]
    for door in places[0]:
        if door.name != "wsgi":
            continue
        with door.ask("other", "GET", "/view") as response:
            shown = re.findall(r"/runs/(\w+)/log", response.headers["Content-Location"])[0]
        place.store.get(shown).wait(timeout=LONG)
        before = place.state()
        for line in SPECIFICATION:
            if not line.path.startswith(("/runs", "/commands")):
                continue
            for run_id in (shown, place.over().id):
                path = line.path.replace("{id}", run_id).replace("{name}", ASSET)
                reads = line.verb == "read" and run_id == shown and line.method == "GET"
                reads = (reads and "{path}" not in line.path) or line.verb == ""  # it keeps no file
                status = door.status(
                    "owner", line.method, f"/view?runcast={path}&{QUERIES.get(line.path, '')}", b"{}"
                )
                assert (status == 200) is reads, (line, run_id, status)
        assert place.state() == before


def test_token_of_the_connection_does_not_last(places: tuple[list[Door], Place]) -> None:
    """On one connection each request has its own rights, appends that look alike included."""
    (door,) = [one for one in places[0] if one.name == "serve"]
    name = places[1].stream()
    connection = http.client.HTTPConnection(urlsplit(door.root).netloc, timeout=LONG)
    statuses = []
    for who in ("owner", "owner", "other", "owner", "other"):
        connection.request(
            "POST", f"/v1/stream/{name}", b"x", door.headers(who) | {"Content-Type": "text/plain"}
        )
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    assert statuses == [204, 204, 401, 204, 401]


def test_fork_needs_the_right_to_read(tmp_path: Path) -> None:
    """Who may make streams, but not read a certain one, does not get its bytes by a fork."""

    def authorize(verb: str, run: object, request: Request) -> bool:
        return request.path.startswith("/v1/stream/mine/")

    durable = Durable(Responder(Store(str(tmp_path)), authorize=authorize))
    durable.streams.create("theirs/diary", Creation("text/plain"), b"secret")
    asked = {"content-type": "text/plain", "stream-forked-from": "/v1/stream/theirs/diary"}

    reply = durable.respond(Request("PUT", "/v1/stream/mine/copy", headers=asked))

    assert isinstance(reply, Reply)
    assert reply.status == 403
    assert list(durable.streams.names()) == ["theirs/diary"]


CLIMBING = [
    *("..%2f..%2fetc%2fpasswd", "../../etc/passwd", "%2e%2e/%2e%2e/canary", "..%252f..%252fcanary"),
    *(
        "....//....//canary",
        "..%5c..%5ccanary",
        "..\\\\..\\\\canary",
        "%c0%ae%c0%ae/canary",
        "..%c0%afcanary",
    ),
    *(
        "%00",
        "..%2fcanary%00",
        "%0a",
        "%ff%fe",
        "%ef%bc%8e%ef%bc%8e/canary",
        "%e2%80%ae",
        "~",
        "%7e%2fcanary",
    ),
    *(".token", "keys", ".streams", ".servers", "-", ".", "..", "%2e", "%2f", "//", "ID%2f..%2fID", "ID%00"),
    *("ID%0a", "ID/..", "ID/../../canary", "ID.json", "ID%20", "..;/canary", "a" * 5000, "%2e" * 2000),
]


def test_no_path_climbs(door: Door, places: tuple[list[Door], Place]) -> None:
    """No id and no name leads out of the store, or breaks anything, in any spelling at any route (T9)."""
    # All of them at the standalone server, a third at each other door: three of a kind have them all.
    turn = DOORS.index((door.name, door.column))
    climbing = CLIMBING if door.name == "serve" else CLIMBING[turn % 3 :: 3]
    place = places[1]
    place.all_there()
    over, store = place.over(), Path(place.store.path)
    canary = store.parent / "canary"
    canary.write_text("canary: nobody may read this")
    outside, inside = sorted(os.listdir(store.parent)), {one for one in os.listdir(store) if one[0] != "."}
    wrong = []
    for line in SPECIFICATION:
        if "{" not in line.path or line.may[door.column] == "-" or line.method in ("POST", "HEAD"):
            continue
        for climb in climbing:
            path = re.sub(r"{\w+}", lambda _, climb=climb: climb.replace("ID", over.id), line.path)
            body = BODIES.get((line.method, line.path), (b"", {}))
            with door.ask("owner", line.method, path, body[0], **body[1]) as reply:
                output = reply.read(4096) if reply.status >= 300 or line.path.startswith("/v1/") else b""
                if reply.status >= 500 or b"nobody may read" in output or b"root:" in output:
                    wrong.append(f"{line.method} {path[:80]}: {reply.status} {output[:80]!r}")
    assert wrong == []
    assert canary.read_text() == "canary: nobody may read this"
    assert sorted(os.listdir(store.parent)) == outside
    assert {one for one in os.listdir(store) if one[0] != "."} <= inside
