"""Where the time of a line goes, from the write of its program to the read of its viewer, step by step.

    .venv/bin/python scripts/line_costs.py [LINES]

A program prints the time, LINES times (500), 100 a second. The log has when the supervisor read each line; a
reader in this process and a bare socket over HTTP, one after the other, say when they had it. Prints the
median and the 99th percentile of each step, and the processor time of server and supervisor for a line, in
microseconds. All clocks are that of the machine.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from runcast import Run, Store

PRINTS = """
import sys, time
sys.stdin.readline()
for number in range(int(sys.argv[1])):
    time.sleep(0.01)
    sys.stdout.write(f"{time.time_ns()}\\n")
    sys.stdout.flush()
"""


def here(run: Run, seen: dict[int, int]) -> None:
    """Note when a reader in this process has each line."""
    for line in run.lines():
        seen[int(line)] = time.time_ns()


def over_http(port: int, run: Run, form: str, seen: dict[int, int]) -> None:
    """Note when a socket has each line, in whatever form."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        head = (
            f"GET /runs/{run.id}/log?format={form} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(head.encode())
        while data := connection.recv(65536):
            now = time.time_ns()
            for word in data.replace(b'"', b" ").replace(b"\\n", b" ").split():
                if len(word) == 19 and word.isdigit():
                    seen.setdefault(int(word), now)


def report(what: str, values: list[float]) -> None:
    """Print one step."""
    ordered = sorted(values)
    print(
        f"{what:58} {statistics.median(ordered):7.0f} us  p99 {ordered[int(len(ordered) * 0.99) - 1]:7.0f} us"
    )


def cpu_us(pid: int) -> float:
    """Return the processor time that a process has used, in microseconds; it may have ended."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1000


def times(
    run: Run, watch: Callable[[dict[int, int]], None], server: int
) -> tuple[list[float], list[float], list[float]]:
    """Return microseconds: from the write to the supervisor's read, from there to a watcher, and of CPU."""
    seen: dict[int, int] = {}
    program = Path(f"/proc/{run.pid}/stat").read_text()
    processes = server, int(program.rpartition(")")[2].split()[1])
    watching = threading.Thread(target=watch, args=(seen,))
    watching.start()
    time.sleep(0.5)  # it listens
    before = [cpu_us(pid) for pid in processes]
    run.send("go\n")
    watching.join()
    used = [(cpu_us(pid) - old) / len(seen) for pid, old in zip(processes, before, strict=True)]
    read = {int(chunk.data): chunk.time * 1e9 for chunk in run.follow() if chunk.data.count(b"\n") == 1}
    return [(read[at] - at) / 1000 for at in read], [(seen[at] - read[at]) / 1000 for at in read], used


def main(lines: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="runcast-line-") as folder:
        store = Store.open(f"{folder}/store")
        program = [sys.executable, "-S", "-c", PRINTS, str(lines)]
        options = ["--store", store.path, "serve", "--no-auth", "--port", "0"]
        command = [sys.executable, "-m", "runcast", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
            assert server.stdout is not None
            port = urlsplit(server.stdout.readline().decode()).port or 0
            written: list[float] = []
            for form in (None, "text", "sse", "ndjson"):
                run = store.start(program, stdin="pipe")
                watch = partial(here, run) if form is None else partial(over_http, port, run, form)
                pipe, after, (of_server, of_supervisor) = times(run, watch, server.pid)
                written += pipe
                who = "a reader of this machine" if form is None else f"a viewer over HTTP, {form},"
                report(f"the supervisor has read it -> {who} has it", after)
                print(f"{'':4}CPU for it: server {of_server:.0f} us, supervisor {of_supervisor:.0f} us")
            report("the program's write -> the supervisor has read it", written)
            server.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
