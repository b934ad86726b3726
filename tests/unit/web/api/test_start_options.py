"""What the body of a start may say of a command, and what it may not."""

from typing import Any

import pytest

from runcast.errors import UsageError
from runcast.web.api.start_options import body_options, start_options


def test_all_options():
    """Each option comes out as `Store.start` takes it; the title is the name."""
    asked = {
        "command": ["ls"],
        "title": "label",
        "shell": True,
        "cwd": "/tmp",
        "env": {"A": "b"},
        "mask": ["hunter2"],
        "color": True,
        "line_buffered": True,
        "tty": "stdout",
        "columns": 100,
        "rows": 30,
        "stdin": "pipe",
        "timeout": 1,
        "idle_timeout": 2.5,
        "cap": None,
        "keep": [100, "7d"],
        "artifacts": ["out/*.png"],
        "queue": "builds",
        "max_running": 3,
        "replace": True,
        "key": "task 7",
    }

    found = start_options(asked)

    assert found.pop("name") == "label"
    assert found == {key: value for key, value in asked.items() if key not in ("command", "title")}
    assert body_options().keys() == set(asked) - {"command"}
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
        ("mask", "hunter2"),
        ("mask", [1]),
        ("mask", None),
        ("stdin", 0),
        ("artifacts", "a"),
        ("artifacts", [1]),
        ("artifacts", None),
        ("queue", "a/b"),
        ("queue", "é"),
        ("queue", "a" * 65),
        ("max_running", 0),
        ("max_running", True),
        ("replace", 1),
        ("keep", 0),
        ("keep", "soon"),
        ("keep", {"runs": 5}),
        ("keep", None),
        ("stdin", "file"),
        ("timeout", 0),
        ("timeout", True),
        ("timeout", "5"),
        ("timeout", float("inf")),
        ("idle_timeout", -1),
        ("cap", 0),
        ("cap", 1.5),
        ("cap", True),
        ("key", ""),
        ("key", 7),
        ("key", None),
    ],
)
def test_wrong_values(name: str, value: Any):
    """A value of another kind is refused by its option's name: above all no descriptor of ours as stdin."""
    with pytest.raises(UsageError, match=f'expected "{name}" as '):
        start_options({"command": ["ls"], name: value})
