"""Terminals at runs: `runcast run -it` and `runcast attach`, typed into through a real terminal each."""

import contextlib
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.errors import RunFinished
from tests.helpers.cli import LONG, Terminal, cli, terminal
from tests.helpers.queued import queued
from tests.helpers.wait import wait_until
from tests.integration.server.test_serve import serving

pytestmark = pytest.mark.slow

DETACH = "\x1cd"
# Nothing is typed ahead of it: what a shell's line editor has not read by then is no line to the kernel.
ASKS = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
print("begun")
signal.sigwait({signal.SIGCONT})
print("going on")
print("got", input())
"""
BASH = ["bash", "--norc", "--noprofile", "-i"]


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have shells ask with the same."""
    monkeypatch.setenv("PS1", "ready> ")


@contextlib.contextmanager
def ending(run: Run) -> Iterator[None]:
    """End a run at the end of the block, if it goes on."""
    try:
        yield
    finally:
        with contextlib.suppress(RunFinished):
            run.kill()


@pytest.fixture(name="shell")
def shell_fixture(store: Store) -> Iterator[Run]:
    """Give a shell with a terminal that goes on."""
    run = store.start(BASH, tty=True, env={"PS1": "ready> "}, name="shell")
    with ending(run):
        yield run


@contextlib.contextmanager
def attached(*arguments: object, **options: int) -> Iterator[Terminal]:
    """Give a terminal at a run, in which a shell is ready."""
    with terminal(*arguments, **options) as screen:
        screen.until("ready> ")
        yield screen


def test_program(store: Store):
    """What is typed goes to the program, which has a terminal of this size; its exit code is ours."""
    script = 'stty size; read line; echo "got $line"; exit 7'
    with terminal("run", "-it", "--", "sh", "-c", script, columns=101) as screen:
        screen.until("24 101\n")
        screen.type("hello\n")
        screen.until("got hello\n")

        assert screen.end() == 7
        assert screen.modes == screen.before


def test_vim(tmp_path: Path):
    """vim is typed into, and the terminal is as it was before it."""
    path = tmp_path / "written"
    with terminal("run", "-it", "--", "vim", "-u", "NONE", "-N", path) as screen:
        screen.until("written")
        screen.type("ihello\x1b:wq\n")

        assert screen.end() == 0
        assert path.read_text() == "hello\n"
        assert screen.modes == screen.before


def test_less(tmp_path: Path):
    """less is typed into: it shows a page at once, and the end when it is asked for."""
    path = tmp_path / "numbers"
    path.write_text("".join(f"line {number}\n" for number in range(1, 500)))
    with terminal("run", "-it", "--", "less", path) as screen:
        screen.until("line 23")
        screen.type("G")
        screen.until("line 499")
        screen.type("q")

        assert screen.end() == 0


def test_resize():
    """The program has the new size when the window has."""
    with attached("run", "-it", "--", *BASH) as screen:
        screen.resize(61, 17)
        screen.type("until stty size | grep '17 61'; do :; done; exit\n")

        screen.until("17 61\n")
        assert screen.end() == 0


def test_interrupt(store: Store):
    """Ctrl-C goes to the program, and ends nothing else."""
    script = "trap 'echo interrupted' INT; echo ready; while ! read line; do :; done; echo \"got $line\""
    with terminal("run", "-it", "--", "bash", "-c", script) as screen:
        screen.until("ready\n")
        screen.type("\x03")
        screen.until("interrupted\n")
        screen.type("on\n")
        screen.until("got on\n")

        assert screen.end() == 0


def test_stop(tmp_path: Path):
    """Ctrl-Z stops what runs in a shell's foreground, and not us; `fg` goes on with it."""
    path = tmp_path / "asks.py"
    path.write_text(ASKS)
    with attached("run", "-it", "--", *BASH) as screen:
        screen.type(f"{sys.executable} -ISu {path}\n")
        screen.until("begun\n")
        screen.type("\x1a")
        screen.until("Stopped")
        screen.type("fg\n")
        screen.until("going on\n")
        screen.type("answer\n")
        screen.until("got answer\n")
        screen.type("exit 3\n")

        assert screen.end() == 3


def test_detach(store: Store):
    """The keys detach, a message tells how to come back, and that shows what was there."""
    with attached("run", "-it", "--", *BASH) as screen:
        screen.type("echo $((40 + 2))\n")
        screen.until("42\n")
        screen.type(DETACH)
        assert screen.end() == 0
        assert screen.modes == screen.before
    (run,) = store.list()
    assert (
        f"runcast: detached from run {run.id}, which goes on; `runcast attach {run.id}` comes back"
        in screen.seen
    )
    assert run.outcome is None

    with terminal("attach", "last") as screen:
        screen.until("42\n")
        screen.type("exit 5\n")
        assert screen.end() == 5


def test_typed_before_detaching(shell: Run):
    """What is typed right before the keys that detach still reaches the program."""
    with attached("attach", shell.id) as screen:
        screen.type(f"echo $((40 + 2)){DETACH}")
        assert screen.end() == 0
    with attached("attach", shell.id) as screen:
        screen.type("; exit 6\n")
        screen.until("42\n")
        assert screen.end() == 6


def test_held_key(shell: Run):
    """The first of the keys alone is held back for a second at most."""
    with attached("attach", shell.id) as screen:
        screen.type("sleep 600\n")
        screen.until("sleep 600\n")
        screen.type("\x1c")
        screen.until("Quit")


@pytest.mark.parametrize("how", ["option", "variable"])
def test_detach_keys(shell: Run, monkeypatch: pytest.MonkeyPatch, how: str):
    """Other keys can be chosen; then the usual ones are for the program."""
    arguments = ["--detach-keys", "ctrl-p,ctrl-q"] if how == "option" else []
    if how == "variable":
        monkeypatch.setenv("RUNCAST_DETACH_KEYS", "ctrl-p,ctrl-q")
    with attached("attach", *arguments, shell.id) as screen:
        screen.type(DETACH)
        screen.until("ready> d")
        screen.type("\x10\x11")
        assert screen.end() == 0


def test_two(shell: Run):
    """Two terminals see the same, and the run has the size of the one that was typed in last."""
    with attached("attach", shell.id, columns=90) as one, attached("attach", shell.id, columns=70) as two:
        wait_until(lambda: shell.size == shell.sizes[-1] and shell.size.columns == 70, timeout=LONG)
        one.type("stty size\n")
        for screen in (one, two):
            screen.until("24 90\n")
        two.type("stty size\n")
        for screen in (one, two):
            screen.until("24 70\n")
        one.type(DETACH)
        assert one.end() == 0
        two.type("exit 4\n")
        assert two.end() == 4


def test_full_screen(tmp_path: Path, store: Store):
    """A program that has the whole screen draws it for a terminal that attaches, of the same size, too."""
    path = tmp_path / "text"
    path.write_text("written before\n")
    run = store.start(["vim", "-u", "NONE", "-N", str(path)], tty=True, columns=80, rows=24)
    with ending(run):
        with terminal("attach", run.id, columns=80) as screen:
            screen.until("written before")
            screen.type(DETACH)
            assert screen.end() == 0
        assert "\x1b[?1049l" in screen.seen.partition("written before")[2]
        with terminal("attach", run.id, columns=80) as screen:
            screen.until(lambda seen: seen.count("written before") >= 2)  # the history, and drawn anew
            screen.type(":q\n")
            assert screen.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal(shell: Run, number: signal.Signals):
    """A signal ends us, not the run, and the terminal is as it was."""
    with attached("attach", shell.id) as screen:
        screen.process.send_signal(number)

        assert screen.end() == 128 + number
        assert screen.modes == screen.before
    assert (
        f"runcast: left run {shell.id}, which goes on; `runcast attach {shell.id}` comes back" in screen.seen
    )
    assert shell.outcome is None


def test_suspended(shell: Run):
    """While we are stopped by a signal, the terminal is as it was; then it is the run's again."""
    with attached("attach", shell.id) as screen:
        raw = screen.modes
        screen.process.send_signal(signal.SIGTSTP)
        wait_until(lambda: screen.modes == screen.before, timeout=LONG)
        screen.process.send_signal(signal.SIGCONT)
        wait_until(lambda: screen.modes == raw, timeout=LONG)
        screen.type("exit 6\n")
        assert screen.end() == 6


def killed(shell: Run, seed: int) -> None:
    """Kill a terminal's process at a random moment, and look whether the terminal is as it was."""
    moment = random.Random(seed).uniform(0, 0.6)
    with terminal("attach", shell.id) as screen:
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() - begun >= moment)
        screen.process.kill()
        screen.process.wait()
        wait_until(lambda: screen.modes == screen.before, timeout=LONG)


@pytest.mark.fault
@pytest.mark.parametrize("seed", range(5))
def test_killed(shell: Run, seed: int):
    """However we are killed, and whenever, the terminal is as it was, and the run goes on."""
    killed(shell, seed)

    assert shell.outcome is None


def test_no_terminal(store: Store, shell: Run):
    """Without a terminal to type in, both verbs say so, and nothing is started."""
    for arguments in (["run", "-it", "--", "true"], ["attach", shell.id]):
        done = cli(*arguments)
        assert done.code == 2
        assert "expected a terminal to type in, got something else as stdin" in done.err
    assert [run.id for run in store.list()] == [shell.id]


def test_pipe_run(store: Store):
    """A run that writes into pipes cannot be attached to; the message says what can be done."""
    run = store.start(["sleep", "600"])
    with ending(run):
        done = cli("attach", run.id)
        assert done.code == 2
        assert f"{run.id} has none to type in: `runcast follow {run.id}` shows its output" in done.err


def test_ended_run(store: Store):
    """Nor can one that has ended."""
    run = store.start(["true"], tty=True)
    run.wait()

    done = cli("attach", run.id)

    assert done.code == 2
    assert f"{run.id} has ended (exit code 0): `runcast log {run.id}` prints its output" in done.err


def test_server():
    """All of that works over a server, too: typing, the size, detaching and coming back."""
    with serving("--allow-any-command") as server:
        at = ["--server", server.url]
        with attached("run", *at, "-it", "--", *BASH, columns=77) as screen:
            screen.type("stty size\n")
            screen.until("24 77\n")
            screen.type(DETACH)
            assert screen.end() == 0
        assert "comes back" in screen.seen
        assert server.token not in screen.seen.rpartition("detached from")[2]
        with attached("attach", *at, "last", columns=66) as screen:
            screen.type("stty size; exit 9\n")
            screen.until("24 66\n")
            assert screen.end() == 9


def test_server_restarts():
    """What is typed while the server is away is lost, which is said once; then the session goes on."""
    with serving("--allow-any-command") as server:
        port = server.port
        with attached("run", "--server", server.url, "-it", "--", *BASH) as screen:
            server.process.kill()
            server.process.wait()
            screen.type("lost")
            screen.until("runcast: what was typed may be lost: cannot reach the server")
            screen.type("lost, too")
            with serving("--allow-any-command", "--port", port):
                screen.type("echo $((40 + 2)); exit 7\n")
                screen.until("42\n")
                assert screen.end() == 7
    assert screen.seen.count("may be lost") == 1


def test_queued(store: Store):
    """What is typed to a run that waits for its turn is read once it begins, without a word before."""
    with queued(store, ["head", "-n", "1"], tty=True, columns=80, rows=24) as waits:
        with terminal("attach", waits.run.id) as screen:
            wait_until(lambda: screen.modes != screen.before, timeout=LONG)
            for letter in "early\n":
                screen.type(letter)
            waits.give_slot()
            assert screen.end() == 0
    assert screen.seen.replace("early", "").strip() == ""
    assert screen.seen.count("early\n") == 2


def test_questions():
    """What a program asks its terminal is not shown, so no reply comes; what looks like one is not typed."""
    with terminal("run", "-it", "--", "sh", "-c", r"printf 'a\033[6nb\n'; exec cat -v") as screen:
        screen.until("b\n")
        screen.type("\x1b[5;7R\x1b]11;rgb:0000/0000/0000\x07typed\n")
        screen.until("typed\ntyped\n")
        screen.type("\x04")
        assert screen.end() == 0
    assert "\x1b[6n" not in screen.seen
    assert "5;7R" not in screen.seen


def test_shown_elsewhere(store: Store):
    """Other verbs, too, leave a terminal as it was where a program that had all of it was killed."""
    run = store.start(["printf", r"\033[?1049h\033[?25lwhole"], tty=True)
    run.wait()
    watched = ["run", "-t", "--shell", r"printf '\033[?1049h\033[?25lwhole'; kill -9 $$"]
    for arguments in (["log", run.id], ["follow", run.id], watched):
        with terminal(*arguments) as screen:
            screen.end()
        assert "\x1b[?25h\x1b[?1049l" in screen.seen.partition("whole")[2]
        assert cli(*arguments).out == b"\x1b[?1049h\x1b[?25lwhole"


def test_questions_elsewhere(store: Store):
    """Nor are questions shown by other verbs, on a terminal; into a pipe they print all bytes."""
    print_question = ["printf", r"a\033[6nb"]
    run = store.start(print_question, tty=True)
    run.wait()
    for arguments in (["log", run.id], ["follow", run.id], ["run", "-t", "--", *print_question]):
        with terminal(*arguments) as screen:
            assert screen.end() == 0
        assert "\x1b[6n" not in screen.seen
        assert "b" in screen.seen
    assert cli("log", run.id).out == b"a\x1b[6nb"


def test_full_terminal():
    """A program that reads nothing of what is typed keeps nobody: the keys detach."""
    with terminal("run", "-it", "--", "sh", "-c", "stty -icanon -echo; echo begun; exec sleep 600") as screen:
        screen.until("begun\n")
        for _ in range(8):
            screen.type("x" * 4000)
        screen.type(DETACH)
        assert screen.end() == 0
    assert "detached from run" in screen.seen
    assert cli("kill", "last").code == 0


def test_long_line():
    """A line that the kernel would cut is refused to its end, and the session goes on."""
    with terminal(
        "run", "-it", "--", "sh", "-c", 'stty -echo; echo begun; read line; echo "got $line"'
    ) as screen:
        screen.until("begun\n")
        screen.type("x" * 5000)  # the kernel keeps no more than 4096 of it until some of that is read
        screen.until("expected lines of up to 4095 bytes")
        screen.type("xx\n")
        screen.type("\x15short\n")  # Ctrl-U: the first of the pieces that it was read in may have been taken
        screen.until("got short\n")
        assert screen.end() == 0


def test_detached_from_the_start(store: Store):
    """With --detach a command gets a terminal that one attaches to later."""
    with terminal("run", "-it", "--detach", "--", *BASH) as screen:
        assert screen.end() == 0
    with attached("attach", screen.seen.split()[-1]) as screen:
        screen.type("exit 8\n")
        assert screen.end() == 8


def test_pager(monkeypatch: pytest.MonkeyPatch):
    """Somebody is there to press keys, so pagers are those of the caller."""
    monkeypatch.setenv("MANPAGER", "more")
    monkeypatch.delenv("PAGER", raising=False)
    script = 'echo "$PAGER $GIT_PAGER $MANPAGER $TERM"'
    for arguments, pagers in (["-it"], "less less more"), (["-t"], "cat cat cat"):
        with terminal("run", *arguments, "--", "sh", "-c", script) as screen:
            screen.until(f"{pagers} xterm-256color")
            assert screen.end() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--safe"], "expected no --safe with -it: the run has this terminal, as it is"),
        (["--size", "80x24"], "expected no --size with -it: the run has this terminal, as it is"),
        (["--detach-keys", "ctrl-1"], "expected keys to detach with as characters and ctrl-CHARACTER"),
    ],
)
def test_refused(store: Store, arguments: list[str], said: str):
    """What cannot be had with a terminal is refused, and nothing is started."""
    with terminal("run", "-it", *arguments, "--", "true") as screen:
        assert screen.end() == 2
    assert said in screen.seen
    assert list(store.list()) == []


def test_server_gone():
    """When the server is gone for good, the terminal is as it was, and a message tells the run."""
    with serving("--allow-any-command") as server:
        with attached("run", "--server", server.url, "-it", "--", *BASH) as screen:
            server.process.kill()
            server.process.wait()
            screen.type(DETACH)
            assert screen.end() == 0
            assert screen.modes == screen.before
    assert "detached from run" in screen.seen
    assert cli("kill", "last").code == 0
