"""R5: what a program says last is kept to the last byte, and how it ended is told exactly."""

import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from runcast import Outcome, Reason, Store
from tests.helpers.children import PYTHON, Printer
from tests.helpers.terminals import in_both, verbatim
from tests.helpers.wait import MS

DEADLINE = 60000 * MS
RUNS = 400  # each way to end, and some again with other sizes; the soak has more
THREADS = 4

pytestmark = pytest.mark.fault

IGNORED = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
STOPPING = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
DEADLY = sorted(signal.valid_signals() - IGNORED - STOPPING)

WORDS = b"".join(b"%06d the last words of a program\n" % number for number in range(2200))[: 64 * 1024]

CODE = """
import os, signal, sys
how, number, fd, words = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
if how == 'signal' and number not in (9, 19): signal.signal(number, signal.SIG_DFL)
while words: words = words[os.write(fd, words):]
os.kill(os.getpid(), number) if how == 'signal' else os._exit(number)
"""

Case = tuple[str, int]


def in_threads(calls: list[Callable[[], None]]) -> list[str]:
    """Make all calls, in a few threads; return what went wrong."""
    wrong: list[str] = []

    def work() -> None:
        while calls:
            try:
                calls.pop()()
            except IndexError:
                return
            except Exception as error:
                wrong.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    patience = DEADLINE * max(1, len(calls) / RUNS)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience)
        assert not thread.is_alive()
    return wrong


def expected(how: str, number: int) -> tuple[Reason, int | None, int | None]:
    return (Reason.EXITED, number, None) if how == "exit" else (Reason.SIGNALED, None, number)


def said(outcome: Outcome) -> tuple[Reason, int | None, int | None]:
    return outcome.reason, outcome.code, outcome.signal


def last_words(store: Store, runs: int, *, tty: bool = False) -> None:
    """Have so many programs end in every way, each right after its last words; assert that all was kept."""
    chance = random.Random(5)
    every: list[Case] = [("exit", code) for code in range(256)] + [("signal", n) for n in DEADLY]
    cases = every + chance.choices(every, k=runs - len(every))

    def check(at: int) -> None:
        how, number = cases[at]
        size = chance.choice((0, 1, 100, 4096, 65535, 65536, chance.randrange(65536)))
        fd, channel = chance.choice(((1, "stdout"), (2, "stdout" if tty else "stderr")))
        words = WORDS[:size].decode()
        if at % 10:  # a shell starts much faster, and its printf is no process of its own either
            last = f"exit {number}" if how == "exit" else f"kill -{number} $$"
            command = ["sh", "-c", f'printf %s "$1" >&{fd}; {last}', "sh", words]
        else:
            command = [*PYTHON, CODE, how, str(number), str(fd), words]
        run = store.start(verbatim(command, tty), tty=tty)
        outcome = run.wait(timeout=DEADLINE)
        assert run.tail_offset == size, f"{cases[at]}: told before the last words were kept"
        kept = b"".join(chunk.data for chunk in run.follow(channel=channel) if chunk)
        assert said(outcome) == expected(how, number), f"{cases[at]}: {outcome}"
        assert kept == WORDS[:size], f"{cases[at]}: {len(kept)} of {size} bytes"
        assert outcome.dropped == 0

    wrong = in_threads([lambda at=at: check(at) for at in range(runs)])

    assert wrong == []
    assert len(list(store.list())) == runs


@in_both
def test_last_words(store: Store, tty: bool):
    """R5: up to 64 KiB right before every exit code and every signal: no byte lost, the outcome exact."""
    last_words(store, RUNS, tty=tty)


@in_both
def test_crash(store: Store, tty: bool):
    """R5: a program that reads where there is no memory is told as what it is, its output kept."""
    code = "import ctypes, os; os.write(1, b'x' * 65536); ctypes.string_at(0)"
    run = store.start([PYTHON[0], "-I", "-c", code], tty=tty)

    assert said(run.wait(timeout=DEADLINE)) == (Reason.SIGNALED, None, signal.SIGSEGV)
    assert run.output(channel="stdout") == "x" * 65536


@pytest.mark.parametrize("last", ["exit 3", "signal 9", "signal 11"])
def test_last_words_on_both_channels(store: Store, tmp_path: Path, last: str):
    """R5: last words on both channels at once are all kept, each on its channel."""
    how, number = last.split()
    for lines in (1, 7, 400, 800):
        printer = Printer(tmp_path / f"copy{lines}", lines=lines, block=lines, last=last)
        run = store.start(printer.argv)

        assert said(run.wait(timeout=DEADLINE)) == expected(how, int(number))
        for channel in ("stdout", "stderr"):
            assert run.output(channel=channel, encoding=None) == printer.copy(channel)


@in_both
def test_last_words_beyond_the_pipe(store: Store, tmp_path: Path, tty: bool):
    """R5: a burst of megabytes right before the end is kept, and is there when the outcome is told."""
    channels = ("stdout",) if tty else ("stdout", "stderr")
    printer = Printer(tmp_path / "copy", lines=30_000, block=10_000, last="exit 3", channels=channels)
    run = store.start(verbatim(printer.argv, tty), tty=tty)

    assert said(run.wait(timeout=DEADLINE)) == (Reason.EXITED, 3, None)
    assert run.tail_offset == sum(len(printer.copy(channel)) for channel in channels)
    for channel in channels:
        assert run.output(channel=channel, encoding=None) == printer.copy(channel)
