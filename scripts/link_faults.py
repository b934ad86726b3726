"""What faults of an engine cost: how soon they are noticed, how soon all is the same again, what a run pays.

    .venv/bin/python -m scripts.link_faults MEGABYTES ROUNDS

Makes two stores in memory with an agent each and a Valkey between them. Prints, of ROUNDS (5), the median and
the range: how fast an engine is filled again that lost all of a run of MEGABYTES (400), from its return
on and from its first bytes on; how soon a mirror is the same after an engine was away for 3 s; how soon
a way that swallows everything is noticed, and bytes come again when it is back; and how long a command takes
that writes MEGABYTES of lines of 80 bytes flat out, in turns with no agent, with an engine, and without one.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.hosts import Host, linked, until
from runcast import Run
from runcast.store.links import read_status
from runcast.store.mirrors import ask_for
from tests.helpers.engines import Server, serving, valkey
from tests.helpers.relay import Relay

LINE = "x" * 79
PACED = "import sys, time\nfor n in range(10**9):\n print('line', n, flush=True); time.sleep(0.005)"


def flat_out(host: Host, size: int) -> tuple[Run, float]:
    """Have a run write so many bytes; return it, and how long it took."""
    run = host.store.start(["sh", "-c", f"yes {LINE} | head -c {size}"])
    outcome = run.wait()
    assert outcome.ended_at is not None
    assert run.started_at is not None
    return run, outcome.ended_at - run.started_at


def tail_at(engine: Server, run: Run) -> int:
    """Return where the engine has the end of a run's log."""
    return int(engine.command("HGET", f"rc:{{{run.id}}}run", "tail") or 0)  # type: ignore[call-overload]


def is_up(host: Host) -> bool:
    """Return whether a host's link is up."""
    status = read_status(host.path)
    return status is not None and status.up


def since(begun: float, what: Callable[[], object], name: str) -> float:
    """Return the seconds until something is true."""
    until(what, name)
    return time.monotonic() - begun


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def refill(engine: Server, hosts: list[Host], size: int) -> tuple[float, float, float]:
    """Return the MB/s at which an engine gets what it lost: since its return, since they begin, of CPU."""
    run, _ = flat_out(hosts[0], size)
    until(lambda: tail_at(engine, run) == size, "all of it at the engine")
    engine.kill()
    before = cpu_seconds(hosts[0].agent())
    engine.start()
    begun = time.monotonic()
    first = since(begun, lambda: tail_at(engine, run), "the first bytes")
    whole = since(begun, lambda: tail_at(engine, run) == size, "all of it again")
    taken = cpu_seconds(hosts[0].agent()) - before
    hosts[0].store.remove(run.id)
    return size / 1e6 / whole, size / 1e6 / (whole - first), size / 1e6 / taken


def followed(hosts: list[Host]) -> tuple[Run, Run]:
    """Return a run that goes on, and its mirror, which is wanted and has come."""
    run = hosts[0].store.start(["python3", "-c", PACED])
    mirror = hosts[1].has(run.id)
    ask_for(f"{hosts[1].path}/{run.id}", 0)
    until(lambda: mirror.tail_offset > 100, "its output")
    return run, mirror


def same_again(engine: Server, hosts: list[Host]) -> float:
    """Return how soon a mirror is where its run is, after an engine was away for 3 s."""
    run, mirror = followed(hosts)
    engine.kill()
    back = time.monotonic() + 3
    until(lambda: time.monotonic() >= back, "the time")
    size = run.tail_offset
    ask_for(f"{hosts[1].path}/{run.id}", size)
    engine.start()
    seconds = since(time.monotonic(), lambda: mirror.tail_offset >= size, "what was written meanwhile")
    run.kill()
    return seconds


def swallowed(relay: Relay, hosts: list[Host]) -> tuple[float, float]:
    """Return how soon it is noticed that nothing comes through, and how soon something comes again."""
    run, mirror = followed(hosts)
    relay.hold(requests=True, replies=True)
    noticed = since(time.monotonic(), lambda: not any(map(is_up, hosts)), "that both notice it")
    size = run.tail_offset
    ask_for(f"{hosts[1].path}/{run.id}", size)
    relay.release()
    again = since(time.monotonic(), lambda: mirror.tail_offset >= size, "what was written meanwhile")
    run.kill()
    return noticed, again


def said(name: str, values: list[float], unit: str) -> None:
    """Print a line."""
    print(
        f"{name:<58}{statistics.median(values):>8.2f} {unit:<5} {min(values):.2f} to {max(values):.2f}",
        flush=True,
    )


def main(megabytes: int, rounds: int) -> None:
    """Measure, and print."""
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    size = megabytes * 1_000_000 // 80 * 80
    with (
        tempfile.TemporaryDirectory(prefix="runcast-faults-", dir=parent) as folder,
        serving(valkey(), Path(folder, "engine")) as engine,
        Relay(engine.port) as relay,
        linked(folder, engine.url) as hosts,
    ):
        found = [refill(engine, hosts, size) for _ in range(rounds)]
        said("an empty engine is filled, from its return", [one[0] for one in found], "MB/s")
        said("  since its first bytes", [one[1] for one in found], "MB/s")
        said("  for each second of CPU time of the agent", [one[2] for one in found], "MB/s")
        said(
            "a mirror is the same after 3 s without an engine",
            [same_again(engine, hosts) for _ in range(rounds)],
            "s",
        )
        with linked(f"{folder}/relayed", f"redis://127.0.0.1:{relay.port}/0") as relayed:
            ways = [swallowed(relay, relayed) for _ in range(rounds)]
        said("a way that swallows everything is noticed", [one[0] for one in ways], "s")
        said("after its return bytes come again", [one[1] for one in ways], "s")
        own_speed(engine, folder, hosts[0], size, rounds)


def own_speed(engine: Server, folder: str, host: Host, size: int, rounds: int) -> None:
    """Print how long a command takes that writes so many bytes, and what the agent takes meanwhile."""
    alone = Host(folder, "alone", None, None)
    kinds = {"no agent": alone, "engine up": host, "engine down": host}
    taken: dict[str, list[float]] = {name: [] for name in kinds}
    agents: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, store in kinds.items():
            if name == "engine down":
                engine.kill()
                until(lambda: not is_up(host), "that it is noticed")
            before = cpu_seconds(host.agent())
            run, seconds = flat_out(store, size)
            taken[name].append(seconds)
            agents[name].append((cpu_seconds(host.agent()) - before) / seconds)
            if name == "engine down":
                engine.start()
                until(lambda: is_up(host), "the engine")
            if store is host:
                until(lambda run=run: tail_at(engine, run) == size, "all of it at the engine")  # type: ignore[misc]
            store.store.remove(run.id)
    for name, seconds in taken.items():
        said(f"writing {size // 1_000_000} MB flat out, {name}", seconds, "s")
        ratios = [one / other for one, other in zip(taken["no agent"], seconds, strict=True)]
        said("  its speed beside that with no agent", ratios, "x")
        said("  of a core for the agent meanwhile", agents[name], "")


if __name__ == "__main__":
    main(*[int(word) for word in sys.argv[1:]] or [400, 5])
