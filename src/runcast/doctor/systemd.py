"""What systemd says of units and sessions, by its own programs; nothing where they are not there.

Owns the calls and the reading of what they print.
"""

from __future__ import annotations

import os
import shlex
import subprocess

from runcast.doctor.facts import UnitFacts

__all__ = ["described", "kills_user_processes", "lingers", "parse_unit", "unit_of"]

_SECONDS = 5.0  # for a manager that does not answer
_PROPERTIES = "LoadState,KillMode,OOMPolicy,PrivateTmp,User,Environment"
_STORE = "RUNCAST_STORE="
_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")


def unit_of(membership: str) -> UnitFacts | None:
    """Return the innermost unit that a process is in, by `/proc/self/cgroup`; None for none."""
    for line in membership.splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers not in ("", "name=systemd"):
            continue
        parts = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
        if parts:
            return UnitFacts(parts[-1], of_user=any(part.startswith("user@") for part in parts[:-1]))
    return None


def described(name: str, *, of_user: bool) -> UnitFacts:
    """Return a unit as systemd has it; with its name alone where systemd does not answer."""
    user = ["--user"] if of_user else []
    printed = _printed("systemctl", *user, "show", "-p", _PROPERTIES, "--", name)
    return UnitFacts(name, of_user) if printed is None else parse_unit(name, printed, of_user=of_user)


def parse_unit(name: str, printed: str, *, of_user: bool = False) -> UnitFacts:
    """Return a unit, by what `systemctl show` prints of it."""
    values = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    try:
        variables = shlex.split(values.get("Environment", ""))
    except ValueError:  # it is not quoted as we think
        variables = []
    return UnitFacts(
        name,
        of_user,
        values.get("KillMode", ""),
        values.get("OOMPolicy", ""),
        values.get("PrivateTmp") == "yes",
        values.get("LoadState") != "not-found",
        values.get("User", ""),
        next((one.removeprefix(_STORE) for one in variables if one.startswith(_STORE)), ""),
    )


def kills_user_processes() -> bool | None:
    """Return whether logind ends what users have started when they log out; None where there is none."""
    printed = _printed("busctl", "get-property", *_LOGIND, "KillUserProcesses")
    return None if printed is None else printed.split() == ["b", "true"]


def lingers(uid: int) -> bool | None:
    """Return whether the manager of a user goes on without a session; None where there is no logind."""
    printed = _printed("loginctl", "show-user", str(uid), "-p", "Linger", "--value")
    return None if printed is None else printed.strip() == "yes"


def _printed(*command: str) -> str | None:
    if not os.path.isdir("/run/systemd/system"):  # as sd_booted(3) has it
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
