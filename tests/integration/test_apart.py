"""Runs side by side that do everything at once, in random order by seed: no line is lost or misplaced."""

import asyncio
import contextlib
import io
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from random import Random

import pytest

from runcast.sources import capture
from runcast.sources.capture import capturing
from tests.unit.sources.printed import printing

Act = Callable[[str], None]


class Printing:
    """The ways in which the code of one run prints a line, and what it took for itself."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self.taken: list[io.StringIO] = []
        ways: list[tuple[int, Act]] = [
            (12, print),
            (4, lambda line: print(line, file=sys.stderr)),
            (4, lambda line: print(line, flush=True)),
            (4, lambda line: sys.stdout.write(line + "\n") and None),
            (4, self._write),
            (4, self._redirect),
            (2, self._assign),
            (2, self._thread),
            (2, lambda line: self._pool.submit(print, line).result()),
            (2, self._close),
        ]
        self._ways = [way for weight, way in ways for _ in range(weight)]

    def act(self, random: Random, line: str) -> None:
        """Print a line in one of the ways; once in a while by a program."""
        way = self._program if random.random() < 0.005 else random.choice(self._ways)
        way(line)

    def _write(self, line: str) -> None:
        os.write(sys.__stdout__.fileno(), f"{line}\n".encode())  # whatever is redirected meanwhile

    def _redirect(self, line: str) -> None:
        with contextlib.redirect_stdout(self._buffer()), contextlib.redirect_stderr(self._buffer()):
            print(line)

    def _assign(self, line: str) -> None:
        before, sys.stdout = sys.stdout, self._buffer()
        print(line)
        sys.stdout = before

    def _buffer(self) -> io.StringIO:
        self.taken.append(io.StringIO())
        return self.taken[-1]

    def _thread(self, line: str) -> None:
        thread = threading.Thread(target=print, args=(line,))
        thread.start()
        thread.join()

    def _close(self, line: str) -> None:
        number = os.dup(sys.__stderr__.fileno())
        with open(number, "w") as file:
            file.write(line + "\n")

    def _program(self, line: str) -> None:
        subprocess.run(["echo", line], stdout=sys.__stdout__, check=True)


def apart(seed: int, *, runs: int, threads: int, tasks: int, lines: int) -> None:
    """Have threads and tasks print in runs, and compare what came with what was printed.

    Args:
        seed: of what they do.
        runs: how many there are; threads and tasks belong to them in turn.
        threads: how many.
        tasks: how many, of one event loop.
        lines: that each of them prints.
    """

    def printed(run: int, writer: str) -> list[str]:
        return [f"<{run} {writer} {number}>" for number in range(lines)]

    def work(run: int, writer: str) -> None:
        random = Random(f"{seed} {writer}")
        for line in printed(run, writer):
            ways[run].act(random, line)

    async def task(run: int, writer: str) -> None:
        random = Random(f"{seed} {writer}")
        for line in printed(run, writer):
            ways[run].act(random, line)
            await asyncio.sleep(0)

    def pass_by(over: threading.Event) -> None:
        """Have short runs begin and end meanwhile, which never undo what they redirect."""
        for number in count():
            with printing() as (printer, of_run):
                with capturing(printer):
                    print(f"begin {number}")
                    os.write(sys.stdout.fileno(), b"written\n")
                    sys.stdout = io.StringIO()
                    print("taken")
                    print("end", file=sys.stderr)
                capture.forget(printer)
            passed.append(of_run.text() == f"begin {number}\nwritten\nend\n")
            if over.is_set():
                return

    async def main() -> None:
        begun = []
        for number in range(tasks):
            with capturing(pairs[number % runs][0]):
                begun.append(asyncio.create_task(task(number % runs, f"task{number}")))
        await asyncio.gather(*begun)

    writers = [(number % runs, f"thread{number}") for number in range(threads)]
    writers += [(number % runs, f"task{number}") for number in range(tasks)]
    passed: list[bool] = []
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(printing()) for _ in range(runs)]
        pool = stack.enter_context(ThreadPoolExecutor(4))
        ways = [Printing(pool) for _ in range(runs)]
        for printer, _ in pairs:
            capture.begin(printer)
        over = threading.Event()
        passer = threading.Thread(target=pass_by, args=(over,))
        passer.start()
        begun = []
        for number in range(threads):
            with capturing(pairs[number % runs][0]):
                begun.append(threading.Thread(target=work, args=(number % runs, f"thread{number}")))
                begun[-1].start()
        asyncio.run(main())
        for thread in begun:
            thread.join()
        over.set()
        passer.join()
        for printer, _ in Random(seed).sample(pairs, runs):
            capture.end(printer)
            capture.forget(printer)
            printer.close()
    for run, (_, of_run) in enumerate(pairs):
        texts = [of_run.text(), *(buffer.getvalue() for buffer in ways[run].taken)]
        found = Counter(line for text in texts for line in re.findall("<.*?>", text))
        expected = Counter(line for of, writer in writers if of == run for line in printed(run, writer))
        assert found == expected, f"run {run} of seed {seed}"
    assert all(passed), "runs that begin and end meanwhile have their own lines, and no others"


@pytest.mark.parametrize("seed", range(3))
def test_apart(seed: int, capfd: pytest.CaptureFixture[str]):
    """Runs that redirect and use descriptors, threads, pools and programs keep apart, and lose nothing."""
    streams = sys.stdout, sys.stderr
    apart(seed, runs=5, threads=6, tasks=6, lines=20)

    assert (sys.stdout, sys.stderr) == streams
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_far_apart(capfd: pytest.CaptureFixture[str]):
    """So do 50 threads and 50 tasks in 20 runs, with 100,000 lines."""
    streams = sys.stdout, sys.stderr
    apart(4, runs=20, threads=50, tasks=50, lines=1000)

    assert (sys.stdout, sys.stderr) == streams
    assert capfd.readouterr() == ("", "")
