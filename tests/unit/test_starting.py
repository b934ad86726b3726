"""What can be asked for, and what is said of it."""

import os
from pathlib import Path
from typing import Any

import pytest

from runcast.errors import CommandRefused, UsageError
from runcast.starting import Start
from runcast.store.keys import _link, free_key, take_key


def nothing(a: int = 0):
    pass


def values():
    yield 1


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (nothing, {"shell": True}, "expected shell=True with a command only, got a function"),
        (values, {"stdin": "pipe"}, "expected stdin with a command only, got a generator"),
        (nothing, {"input": "x"}, "expected input with a command only"),
        (nothing, {"cwd": "/"}, "that runs in this process: use process=True"),
        (values(), {"env": {"A": "b"}}, "expected env with a command or process=True only"),
        (values, {"process": True}, "expected process=True with a function only, got a generator"),
        (["ls"], {"process": True}, "expected process=True with a function only, got a command"),
        (
            ["ls"],
            {"programs": True},
            "expected programs=True with what runs in this process only, got a command",
        ),
        (nothing, {"programs": True, "process": True}, "got a function with process=True: leave it out"),
        (["ls"], {"args": ("-l",)}, "expected arguments with a function only"),
        (nothing, {"args": (1, 2)}, r"expected the arguments that nothing\(a: int = 0\) takes"),
        (values, {"ahead": 0}, "expected ahead to be 1 or more, or None to run free, got 0"),
        (values, {"ahead": "all"}, "expected ahead to be 1 or more"),
        (values, {"ahead": 1.5}, "expected ahead to be 1 or more"),
        (values, {"timeout": [1]}, r"expected timeout as seconds, or a text such as \"5m\", got \[1\]"),
        (
            values,
            {"timeout": "soon"},
            "expected timeout as a duration such as 90, 90s, 5m, 1h30m or 7d, got 'soon'",
        ),
        (
            values,
            {"timeout": "0s"},
            "expected timeout as a duration such as 90, 90s, 5m, 1h30m or 7d, got '0s'",
        ),
        (["ls"], {"cap": "much"}, "expected cap as a size such as 4096, 64M or 1G, or none, got 'much'"),
        (nothing, {"a": 3}, r'got a=3: arguments of nothing by name go into kwargs=\{"a": 3\}'),
        (nothing, {"n": 3}, r'got n=3: arguments of nothing by name go into kwargs=\{"n": 3\}'),
        (nothing, {"time_out": 3}, "expected an option of start, got time_out=3: did you mean timeout?"),
        (["ls"], {"time_out": 3}, "expected an option of start, got time_out=3: did you mean timeout?"),
        (["ls"], {"qqq": 3}, "expected an option of start, got qqq=3: there is none of this name"),
        (values, {"idle_timeout": float("nan")}, "expected idle_timeout to be more than 0, got nan"),
        (["ls"], {"cap": 1.5}, 'expected cap as bytes, or a text such as "64M", got 1.5'),
        (["ls"], {"cwd": 3}, "expected cwd as a path, got 3"),
        (["ls"], {"env": ["A=1"]}, "expected env as a mapping of names to texts"),
        (["ls"], {"input": 3}, "expected input as bytes or text, got 3"),
        (["ls"], {"name": 3}, "expected name as text, got 3"),
        (["ls"], {"key": ""}, "expected a key of at least one character, got ''"),
        (["ls"], {"key": 1}, "expected a key of at least one character, got 1"),
        (["cat"], {"stdin": "pipe", "input": "x"}, "expected stdin or input, got both"),
        (["cat"], {"stdin": -1}, 'expected stdin to be "pipe", a file or a descriptor, got -1'),
    ],
)
def test_without_a_meaning(source: Any, options: dict[str, Any], message: str):
    """What has no meaning is refused before anything is touched, with what to do."""
    with pytest.raises(UsageError, match=message):
        Start(source, options.pop("args", ()), options)


def test_shell_syntax():
    """A string with shell syntax is refused without a shell."""
    with pytest.raises(CommandRefused):
        Start("ls | wc", (), {})
    Start("ls | wc", (), {"shell": True})


ONE, TWO = "1" * 26, "2" * 26


def made(store: Path, name: str, **asked: Any) -> tuple[str, dict[str, Any]]:
    """Make the folder of a run that has no name yet."""
    from runcast.store.run_files import RunFiles

    request = {"id": name, "source": "command", "command": ["x"], "name": "x", "view": None} | asked
    new = f"{store}/.new-{name}"
    RunFiles.create(new, request)
    return new, request


def unasked(path: str) -> bool:
    """Be no matter: a run that was started, and is no attempt, has its key for good."""
    raise AssertionError(path)


def test_key_is_taken_once(tmp_path: Path):
    """The first takes the key; whoever comes when its run is there gets that one."""
    lock, other = take_key(str(tmp_path), "k", *made(tmp_path, ONE), unasked)
    assert lock is not None
    assert other is None
    os.rename(tmp_path / f".new-{ONE}", tmp_path / ONE)
    os.close(lock)

    assert take_key(str(tmp_path), "k", *made(tmp_path, TWO), unasked) == (None, f"{tmp_path}/{ONE}")


def test_key_of_one_that_died(tmp_path: Path):
    """A key whose lock is free and whose run is not there is taken over."""
    lock, _ = take_key(str(tmp_path), "k", *made(tmp_path, ONE), unasked)
    assert lock is not None
    os.close(lock)

    lock, other = take_key(str(tmp_path), "k", *made(tmp_path, TWO), unasked)
    assert lock is not None
    assert other is None
    assert TWO.encode() in Path(_link(str(tmp_path), "k")).read_bytes()
    os.close(lock)


def test_only_the_own_key_is_freed(tmp_path: Path):
    """Freeing a key for a run that no longer has it does nothing; neither does one that nobody has."""
    lock, _ = take_key(str(tmp_path), "k", *made(tmp_path, ONE), unasked)
    assert lock is not None
    os.close(lock)
    free_key(str(tmp_path), "k", "another")
    assert os.path.exists(_link(str(tmp_path), "k"))
    free_key(str(tmp_path), "k", ONE)
    assert not os.path.exists(_link(str(tmp_path), "k"))
    free_key(str(tmp_path), "k", ONE)
    free_key(str(tmp_path / "elsewhere"), "k", ONE)
