"""The forms in which an application may name the commands that the web may start."""

import pytest

from runcast.errors import RuncastError, UsageError
from runcast.web.adapter import Cast
from runcast.web.commands import NamedCommand, named_commands


def test_list_of_commands():
    """In a list each command is its own name: a string as it is, a list as a shell would be told."""
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
    ("commands", "said"),
    [
        ("ls", "expected commands= as a list or a table, got one string"),
        (["ls | wc"], "shell=True"),
        ({"x": {"cmd": "ls"}}, "expected of the command 'x' cap, command, cwd"),
        ({"x": {"title": "no command"}}, "expected of the command 'x' a \"command\", got none"),
        ([[]], "expected a list of at least one string"),
    ],
)
def test_wrong_commands(commands: object, said: str):
    """What is no command is told when the application starts, not when somebody presses the button."""
    with pytest.raises(RuncastError) as caught:
        named_commands(commands)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_commands_need_somebody_who_may(tmp_path):
    """Commands without a word on who may start them are refused: nobody could, or everybody would."""
    with pytest.raises(UsageError, match="expected authorize= as well"):
        Cast(store=tmp_path / "store", commands=["ls"])
    with pytest.raises(UsageError, match="expected authorize= as well"):
        Cast(store=tmp_path / "store", allow_any_command=True)

    cast = Cast(store=tmp_path / "store", commands=["ls"], authorize=lambda verb, run, request: False)
    assert list(cast.commands) == ["ls"]
