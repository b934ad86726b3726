"""What the agents of linked stores have in memory, and what a run takes of it.

    .venv/bin/python -m scripts.agent_memory [RUNS] [SECONDS] [postgres]

Makes two stores in memory that a Valkey links, or a PostgreSQL, and RUNS runs (1,000) that go on in the
first. Each gets 10 lines a second for SECONDS (5), and all of them are followed in the second. Prints the
resident memory of each agent (proc_pid_status(5): what is its own, and what of it are files, which all
Pythons share) when it begins, with all runs, and after the lines; then how many modules an agent has
loaded.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.hosts import Host, linked, until, wanted, writer
from bench.peers.many import LINE_BYTES
from runcast.supervisor.launch import environment, python_command
from tests.helpers.engines import serving, valkey
from tests.helpers.postgres import postgres

_RATE = 10
_KINDS = ("VmRSS", "RssAnon", "RssFile")


def resident(pid: int) -> dict[str, int]:
    """Return what a process has in memory, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":") for line in lines if ":" in line)
    return {kind: int(found[kind].split()[0]) for kind in _KINDS}


def modules(url: str) -> int:
    """Return how many modules an agent has loaded that is linked by an engine."""
    code = (
        "import runcast.agent.process, runcast.link.opening; "
        f"runcast.link.opening.open_link({url!r}); print(len(sys.modules))"
    )
    command = python_command(code, site=True)
    return int(subprocess.run(command, capture_output=True, check=True, env=environment()).stdout)


def report(when: str, hosts: list[Host]) -> list[int]:
    """Print a line for each agent; return what they have in all."""
    found = []
    for host, what in zip(hosts, ("ships", "mirrors"), strict=True):
        sizes = resident(host.agent())
        found.append(sizes["VmRSS"])
        print(f"{when:<24} {what:<8}" + "".join(f"{sizes[kind]:>10}" for kind in _KINDS), flush=True)
    return found


def main(count: int, seconds: float, kind: str) -> None:
    """Make the runs, and print the table."""
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="runcast-memory-", dir=parent) as folder,
        postgres() if kind == "postgres" else serving(valkey(), Path(folder, "engine")) as engine,
        linked(folder, engine.url) as hosts,
    ):
        a, b = hosts
        print(f"{'KiB':<24} {'':<8}" + "".join(f"{kind:>10}" for kind in _KINDS))
        before = report("when it begins", hosts)
        with writer(a.path) as runs:
            ids = runs.ask("make", count)
            for run_id in ids:
                b.has(run_id)
            at_rest = report(f"{count} runs", hosts)
            runs.tell("write", _RATE, seconds)
            size = round(_RATE * seconds) * LINE_BYTES * count
            until(lambda: wanted(b, ids) == size, "the lines at the other host", pause=5.0)
            runs.answer()
            after = report("after the lines", hosts)
            runs.ask("end")
        for name, more in (("at rest", at_rest), ("in use", after)):
            told = [1024 * (now - then) / count for now, then in zip(more, before, strict=True)]
            print(
                f"a run {name}: {told[0]:.0f} bytes where it is shipped, {told[1]:.0f} where it is mirrored"
            )
        print(f"modules that an agent has loaded: {modules(engine.url)}")


if __name__ == "__main__":
    given = [*sys.argv[1:], *("1000", "5", "valkey")[len(sys.argv) - 1 :]]
    main(int(given[0]), float(given[1]), given[2])
