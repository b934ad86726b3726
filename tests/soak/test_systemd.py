"""What systemd ends and what it leaves alone, with the real one, on a second kernel: needs root.

The units of "Before production" run here as they are there, but for their user and their times.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.helpers.uml import boot

pytestmark = pytest.mark.root

EXAMPLES = Path(__file__).parents[2] / "examples" / "production"
SERVICE = """\
[Unit]
DefaultDependencies=no
[Service]
Environment=RUNCAST_STORE=/var/lib/runcast
ExecStart=/bin/sh -c '{start}; exec sleep 1000'
TimeoutStopSec=2
"""
DETACH = "runcast run --detach --name {} -- "
MODES = ("process", "control-group", "mixed")
POLICIES = ("stop", "continue")
SCRIPT = """
export RUNCAST_STORE=/var/lib/runcast
until_count() { for _ in $(seq 300); do [ "$(eval "$2" | wc -l)" -ge "$1" ] && return; sleep 0.1; done; }
printf '#!/bin/sh\\nexec sleep 1000\\n' > /usr/local/bin/backup; chmod +x /usr/local/bin/backup
printf '[commands.wait]\\ncommand = "sleep 1000"\\n' > /etc/runcast.toml
all="app-process app-control-group app-mixed app-scope"
systemctl start $all oom-stop oom-continue
until_count 6 'ls -d $RUNCAST_STORE/01*'
until_count 2 'runcast ls --json | grep "out of memory"'
systemctl stop $all
systemctl start backup.timer runs.service
auth="Authorization: Bearer $(cat $RUNCAST_STORE/.token)"
curl -s -H "$auth" --json '{"name": "wait"}' http://127.0.0.1:8765/runs
systemctl restart runs.service
until_count 2 'cat /out/fired'
install -d -m 700 -o nobody /srv/theirs
for unit in $all oom-stop oom-continue runs theirs; do
    env -u RUNCAST_STORE runcast doctor --json --unit $unit.service | sed "s/^/doctor $unit /"
done
for unit in oom-stop oom-continue runs; do echo "active $unit $(systemctl is-active $unit)"; done
runcast ls --all --json | sed 's/^/run /'
"""


class Seen(NamedTuple):
    """What the script printed: runs by name, findings by unit and check, and whether units are active."""

    runs: dict[str, list[dict[str, Any]]]
    doctor: dict[tuple[str, str], dict[str, str]]
    active: dict[str, str]


def example(name: str) -> str:
    """Return a unit of the docs as root's, without what this machine has not, its timer each two seconds."""
    text = (EXAMPLES / name).read_text().replace("After=network.target\n", "").replace("User=runs\n", "")
    text = re.sub("OnCalendar=.*", "OnCalendar=*:*:0/2\nAccuracySec=100ms", text)
    fired = (
        "[Service]\nExecStartPre=/bin/sh -c 'echo fired >> /out/fired'" if name == "backup.service" else ""
    )
    return text.replace("[Unit]", "[Unit]\nDefaultDependencies=no") + fired


@pytest.fixture(name="seen", scope="module")
def seen_fixture(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Boot once, do all that there is to do, and give what was seen."""
    units = {name: example(name) for name in ("runs.service", "backup.service", "backup.timer")}
    for mode in MODES:
        units[f"app-{mode}.service"] = (
            SERVICE.format(start=f"{DETACH.format(mode)} sleep 1000") + f"KillMode={mode}\n"
        )
    scope = f"systemd-run --scope --quiet -- {DETACH.format('scope')} sleep 1000"
    units["app-scope.service"] = SERVICE.format(start=scope)
    for policy in POLICIES:
        start = DETACH.format(f"oom-{policy}") + 'python3 -c "x = bytearray(200 << 20)"'
        units[f"oom-{policy}.service"] = (
            f"{SERVICE.format(start=start)}KillMode=process\nOOMPolicy={policy}\nMemoryMax=60M\nMemorySwapMax=0\n"
        )
    units["theirs.service"] = (
        SERVICE.format(start="true").replace("/var/lib/runcast", "/srv/theirs") + "User=nobody\n"
    )
    printed = boot(tmp_path_factory.mktemp("uml"), units, SCRIPT, seconds=600)
    seen = Seen({}, {}, {})
    for line in printed.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "run":
            run = json.loads(rest)
            seen.runs.setdefault(run["name"], []).append(run)
        elif kind == "doctor":
            unit, _, text = rest.partition(" ")
            found = json.loads(text)
            seen.doctor[unit, found["check"]] = found
        elif kind == "active":
            unit, _, state = rest.partition(" ")
            seen.active[unit] = state
    assert seen.runs, printed
    return seen


def state(seen: Seen, name: str) -> str:
    """Return the state of the one run of a name."""
    (run,) = seen.runs[name]
    return str(run["state"])


def test_stopped_units(seen: Seen):
    """A stop of a unit ends its runs, unless KillMode=process, or a scope of their own, keeps them."""
    assert {name: state(seen, name) == "running" for name in (*MODES, "scope")} == {
        "process": True,
        "control-group": False,
        "mixed": False,
        "scope": True,
    }


def test_doctor(seen: Seen):
    """`runcast doctor` says of each of these units what systemd then did."""
    levels = {
        unit: seen.doctor[unit, "restart"]["level"] for unit, check in seen.doctor if check == "restart"
    }

    assert {unit: level for unit, level in levels.items() if unit.startswith("app-")} == {
        "app-process": "ok",
        "app-control-group": "problem",
        "app-mixed": "problem",
        "app-scope": "problem",  # what is started in it without a scope
    }
    assert levels["runs"] == "ok"
    assert seen.doctor["runs", "store"]["text"] == "/var/lib/runcast can be written"
    assert seen.doctor["theirs", "store"]["text"] == "/srv/theirs can be written"  # by its own user
    assert seen.doctor["runs", "unit"]["level"] == "ok"


def test_out_of_memory(seen: Seen):
    """A run that needs too much memory ends its unit, unless that has OOMPolicy=continue."""
    assert [run["outcome"]["reason"] for name in POLICIES for run in seen.runs[f"oom-{name}"]] == [
        "out of memory",
        "out of memory",
    ]
    assert (seen.active["oom-stop"], seen.active["oom-continue"]) == ("failed", "active")
    assert seen.doctor["oom-stop", "unit"]["level"] == "hint"
    assert seen.doctor["oom-continue", "unit"]["level"] == "ok"


def test_server_and_timer(seen: Seen):
    """The server's unit restarts, and its run goes on; a timer that fires again starts no second run."""
    assert seen.active["runs"] == "active"
    assert state(seen, "wait") == "running"
    assert state(seen, "backup") == "running"
