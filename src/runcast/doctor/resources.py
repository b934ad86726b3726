"""Checks of what runs and their readers use up: processes, descriptors, memory, time, watches, terminals.

The thresholds are those below which somebody will notice, and not those that a test run needs.
"""

from __future__ import annotations

from runcast.doctor.facts import Amount, Facts, Finding, hint, ok, problem

__all__ = ["bounds", "clock", "extras", "inotify", "memory", "open_files", "processes", "python", "terminals"]

_FILES_FEW, _FILES_TOO_FEW = 4096, 256
_PROCESSES_FEW, _PROCESSES_TOO_FEW = 200, 20  # a run has two at least, with its supervisor
_FULL_SHARE = 0.95
_SMALL_BYTES = 256 << 20
_DRIFT_SECONDS = 0.5
_AHEAD_SECONDS = 60.0
_MINIMUM = (3, 11)
_TERMINALS_FEW = 16


def python(facts: Facts) -> Finding:
    """Whether this Python is one that runcast is for."""
    version = ".".join(map(str, facts.python))
    if not facts.system.startswith("Linux"):
        return problem(
            "python", f"Python {version} on {facts.system}", "use Linux: no other system is supported"
        )
    if facts.python[:2] < _MINIMUM:
        return problem("python", f"Python {version}", "install Python 3.11 or newer")
    return ok("python", f"Python {version} on {facts.system}")


def extras(facts: Facts) -> Finding:
    """Which extras are installed."""
    there = [name for name, installed in facts.extras.items() if installed]
    missing = [name for name, installed in facts.extras.items() if not installed]
    text = f"installed: {', '.join(there) or 'none'}"
    return ok("extras", text + (f"; not installed: {', '.join(missing)}" if missing else ""))


def open_files(facts: Facts) -> Finding:
    """How many descriptors a process may have. A server raises its soft limit to the hard one by itself."""
    limit = facts.open_files
    if limit is None or limit.hard is None or limit.hard >= _FILES_FEW:
        return ok(
            "open files", "a server may have " + (f"{limit.hard:,}" if limit and limit.hard else "any number")
        )
    advice = "raise it: LimitNOFILE=65536 in the unit, `--ulimit nofile=65536` of docker, or limits.conf(5)"
    text = f"a server may have {limit.hard:,} at most, one for each viewer"
    return (problem if limit.hard < _FILES_TOO_FEW else hint)("open files", text, advice)


def processes(facts: Facts) -> Finding:
    """How many processes may still be started: by this user, and in this group."""
    bounds = []
    if facts.processes is not None and facts.uid != 0:
        bounds.append((facts.processes, "this user", "`ulimit -u`, LimitNPROC= of the unit"))
    if facts.group_processes is not None:
        bounds.append(
            (facts.group_processes, "this cgroup", "TasksMax= of the unit, `--pids-limit` of docker")
        )
    least = min(
        (one for one in bounds if one[0].left is not None), key=lambda one: one[0].left or 0, default=None
    )
    if least is None:
        return ok("processes", "no limit that shows")
    amount, whose, where = least
    text = (
        f"{amount.left:,} more for {whose}, threads included ({amount.used:,} of {amount.most:,} are there)"
    )
    if (amount.left or 0) >= _PROCESSES_FEW:
        return ok("processes", text)
    return (problem if (amount.left or 0) < _PROCESSES_TOO_FEW else hint)("processes", text, f"raise {where}")


def memory(facts: Facts) -> Finding:
    """How much memory the group of this process has."""
    amount = facts.group_memory
    if amount is None or amount.most is None:
        return ok("memory", "no limit of a cgroup that shows")
    text = f"this cgroup has {_mib(amount.used)} of {_mib(amount.most)}, the page cache of logs included"
    advice = "raise MemoryMax= of the unit, `--memory` of docker; a run over it is killed: `out of memory`"
    if amount.most < _SMALL_BYTES:
        return hint("memory", text, advice)
    return (hint if amount.used > amount.most * _FULL_SHARE else lambda check, text, _: ok(check, text))(
        "memory", text, advice
    )


def bounds(facts: Facts) -> Finding:
    """Which other limits each process has, which supervisors and commands inherit."""
    found = facts.bounds
    if not found:
        return ok("limits", "none on memory, CPU time or the size of files")
    text = ", ".join(f"{name} {value:,}" for name, value in sorted(found.items()))
    return hint(
        "limits",
        f"each process is limited: {text}",
        "supervisors inherit these: a log that grows too large, or CPU time that is used up, ends one and "
        "its run; limit the commands instead (`runcast run --limits`)",
    )


def clock(facts: Facts) -> Finding:
    """Whether the clock says a time that may be right, and goes on as it should."""
    newest = facts.store.newest
    if facts.now < facts.installed:
        return problem(
            "clock", "it is before the time at which this program was installed", "set it: timedatectl(1)"
        )
    if abs(facts.clock_drift) > _DRIFT_SECONDS:
        return hint(
            "clock",
            f"it was set {facts.clock_drift:+.1f} s while we looked",
            "times of output jump with it; durations and timeouts do not",
        )
    if newest is not None and newest - facts.now > _AHEAD_SECONDS:
        return hint(
            "clock",
            f"the newest run begins {newest - facts.now:,.0f} s from now: the clock was set back",
            "new runs stand below that one in lists until then",
        )
    if facts.synchronized is False:
        return hint(
            "clock",
            "nothing synchronizes it",
            "run chrony or systemd-timesyncd, or compare no times with others",
        )
    return ok("clock", "it goes on evenly" + (", synchronized" if facts.synchronized else ""))


def inotify(facts: Facts) -> Finding:
    """Whether readers get events, or must look ten times a second."""
    advice = "raise fs.inotify.{} (sysctl.d(5))"
    if facts.inotify_error:
        name = "max_user_instances" if _is_used_up(facts.inotify_instances) else "max_user_watches"
        text = f"a reader gets no events, and looks ten times a second: {facts.inotify_error}"
        return problem("inotify", text, advice.format(name))
    said = []
    for amount, name, what in (
        (facts.inotify_instances, "max_user_instances", "instances"),
        (facts.inotify_watches, "max_user_watches", "watches"),
    ):
        if amount is None or amount.left is None or amount.most is None:
            continue
        text = f"{amount.used:,} of {amount.most:,} {what} of this user are in use"
        if amount.left < amount.most // 10:
            return hint("inotify", text, advice.format(name))
        said.append(text)
    return ok("inotify", "; ".join(said) or "folders can be watched")


def _is_used_up(amount: Amount | None) -> bool:
    return amount is not None and amount.left == 0


def terminals(facts: Facts) -> Finding:
    """Whether runs with `tty=True` can be started."""
    amount = facts.terminals
    text = "no number that shows" if amount is None else f"{amount.used:,} of {amount.most or 0:,} are in use"
    if facts.terminal_error:
        advice = "close some, or raise kernel.pty.max; in a container mount devpts"
        return problem("terminals", f"none can be had: {facts.terminal_error} ({text})", advice)
    if amount is not None and amount.left is not None and amount.left < _TERMINALS_FEW:
        return hint("terminals", text, "raise kernel.pty.max (sysctl.d(5))")
    return ok("terminals", text)


def _mib(count: int) -> str:
    return f"{count / (1 << 20):,.0f} MiB"
