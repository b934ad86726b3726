"""What the body of a start may say of a command, and what it may not."""

from typing import Any

import pytest

from runcast.errors import UsageError
from runcast.web.starts import OPTIONS, start_options


def test_all_options():
    """Each option comes out as `Store.start` takes it; the title is the name."""
    asked = {
        "command": ["ls"],
        "title": "label",
        "shell": True,
        "cwd": "/tmp",
        "env": {"A": "b"},
        "stdin": "pipe",
        "timeout": 1,
        "idle_timeout": 2.5,
        "cap": None,
    }

    found = start_options(asked)

    assert found.pop("name") == "label"
    assert found == {key: value for key, value in asked.items() if key not in ("command", "title")}
    assert OPTIONS == set(asked) - {"command"}
    assert start_options({"command": ["ls"]}) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", 3),
        ("title", "a\0b"),
        ("shell", "yes"),
        ("cwd", None),
        ("env", ["A=b"]),
        ("env", {"A": 1}),
        ("env", {"A": "\0"}),
        ("stdin", 0),
        ("stdin", "file"),
        ("timeout", 0),
        ("timeout", True),
        ("timeout", "5"),
        ("timeout", float("inf")),
        ("idle_timeout", -1),
        ("cap", 0),
        ("cap", 1.5),
        ("cap", True),
    ],
)
def test_wrong_values(name: str, value: Any):
    """A value of another kind is refused by its option's name: above all no descriptor of ours as stdin."""
    with pytest.raises(UsageError, match=f'expected "{name}" as '):
        start_options({"command": ["ls"], name: value})
