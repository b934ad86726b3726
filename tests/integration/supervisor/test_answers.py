"""Terminals that are asked: the run's supervisor replies, and nobody else."""

import sys
from pathlib import Path

import pytest

from runcast import Run, Store
from tests.helpers.children import PYTHON
from tests.helpers.programs import program
from tests.helpers.wait import MS, wait_until

LONG = 30_000 * MS
ASKS = r"""
import os, sys, termios, tty
before = termios.tcgetattr(0)
tty.setraw(0)
os.write(1, bytes.fromhex(sys.argv[1]))
reply = b""
while not reply.endswith(sys.argv[2].encode()):
    reply += os.read(0, 1)
termios.tcsetattr(0, termios.TCSADRAIN, before)
print(repr(reply))
"""
PROMPT = """
import asyncio
from prompt_toolkit import PromptSession

async def main():
    asking = asyncio.create_task(PromptSession().prompt_async("Name? "))
    await asyncio.sleep(2.5)  # its warning comes after 2 s
    asking.cancel()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("query", "end", "reply"),
    [
        (b"\x1b[6n", "R", b"\x1b[30;1R"),
        (b"\x1b[?6n", "R", b"\x1b[?30;1R"),
        (b"\x1b[c", "c", b"\x1b[?1;2c"),
        (b"\x1b[>c", "c", b"\x1b[>0;10;1c"),
        (b"\x1b[5n", "n", b"\x1b[0n"),
        (b"\x1b[?2026$p", "y", b"\x1b[?2026;0$y"),
        (b"\x1b[?31$p\x1b]11;?\x07\x1b[c", "c", b"\x1b[?1;2c"),
    ],
)
def test_replies(store: Store, query: bytes, end: str, reply: bytes) -> None:
    """A program gets the reply to what it asks, and the question stays in the log as it came."""
    run = store.start([*PYTHON, ASKS, query.hex(), end], tty=True, rows=30)

    assert run.output(encoding=None, timeout=LONG) == query + repr(reply).encode() + b"\r\n"


def test_nothing_is_typed_for_files(store: Store) -> None:
    """Output with questions, shown while lines are read, types nothing."""
    run = store.start(r"printf '\033[6n\033[c'; echo up; read line; echo got=$line.", shell=True, tty=True)
    run.wait_for("up", timeout=LONG)

    run.send("yes\n")

    assert run.output(timeout=LONG).endswith("got=yes.\r\n")


def test_never_on_a_pipe(store: Store) -> None:
    """A run without a terminal has no reply, nor has one whose stdout alone is one."""
    script = r"printf '\033[6n\033[c'; echo up; cat"
    for options in ({}, {"tty": "stdout"}):
        run = store.start(script, shell=True, stdin="pipe", **options)
        run.wait_for("up", timeout=LONG)
        run.send("x\n", eof=True)

        assert run.output(timeout=LONG).replace("\r", "") == "\x1b[6n\x1b[cup\nx\n"


@pytest.mark.slow
def test_prompt_toolkit(store: Store) -> None:
    """prompt_toolkit, and what is made with it, finds a terminal that replies, and prints no warning."""
    run = store.start([sys.executable, "-c", PROMPT], tty=True)

    assert run.wait(timeout=LONG).ok, run.output()
    output = run.output()
    assert "\x1b[6n" in output
    assert "Name?" in output
    assert "WARNING" not in output
    assert output.count("\n") <= 2  # no screen full of empty lines


def screen(run: Run) -> bytes:
    return b"".join(chunk.data for chunk in run.log().read(0).chunks)


@pytest.mark.slow
def test_vim(store: Store, tmp_path: Path) -> None:
    """vim asks, and no reply is taken for keys: what is typed is what is saved."""
    file = tmp_path / "text"
    run = store.start([program("vim"), "--clean", str(file)], tty=True)
    wait_until(lambda: run.waiting, LONG, "that it waits")
    assert b"\x1b[>c" in screen(run)

    run.send("ihello\x1b:wq\r")

    assert run.wait(timeout=LONG).ok
    assert file.read_text() == "hello\n"
