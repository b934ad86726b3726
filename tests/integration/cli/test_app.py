"""What all verbs share: help, version, usage errors, and what is loaded."""

import os
import subprocess
import sys

import pytest

import runcast
from runcast.cli.app import VERBS
from runcast.cli.words import WORDS
from tests.helpers.cli import LONG, RUNCAST, cli, terminal


def loaded(*arguments: str) -> set[str]:
    """Return the modules that a command line loads."""
    code = f"import sys; from runcast.cli import main; main({list(arguments)!r}); print('', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=LONG, check=True)
    return set(done.stdout.decode().splitlines()[-1].split())


def test_version():
    """`--version` says it, and loads no store."""
    assert cli("--version") == (0, f"runcast {runcast.__version__}\n".encode(), "")
    assert not loaded("--version") & {"runcast.runs", "runcast.run", "asyncio"}


def test_python_m():
    """`python -m runcast` is the same command."""
    command = [sys.executable, "-m", "runcast", "--version"]

    assert (
        subprocess.run(command, capture_output=True, timeout=LONG, check=True).stdout == cli("--version").out
    )


@pytest.mark.parametrize("verb", WORDS)
def test_words_of_a_run_load_little(verb: str):
    """What scripts call in a loop loads no verb, and no click."""
    modules = loaded(verb, "1")

    assert not modules & {
        "click",
        "json.decoder",
        "asyncio",
        "tempfile",
        *(f"runcast.cli.{name}" for name in VERBS),
    }


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("serve", "bridge", "mcp", *WORDS)])
def test_a_verb_loads_no_other(verb: str):
    """A verb loads its own module, and neither asyncio nor what others need."""
    modules = loaded(verb, "last" if verb != "run" else "true")
    verbs = {name for name in VERBS if f"runcast.cli.{name}" in modules}

    assert verbs - {"kill": {"stop"}, "rm": {"stop"}, "unpin": {"pin"}}.get(verb, set()) == {verb}
    assert not modules & {"asyncio", "platformdirs", "tempfile", "shutil"}


def test_nothing_asked():
    """Without a verb the help is shown, on stderr: nothing was done."""
    done = cli()

    assert (done.code, done.out) == (2, b"")
    assert done.err == cli("--help").out.decode()


def test_reader_of_the_help_left():
    """`runcast --help | head -1` ends without a word."""
    reading, writing = os.pipe()
    os.close(reading)

    done = cli("--help", stdout=writing)
    os.close(writing)

    assert (done.code, done.err) == (141, "")


def test_nobody_to_tell():
    """An error that cannot be told, because stderr is closed, keeps its exit code."""
    done = subprocess.run(["sh", "-c", f"{RUNCAST} log nonsense 2>&-"], timeout=LONG, check=False)

    assert done.returncode == 2


def test_completion():
    """A shell can ask for the verbs."""
    words = os.environ | {"_RUNCAST_COMPLETE": "bash_complete", "COMP_WORDS": "runcast f", "COMP_CWORD": "1"}

    done = cli(env=words)

    assert (done.code, done.out) == (0, b"plain,follow\n")


def test_help_at_a_terminal():
    """Help fits into the terminal."""
    with terminal("run", "--help", columns=60) as screen:
        assert screen.end() == 0

    assert max(map(len, screen.seen.splitlines())) <= 66  # examples are not wrapped
