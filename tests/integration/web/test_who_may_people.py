"""Who may do what, by people: those with rights at `runcast serve`, users of a framework's login (T10).

The lines are those of docs/reference/who-may.md, as in test_who_may.py: a person with rights may what its
rights have the verb of, and nothing else; a user may what `authorize` allows.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from runcast.durable import FileStreams
from runcast.rights import VERBS, Rights
from runcast.store.scoped_tokens import TokenFiles
from runcast.web.adapters import websocket
from tests.helpers.servers import LONG, Server
from tests.helpers.stores import temporary_store
from tests.integration.server.test_serve import serving
from tests.integration.web.doors import Door
from tests.integration.web.test_people import APPS, Client
from tests.integration.web.test_who_may import MESSAGES, SPECIFICATION, Line, Place, wrong

pytestmark = pytest.mark.slow

BY_HTTP = [line for line in SPECIFICATION if line.method.isupper()]
ROLES = """
user_header = "X-Remote-User"
trusted_proxies = ["127.0.0.1"]

[roles.operators]
users = ["operator"]
may = ["*"]

[roles.developers]
users = ["developer"]
may = ["read", "start", "stop"]
"""
USERS = {"operator": ("*",), "developer": ("read", "start", "stop"), "reader": ("read",)}
PROGRAMS = {verb: (verb,) for verb in VERBS} | {
    "all": ("*",),
    "other": tuple(f"{verb}:other" for verb in VERBS),
}


class PeopleDoor(Door):
    """A door whose clients are people, each with headers of its own."""

    sends: Callable[[str], dict[str, str]] = staticmethod(lambda who: {})

    def headers(self, who: str) -> dict[str, str]:
        """Return what somebody sends with each request."""
        return {"X-Runcast": "1", **self.sends(who)}


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Return lines in the order in which they are tried: last of all what ends a run, or removes it."""
    return sorted(lines, key=lambda line: (line.method == "DELETE", line.path.endswith("/stop")))


def check_http(door: Door, place: Place, who: str, allowed: Callable[[Line], bool]) -> None:
    """See that who may not is refused in every form, and changes nothing; and that who may is served."""
    place.all_there()
    before = place.state()
    # What a signature opens is open to nobody without one.
    lines = [line for line in BY_HTTP if line.may[door.column] not in ("-", "signature")]
    refused = [line for line in lines if not allowed(line)]
    assert wrong(door, place, who, refused, (401, 403).__contains__) == []
    assert place.state() == before
    served = in_order([line for line in lines if allowed(line)])
    assert wrong(door, place, who, served, lambda status: status < 400) == []
    place.end()
    for run in place.store.list():
        run.wait(timeout=LONG)


def check_messages(door: Door, place: Place, who: str, may: Callable[[str], bool]) -> None:
    """See the same of a WebSocket and of each of its messages."""
    for line in [line for line in SPECIFICATION if line.method.startswith("WebSocket")]:
        run = place.going()
        message = MESSAGES.get(line.path.capitalize())
        came = door.message(who, websocket.PATH.replace("{id}", run.id), message)
        allowed = may("read") and may(line.verb)
        assert came == (("opened" if message is None else "done") if allowed else "refused"), line
        if not allowed:
            assert (run.outcome, run.tail_offset) == (None, 0), line
        elif message is not None:
            place.end()


# At `runcast serve`


@pytest.fixture(name="served", scope="module")
def served_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PeopleDoor, Place]]:
    """Give a server, its people, and its store."""
    folder = tmp_path_factory.mktemp("people")
    (folder / "server.toml").write_text(ROLES)
    with pytest.MonkeyPatch.context() as patch, temporary_store(folder / "store") as store:
        patch.setenv("RUNCAST_STORE", store.path)
        tokens = TokenFiles(store.path)
        made = {name: tokens.add(name, may, None) for name, may in PROGRAMS.items()}

        def sends(who: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {made[who]}"} if who in made else {"X-Remote-User": who}

        with serving("--allow-any-command", "--config", folder / "server.toml") as server:
            door = PeopleDoor("serve", "serve", f"http://{server.host}:{server.port}", "", "", server.token)
            patch.setattr(PeopleDoor, "sends", staticmethod(sends))
            yield door, Place(store)


def rights_of(who: str) -> Rights:
    """Return what somebody may."""
    return Rights({**USERS, **PROGRAMS}[who])


@pytest.mark.parametrize("who", [*USERS, *PROGRAMS])
def test_rights(served: tuple[PeopleDoor, Place], who: str) -> None:
    """Somebody with rights may what these name, at each route, in each form; a stolen token nothing else.

    The names of all runs and streams here are others than `other`.
    """
    rights = rights_of(who)
    # What reveals nothing of runs is for all who are let in.
    check_http(*served, who, lambda line: line.verb == "" or rights.allow(line.verb, "any name"))


@pytest.mark.parametrize("who", ["operator", "developer", "reader", "read", "send", "stop", "other"])
def test_rights_by_websocket(served: tuple[PeopleDoor, Place], who: str) -> None:
    """To open a WebSocket is to read; each message is a verb of its own."""
    check_messages(*served, who, lambda verb: rights_of(who).allow(verb, "any name"))


@pytest.mark.parametrize("who", ["operator", "reader", "read", "traceback"])
def test_rights_to_a_traceback(served: tuple[PeopleDoor, Place], who: str) -> None:
    """A traceback is for those who may both read the run and see that."""
    door, place = served
    with door.ask(who, "GET", f"/runs/{place.failed().id}") as reply:
        text = reply.read()
    assert (b"hunter2" in text) is (who == "operator")
    assert (reply.status == 200) is (who != "traceback")


def test_rights_to_a_fork(served: tuple[PeopleDoor, Place]) -> None:
    """A fork needs the right to read what it copies, by the name of that."""
    door, place = served
    place.stream()
    forked = {"Content_Type": "text/plain", "Stream_Forked_From": "/v1/stream/kept"}
    assert door.status("create", "PUT", "/v1/stream/forked", b"", **forked) == 403
    assert "forked" not in FileStreams(place.store.path).names()


# In an application


@pytest.fixture(name="logged", scope="module", params=["django-wsgi", "django-asgi", "flask", "starlette"])
def logged_fixture(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PeopleDoor, Place]]:
    """Give an application with a login of its framework, its users, and its store."""
    kind, code = APPS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch, temporary_store(folder / "store") as store:
        patch.setenv("RUNCAST_STORE", store.path)
        with Server(folder, kind, code.replace("FOLDER", repr(str(folder)))) as running:
            cookies = {name: Client(running.root, name).cookie for name in ("ana", "eve")}
            patch.setattr(
                PeopleDoor,
                "sends",
                staticmethod(lambda who: {"Cookie": cookies[who]} if who in cookies else {}),
            )
            yield PeopleDoor(request.param, "authorize", running.root, "", "", ""), Place(store)


@pytest.mark.parametrize("who", ["ana", "eve", "nobody"])
def test_users(logged: tuple[PeopleDoor, Place], who: str) -> None:
    """An administrator of Django, a user of Flask-Login may what `authorize` allows; another user nothing."""

    def allowed(line: Line) -> bool:
        return line.may["authorize"] == "all" or (who == "ana" and line.may["authorize"] == "yes")

    door, place = logged
    check_http(door, place, who, allowed)


def test_who_it_was(served: tuple[PeopleDoor, Place]) -> None:
    """The audit has who did each of these, and who was refused."""
    text = (Path(served[1].store.path) / ".audit.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line]
    people = {line["who"]["name"] for line in lines if line["who"]["kind"] in ("scoped token", "proxy user")}

    assert people == {*USERS, *PROGRAMS}
