"""The files of two how-tos: systemd takes their units, and what these and cron start are runs."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.cli import LONG, RUNCAST

EXAMPLES = Path(__file__).parents[2] / "examples" / "production"
FILES = {path.name: path for name in ("production", "hosts") for path in (EXAMPLES.parent / name).iterdir()}
UNITS = sorted(name for name in FILES if name.endswith((".service", ".timer")))


@pytest.fixture(name="backup")
def backup_fixture(tmp_path: Path) -> Path:
    """Give a program to back up with, which says one line."""
    path = tmp_path / "backup"
    path.write_text("#!/bin/sh\necho backed up\n")
    path.chmod(0o755)
    return path


def placed(text: str, backup: Path) -> str:
    """Return an example with the programs where they are here."""
    for place, found in {
        "/usr/local/bin/runcast": RUNCAST,
        "/srv/app/.venv/bin/runcast": RUNCAST,
        "/usr/local/bin/backup": backup,
        "/srv/app/.venv/bin/rq": backup,  # which is not in this environment
    }.items():
        text = text.replace(place, str(found))
    return text


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_it(tmp_path: Path, backup: Path, name: str):
    """`systemd-analyze verify` has nothing to say about a unit."""
    for unit in UNITS:  # a timer wants its service
        (tmp_path / unit).write_text(placed(FILES[unit].read_text(), backup))
    command = ["systemd-analyze", "verify", str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def settings(name: str) -> dict[str, str]:
    """Return the settings of a unit."""
    lines = FILES[name].read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_units_end_no_runs(name: str):
    """Each service has the line by which systemd leaves its runs alone."""
    assert settings(name)["KillMode"] == "process"


def test_command_of_the_timer(store: Store, backup: Path):
    """The command in the service is one run a day, however often the timer fires."""
    (unit,) = shlex.split(settings("backup.service")["ExecStart"])[2:]
    command = placed(unit.replace("%%", "%"), backup)
    for _ in range(2):
        subprocess.run(["/bin/sh", "-c", command], check=True, timeout=LONG)

    (run,) = store.list()
    assert run.wait(timeout=LONG).ok
    assert (run.name, run.output()) == ("backup", "backed up\n")
    assert re.fullmatch(r"backup \d{4}-\d\d-\d\d", run.request["key"])


def test_line_for_cron(store: Store, backup: Path):
    """The line for cron, as cron takes it: what is behind a bare `%` would be its input."""
    *_, line = (EXAMPLES / "crontab").read_text().splitlines()
    command = placed(line.split(maxsplit=5)[5], backup)
    parts = re.split(r"(?<!\\)%", command)
    done = subprocess.run(
        ["/bin/sh", "-c", parts[0].replace("\\%", "%")],
        check=True,
        capture_output=True,
        timeout=LONG,
        env={"PATH": "/usr/bin:/bin", "HOME": "/", "RUNCAST_STORE": store.path},  # cron has little more
    )

    (run,) = store.list()
    assert len(parts) == 1
    assert (done.stdout, done.stderr) == (b"", b"")  # nothing that cron would mail
    assert run.wait(timeout=LONG).ok
    assert re.fullmatch(r"backup \d{4}-\d\d-\d\d", run.request["key"])


def test_container_serves(tmp_path: Path, backup: Path):
    """The command of the container is one that there is, with options that there are."""
    lines = (EXAMPLES.parents[1] / "Dockerfile").read_text().splitlines()
    (line,) = [one for one in lines if one.startswith("CMD ")]
    program, verb, *options = tomllib.loads(f"command = {line.removeprefix('CMD ')}")["command"]
    shown = subprocess.run(
        [RUNCAST, verb, "--help"], check=True, capture_output=True, text=True, timeout=LONG
    ).stdout

    assert program == "runcast"
    assert [one for one in options if one.startswith("--") and one not in shown] == []
    assert "--allow-host" in shown  # of compose.yaml


def test_programs_are_here():
    """The units are checked by systemd's own program, and not passed over."""
    assert shutil.which("systemd-analyze"), "install it: apt install systemd"
    assert os.access(RUNCAST, os.X_OK)
