"""Checks of what ends runs from outside: the stop of a unit, the end of a container, a logout.

A run outlives its starter because its supervisor is a process of its own. That does not help where somebody
kills all processes of a group: systemd does so with a cgroup (systemd.kill(5)), the kernel with a pid
namespace whose process 1 ends (pid_namespaces(7)), logind with a session (logind.conf(5)).
"""

from __future__ import annotations

from runcast.doctor.facts import Facts, Finding, UnitFacts, hint, ok, problem

__all__ = ["container", "init", "unit", "unit_memory"]

_INITS = {  # that collect every process whose parent has ended
    *("systemd", "init", "tini", "tini-static", "docker-init", "dumb-init", "catatonit", "podman-init"),
    *("s6-svscan", "runit", "busybox", "openrc-init", "bash", "sh", "dash"),
}
_SCOPE = "systemd-run {user}--scope -- runcast run --detach -- …"
_ENDS_ALL = {"control-group", "mixed"}
_MANY = 100


def unit(facts: Facts) -> Finding:
    """Whether the stop or restart of the unit that we are in ends the runs that were started in it."""
    found = facts.unit
    if found is None:
        return (
            _session(facts) if facts.session else ok("restart", "in no unit of systemd that could end runs")
        )
    if not found.found:
        return problem("restart", f"there is no unit {found.name}", "name one that `systemctl` lists")
    if not found.is_service:
        return _session(facts) if facts.session else ok("restart", f"in {found.name}, which nothing restarts")
    if found.kill_mode in _ENDS_ALL:
        scope = _SCOPE.format(user="--user " if found.of_user else "")
        return problem(
            "restart",
            f"a stop or a restart of {found.name} kills every process in it, runs included "
            f"(KillMode={found.kill_mode})",
            f"`{_systemctl(found)} edit {found.name}`, and write KillMode=process below [Service]; "
            f"or start runs in a scope of their own: `{scope}`",
        )
    if not found.kill_mode:
        return hint(
            "restart",
            f"in {found.name}, whose settings systemctl does not tell here",
            f"see that `{_systemctl(found)} show -p KillMode {found.name}` says KillMode=process",
        )
    if found.of_user and facts.lingers is False:
        return hint(
            "restart",
            f"a restart of {found.name} leaves runs alone, the last logout of this user ends them",
            "`loginctl enable-linger` has this user's units and their processes go on",
        )
    return ok("restart", f"a restart of {found.name} leaves runs alone (KillMode={found.kill_mode})")


def _systemctl(found: UnitFacts) -> str:
    return "systemctl --user" if found.of_user else "systemctl"


def _session(facts: Facts) -> Finding:
    if facts.kill_user_processes and not facts.lingers:
        return problem(
            "restart",
            "logind ends the runs of this session at logout (KillUserProcesses=yes)",
            f"`loginctl enable-linger`, and start them in a scope: `{_SCOPE.format(user='--user ')}`; "
            "or serve them from a unit",
        )
    return ok("restart", "in a login session, whose end leaves runs alone")


def unit_memory(facts: Facts) -> Finding:
    """Whether systemd stops the unit when a run of it is killed for lack of memory."""
    found = facts.unit
    if found is None or not found.is_service or not found.oom_policy:
        return ok("unit", "no unit that stops when a run needs too much memory")
    if found.oom_policy != "continue":
        return hint(
            "unit",
            f"systemd stops {found.name} when a process in it, such as a run's, is killed for lack of memory "
            f"(OOMPolicy={found.oom_policy})",
            f"`{_systemctl(found)} edit {found.name}`, and write OOMPolicy=continue below [Service]",
        )
    return ok("unit", f"{found.name} goes on when a run needs too much memory")


def container(facts: Facts) -> Finding:
    """Whether the end of a container ends all runs."""
    if not facts.container:
        return ok("container", "in no container that shows")
    return hint(
        "container",
        f"in a container ({facts.container}): its end or restart ends all runs, whatever they do about it",
        "restart it when none goes on (`runcast ls`), keep the store on a volume, and let what is restarted "
        "often, such as a web application, be a container of its own on the same volume",
    )


def init(facts: Facts) -> Finding:
    """Whether process 1 collects processes whose parent has ended, such as supervisors."""
    if facts.init is None or facts.init in _INITS:
        return ok("init", f"process 1 is {facts.init or 'not to be seen'}")
    if not facts.container and not facts.zombies:
        return ok("init", f"process 1 is {facts.init}")
    many = f"{facts.zombies:,} ended processes wait" if facts.zombies != 1 else "1 ended process waits"
    left = f", and {many} for it now" if facts.zombies else ""
    return (problem if facts.zombies >= _MANY else hint)(
        "init",
        f"process 1 is {facts.init}, which may not collect processes whose parent has ended{left}",
        "start the container with an init: `docker run --init`, `init: true` in compose",
    )
