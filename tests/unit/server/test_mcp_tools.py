"""What a model reads of the tools, and the check of what it gives them."""

import re
from typing import Any

import pytest

from runcast.errors import UsageError
from runcast.server.mcp.tools import Tool, checked, tools

COMMANDS: list[dict[str, Any]] = [
    {"name": "back.up", "title": "Back up", "description": "Every file."},
    {"name": "back_up"},
    {
        "name": "deploy",
        "params": {
            "count": {"type": "int", "min": 1, "max": 9, "default": 3},
            "target": {
                "type": "text",
                "title": "Where to",
                "help": "A host",
                "pattern": "[a-z]+",
                "required": True,
            },
            "force": {"type": "flag"},
            "list": {"type": "file", "required": True},
        },
    },
]


def found(*, any_command: bool = False) -> dict[str, Tool]:
    return {tool.name: tool for tool in tools({"commands": COMMANDS, "any": any_command})}


def test_names():
    """Each named command has a tool with a name that every client takes; any command only where allowed."""
    starts = [name for name in found() if name.startswith("start")]

    assert starts == ["start_back_up", "start_back_up_", "start_deploy"]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in found(any_command=True))
    assert "start" in found(any_command=True)
    assert found()["start_back_up"].description.startswith("Start Back up. Every file. Returns its id")


def test_parameters():
    """A parameter's type, limits and words are in the schema, which the check heeds."""
    schema = found()["start_deploy"].schema

    params = schema["properties"]["params"]
    assert params["required"] == ["target", "list"]
    assert params["properties"]["count"] == {
        "type": "integer", "description": "count", "default": 3, "minimum": 1, "maximum": 9,
    }  # fmt: skip
    assert params["properties"]["target"]["pattern"] == "^(?:[a-z]+)$"
    assert params["properties"]["target"]["description"] == "Where to: A host"
    assert checked(params, {"target": "x", "list": ""}) == {"count": 3, "target": "x", "list": ""}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "expected the argument id, got none"),
        (
            {"id": "x", "wat": 1},
            "expected as an argument id, offset, tail, wait, max_bytes, channel, got 'wat'",
        ),
        ({"id": 3}, "expected id as a text, got 3"),
        ({"id": "x", "wait": -1}, "expected wait as a number from 0 to 300, got -1"),
        ({"id": "x", "wait": True}, "expected wait as a number, got True"),
        ({"id": "x", "max_bytes": 1.5}, "expected max_bytes as a whole number, got 1.5"),
        ({"id": "x", "channel": "all"}, "expected channel as one of stdout, stderr, data, got 'all'"),
    ],
)
def test_check(given: dict[str, Any], says: str):
    """What does not fit is refused with what was expected and what came."""
    with pytest.raises(UsageError) as refused:
        checked(found()["follow"].schema, given)

    assert str(refused.value) == says


def test_defaults():
    """What is not given has its default."""
    assert checked(found()["follow"].schema, {"id": "x"}) == {
        "id": "x", "offset": 0, "wait": 20, "max_bytes": 20_000,
    }  # fmt: skip
