"""`runcast run`: what it refuses, with what to do instead, before anything is touched."""

from pathlib import Path

import pytest

from runcast.cli import run
from runcast.cli.start_options import given
from tests.helpers.cli import Call


def test_mistyped_option_is_no_command(call: Call, own_store: Path):
    """An option that we do not have is told, with one that is like it; nothing is started."""
    done = call("run", "--tiemout", "5", "true")

    assert done.code == 2
    assert "--tiemout" in done.err
    assert "--timeout" in done.err
    assert done.err.count("\n") == 1
    assert not own_store.exists()


def test_no_command(call: Call, own_store: Path):
    """Nothing to run is a usage error."""
    for arguments in ([], ["--"]):
        done = call("run", *arguments)
        assert done.code == 2
        assert done.err == "runcast: missing argument '[--] CMD [ARGS]...' (see `runcast run --help`)\n"


def test_shell_of_several_words(call: Call, own_store: Path):
    """`--shell` takes one string: what to do about several is told."""
    done = call("run", "--shell", "echo", "a b")

    assert done.code == 2
    assert done.err == "runcast: expected one string with --shell, got 2: quote \"echo 'a b'\"\n"
    assert not own_store.exists()


@pytest.mark.parametrize("text", ["make && make install", "ls | wc", "echo $HOME", "a > b", "$(date)"])
def test_shell_syntax_is_refused(call: Call, own_store: Path, text: str):
    """A single string with shell syntax is refused with what to do instead; nothing is touched."""
    done = call("run", "--", text)

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith("runcast: expected a program and its arguments, got shell syntax ")
    assert f"runcast run --shell '{text}'" in done.err
    assert done.err.count("\n") == 1
    assert not own_store.exists()


def test_command_line_in_one_word_is_refused(call: Call, own_store: Path):
    """A whole command line in one word is told how to write it; nothing is touched."""
    done = call("run", "ls -l")

    assert (done.code, done.out) == (2, b"")
    assert "write `runcast run -- ls -l`" in done.err
    assert not own_store.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--timeout", "soon"],
            "--timeout: expected a duration such as 90, 90s, 5m, 1h30m or 7d, got 'soon'",
        ),
        (["--timeout", "0"], "expected timeout to be more than 0, got 0.0: leave it out for none"),
        (["--cap", "much"], "--cap: expected a size such as 4096, 64M or 1G, or none, got 'much'"),
        (["--size", "0x24", "--tty"], "--size: expected COLSxROWS such as 80x24, each from 1 to 65535, got "),
        (["--size", "90x24"], "expected tty with columns=90: without it there is no terminal"),
        (["--tty=stderr"], "expected --tty or --tty=stdout, got '--tty=stderr'"),
        (["--env", "A"], "--env: expected NAME=VALUE, got 'A'"),
        (
            ["--mask-env", "UNSET"],
            "--mask-env: expected the name of a variable that is set here, got ",
        ),
    ],
)
def test_bad_values(call: Call, own_store: Path, options: list[str], said: str):
    """A value that is none is told in one line, and nothing is started."""
    done = call("run", *options, "true")

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith(f"runcast: {said}")
    assert done.err.count("\n") == 1
    assert not own_store.exists()


@pytest.mark.parametrize(
    ("words", "chosen", "command"),
    [
        (["-t", "x"], {"tty": True}, ["x"]),
        (["--tty", "x", "--tty=stdout"], {"tty": True}, ["x", "--tty=stdout"]),
        (["--tty=stdout", "--", "x", "--tty=no"], {"tty": "stdout"}, ["x", "--tty=no"]),
        (["--tty=stdout", "--size", "9x8", "x"], {"tty": "stdout", "columns": 9, "rows": 8}, ["x"]),
        (["-qt", "x"], {"tty": True}, ["x"]),
        (["x", "-t", "--size", "9x8"], {}, ["x", "-t", "--size", "9x8"]),
    ],
)
def test_terminal(words: list[str], chosen: dict[str, object], command: list[str]):
    """A terminal is asked for before the command; behind its name all words are the command's."""
    with run.command.make_context("run", list(words)) as context:
        found = {name: context.params[name] for name in ("tty", "tty_stdout", "size", "mask", "mask_env")}

        assert given(found) == chosen
        assert list(context.params["words"]) == command


@pytest.mark.parametrize(
    ("words", "mask"),
    [
        (["x"], None),
        (["--mask", "x"], []),
        (["--mask-env", "ONE", "x"], ["hunter2"]),
        (["--mask", "--mask-env", "ONE", "--mask-env", "TWO", "x"], ["hunter2", "hunter3"]),
        (["x", "--mask"], None),
    ],
)
def test_secrets(monkeypatch: pytest.MonkeyPatch, words: list[str], mask: list[str] | None):
    """Secrets are named by variables, so that none of them stands on the command line."""
    monkeypatch.setenv("ONE", "hunter2")
    monkeypatch.setenv("TWO", "hunter3")
    with run.command.make_context("run", list(words)) as context:
        found = {name: context.params[name] for name in ("tty", "tty_stdout", "size", "mask", "mask_env")}
        assert given(found).get("mask") == mask
