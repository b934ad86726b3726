"""The forms in which an application may name the commands that the web may start, and who may start them."""

import json
from pathlib import Path
from typing import Any

import pytest

from runcast import Store
from runcast.errors import RuncastError, UsageError
from runcast.rights import Rights
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.api.authorize import as_guarded
from runcast.web.api.commands import NamedCommand, named_commands
from runcast.web.http.messages import Request
from runcast.web.http.person import PERSON, Person
from runcast.web.http.share import SHARED
from runcast.web.responder import Responder
from runcast.who import Who


def test_list_of_commands():
    """In a list each command is its own name: a string as it is, a list quoted as for a shell."""
    commands = named_commands(["ls -lR", ["echo", "two words"], NamedCommand("mine", "true")])

    assert list(commands) == ["ls -lR", "echo 'two words'", "mine"]
    assert commands["echo 'two words'"].command == ["echo", "two words"]


def test_table_of_commands():
    """In a table a command has a name, and may have a title, limits and the like."""
    table = {"list": "ls", "build": {"command": ["make"], "title": "Build it", "timeout": 60}}
    commands = named_commands({**table, "mine": NamedCommand("other", "true")})

    assert commands["list"] == NamedCommand("list", "ls")
    assert commands["build"] == NamedCommand("build", ["make"], title="Build it", timeout=60)
    assert commands["mine"].name == "mine"


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ("ls", "expected commands= as a list or a table, got one string"),
        (["ls | wc"], "shell=True"),
        ({"x": {"cmd": "ls"}}, "expected of the command 'x' artifacts, cap, color, columns, command, cwd"),
        ({"x": {"title": "no command"}}, "expected of the command 'x' a \"command\", got none"),
        ([[]], "expected a list of at least one string"),
    ],
)
def test_wrong_commands(commands: object, expected: str):
    """An invalid command is an error when the application starts, not at the first start of it."""
    with pytest.raises(RuncastError) as caught:
        named_commands(commands)  # type: ignore[arg-type]
    assert expected in str(caught.value)


def test_commands_need_somebody_who_may(tmp_path):
    """Commands without a word on who may start them are refused: nobody could, or everybody would."""
    with pytest.raises(UsageError, match="expected authorize= as well"):
        RuncastApp(store=tmp_path / "store", commands=["ls"])
    with pytest.raises(UsageError, match="expected authorize= as well"):
        RuncastApp(store=tmp_path / "store", allow_any_command=True)

    cast = RuncastApp(store=tmp_path / "store", commands=["ls"], authorize=lambda verb, run, request: False)
    assert list(cast.commands) == ["ls"]


# Who may start them


def test_only_what_would_start_is_offered(tmp_path: Path):
    """`authorize` is called for each command as it would be for its start; what it denies is not listed."""

    def authorize(verb: str, run: object, request: Request) -> bool:
        return verb == "list" or (verb == "start" and request.json().get("name") == "backup")

    commands = named_commands({"backup": "true", "deploy": "true"})
    store = Store(str(tmp_path))

    def listed(**options: Any) -> tuple[list[str], bool, str]:
        responder = Responder(store, authorize=authorize, **options)
        value = json.loads(responder.respond(Request("GET", "/commands")).body)
        page = responder.respond(Request("GET", "/runs", headers={"accept": "text/html"})).body.decode()
        return [one["name"] for one in value["commands"]], value["any"], page.partition('data-may="')[2][:8]

    assert listed(commands=commands, allow_any_command=True) == (["backup"], False, "commands")
    assert listed(commands={"deploy": commands["deploy"]}) == ([], False, '">\n<head')


def test_refusal_of_somebody_with_rights(tmp_path: Path):
    """What such a client may do stands beside the sentence; of others nothing does."""
    responder = Responder(Store(str(tmp_path)), authorize=as_guarded, allow_any_command=True)
    person = Person(Who("user", "ana"), Rights(["read", "start:backup"]))

    def refusal(scope: dict[str, Any]) -> dict[str, Any]:
        start = Request("POST", "/runs", body=b'{"command": ["true"]}', original=scope)
        reply = responder.respond(start)
        assert reply.status == 403
        value: dict[str, Any] = json.loads(reply.body)
        return value

    said = refusal({PERSON: person})
    assert (said["verb"], said["may"]) == ("start", ["read", "start:backup"])
    assert said["detail"].startswith("expected somebody who may start, ana may read, start:backup")
    assert "may" not in refusal({SHARED: True})
