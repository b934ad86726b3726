"""What is not captured of a function, and its cures: a case for each row of docs/reference/capture.md.

Executed with the number of a case: each function prints `lost`, its cure `cured`; what arrived in
their runs goes to stderr's file, as JSON. Functions are at the top, for other processes import them.
"""

import _thread
import atexit
import collections
import contextvars
import ctypes
import json
import multiprocessing
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import runcast

WORD = "cured" if "cured" in sys.argv else "lost"
write_before, bytes_before = sys.stdout.write, sys.stdout.buffer.write
buffer_before = sys.stdout.buffer


def in_thread(target: Callable[..., Any], *args: Any) -> None:
    thread = threading.Thread(target=target, args=args)
    thread.start()
    thread.join()


def descriptor() -> None:
    os.write(1, b"lost\n")


def descriptor_of_the_run() -> None:
    os.write(sys.stdout.fileno(), b"cured\n")


def device() -> None:
    with open(f"/proc/{os.getpid()}/fd/1", "w") as file, open(os.dup(1), "w") as again:
        print("lost", file=file)
        print("lost", file=again)


def stream() -> None:
    print("cured", file=sys.stdout)


def c_code(word: str = "lost") -> None:
    libc = ctypes.CDLL(None)
    libc.puts(word.encode())
    libc.fflush(None)


def program(word: str = "lost") -> None:
    subprocess.run(["echo", word], check=True)


def system() -> None:
    os.system("echo lost")


def shell() -> None:
    subprocess.run("echo cured", shell=True, check=True)


def spawned_program() -> None:
    os.waitpid(os.posix_spawn("/bin/echo", ["echo", "lost"], os.environ), 0)


def say(word: str) -> None:
    print(word, flush=True)


def workers(method: str, word: str = "lost") -> None:
    process = multiprocessing.get_context(method).Process(target=say, args=(word,))
    process.start()
    process.join()


def joblib(word: str = "lost") -> None:
    from joblib import Parallel, delayed

    Parallel(n_jobs=2)(delayed(say)(word) for _ in range(2))


def low_thread() -> None:
    done = threading.Event()
    _thread.start_new_thread(lambda: (print("lost"), done.set()), ())
    done.wait(60)


def thread() -> None:
    in_thread(print, "cured")


def kept_write() -> None:
    write_before("lost\n")


def write() -> None:
    sys.stdout.write("cured\n")


def kept_bytes() -> None:
    bytes_before(b"lost\n")


def raw_bytes() -> None:
    sys.stdout.buffer.raw.write(b"lost\n")


def buffered_bytes() -> None:
    sys.stdout.buffer.write(b"cured\n")


def kept_buffer() -> None:
    buffer_before.write(b"cured\n")


def at_exit(word: str = "lost") -> None:
    atexit.register(print, word)


def callback() -> None:
    go = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(go.wait, 20)
        future.add_done_callback(lambda _: print("lost"))
        go.set()


def job() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(print, "cured").result()


def hand(make: Callable[[], Any], take: Callable[[Any], Any]) -> Callable[[], str]:
    """Return what has one run begin a thread that takes what another puts, and says what the second has."""

    def work(source: Any, done: threading.Event) -> None:
        print(take(source))
        done.set()

    def call() -> str:
        source, done, over = make(), threading.Event(), threading.Event()

        def first() -> None:
            threading.Thread(target=work, args=(source, done), daemon=True).start()
            over.wait(60)

        def second() -> None:
            getattr(source, "put", getattr(source, "append", None))(WORD)
            done.wait(60)

        one = runcast.start(first)
        two = runcast.start(second)
        two.wait(timeout=60)
        over.set()
        one.wait(timeout=60)
        return two.output()

    return call


def given_back() -> Any:
    """Return a queue that something was given back to."""
    source: queue.Queue[str] = queue.Queue()

    def use() -> None:
        source.put("x")
        in_thread(contextvars.Context().run, lambda: source.put(source.get()))
        source.get()

    runcast.start(use).wait(timeout=60)
    return source


def deep(source: Any, depth: int = 12) -> Any:
    return deep(source, depth - 1) if depth else source.get()


def from_list(source: Any) -> Any:
    while not source:
        threading.Event().wait(0.001)
    return source.popleft()


def of_none(take: Callable[[queue.Queue[str]], None]) -> Callable[[], str]:
    def call() -> str:
        source: queue.Queue[str] = queue.Queue()
        source.put(WORD)
        return runcast.start(take, source).output(timeout=60)

    return call


def taken_by_a_thread(source: queue.Queue[str]) -> None:
    in_thread(lambda: print(source.get()))


def taken_by_the_function(source: queue.Queue[str]) -> None:
    print(source.get())


def run(function: Callable[..., Any], *args: Any, **options: Any) -> Callable[[], str]:
    """Return what runs a function and says what its run has."""
    return lambda: runcast.start(function, *args, **options).output(timeout=30)


def shared(source: Any) -> Any:
    return source.get()


class Case(NamedTuple):
    """Which line is lost, and which is not: calls that return what the run has that should have it."""

    what: str  # as the table says
    lost: Callable[[], str]
    cured: Callable[[], str]


_own = {"process": True}
CASES = [
    Case("`os.write(1, …)`", run(descriptor), run(descriptor_of_the_run)),
    Case('`open("/dev/stdout")`, `os.fdopen(1)`', run(device), run(stream)),
    Case('C code: `printf`, `numpy.seterr(all="print")`', run(c_code), run(c_code, "cured", **_own)),
    Case("`subprocess` without `stdout=`", run(program), run(program, "cured", programs=True)),
    Case("`os.system`", run(system), run(shell, programs=True)),
    Case(
        "`os.posix_spawn`, `os.exec…` in a forked child",
        run(spawned_program),
        run(program, "cured", programs=True),
    ),
    Case(
        "Workers of multiprocessing by `spawn`", run(workers, "spawn"), run(workers, "spawn", "cured", **_own)
    ),
    Case(
        "Workers of multiprocessing by `forkserver` (the default of Python 3.14)",
        run(workers, "forkserver"),
        run(workers, "forkserver", "cured", **_own),
    ),
    Case("Workers of joblib (loky)", run(joblib), run(joblib, "cured", **_own)),
    Case("`_thread.start_new_thread`", run(low_thread), run(thread)),
    Case("`write = sys.stdout.write`, kept from before the run", run(kept_write), run(write)),
    Case(
        "`sys.stdout.buffer.write`, kept from before (`structlog.BytesLogger`)",
        run(kept_bytes),
        run(kept_buffer),
    ),
    Case("`sys.stdout.buffer.raw.write`", run(raw_bytes), run(buffered_bytes)),
    Case("`atexit` functions", run(at_exit), run(at_exit, "cured", **_own)),
    Case("Callbacks of an executor's futures", run(callback), run(job)),
    Case(
        "A thread that takes from a `LifoQueue` what another run put",
        hand(queue.LifoQueue, shared),
        hand(queue.Queue, shared),
    ),
    Case(
        "A thread that takes from a queue that items are given back to",
        hand(given_back, shared),
        hand(queue.Queue, shared),
    ),
    Case(
        "A thread that takes an item more than ten calls deep",
        hand(queue.Queue, deep),
        hand(queue.Queue, shared),
    ),
    Case(
        "A thread that takes what was put outside all runs",
        of_none(taken_by_a_thread),
        of_none(taken_by_the_function),
    ),
    Case(
        "A thread of one run that takes another's work from a list, a socket, a database or a queue of "
        "another package",
        hand(collections.deque, from_list),
        hand(queue.Queue, shared),
    ),
]

if __name__ == "__main__":
    case = CASES[int(sys.argv[1])]
    Path(sys.argv[3]).write_text(json.dumps((case.lost if WORD == "lost" else case.cured)()))
