"""The checks of `runcast doctor`, each by facts alone: what is well, what is a hint, what is wrong."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runcast.doctor import resources, restarts, sharing, storage
from runcast.doctor.facts import Amount, Facts, Finding, Level, Limit, LinkFacts, StoreFacts, UnitFacts
from runcast.doctor.report import CHECKS, findings, has_problem

GOOD = Facts(extras={"server": True}, now=2.0, installed=1.0)
STORE = GOOD.store
UNIT = UnitFacts("app.service", kill_mode="process", oom_policy="continue")
MANY = Amount(10, 100_000)
MIB = 1 << 20
Check = Callable[[Facts], Finding]


def store(**changes: Any) -> dict[str, Any]:
    """Return facts about a store that differs from a good one."""
    return {"store": STORE._replace(**changes)}


def linked(**changes: Any) -> dict[str, Any]:
    """Return facts about a link that differs from a good one."""
    return {"link": LinkFacts("redis://h", "web-1", server="Valkey 9.1.2")._replace(**changes)}


CASES: list[tuple[Check, dict[str, Any], str, str]] = [
    (restarts.unit, {"unit": UNIT}, "ok", "leaves runs alone"),
    (restarts.unit, {"unit": UNIT._replace(kill_mode="none")}, "ok", "KillMode=none"),
    (restarts.unit, {"unit": UNIT._replace(kill_mode="control-group")}, "problem", "KillMode=process below"),
    (restarts.unit, {"unit": UNIT._replace(kill_mode="mixed")}, "problem", "systemd-run --scope"),
    (
        restarts.unit,
        {"unit": UNIT._replace(kill_mode="mixed", of_user=True)},
        "problem",
        "systemctl --user edit app.service",
    ),
    (restarts.unit, {"unit": UNIT._replace(of_user=True), "lingers": False}, "hint", "enable-linger"),
    (restarts.unit, {"unit": UNIT._replace(of_user=True), "lingers": True}, "ok", "leaves runs alone"),
    (restarts.unit, {"unit": UNIT._replace(kill_mode="")}, "hint", "show -p KillMode app.service"),
    (restarts.unit, {"unit": UNIT._replace(found=False)}, "problem", "no unit app.service"),
    (restarts.unit, {"unit": UnitFacts("run-u1.scope")}, "ok", "which nothing restarts"),
    (restarts.unit, {"session": True}, "ok", "login session"),
    (restarts.unit, {"session": True, "kill_user_processes": True}, "problem", "KillUserProcesses=yes"),
    (restarts.unit, {"session": True, "kill_user_processes": True, "lingers": True}, "ok", "session"),
    (restarts.unit_memory, {"unit": UNIT}, "ok", "goes on"),
    (restarts.unit_memory, {"unit": UNIT._replace(oom_policy="stop")}, "hint", "OOMPolicy=continue"),
    (restarts.unit_memory, {"unit": UNIT._replace(oom_policy="")}, "ok", "no unit"),
    (restarts.container, {"container": "docker"}, "hint", "ends all runs"),
    (restarts.init, {"init": None}, "ok", "not to be seen"),
    (restarts.init, {"init": "tini", "container": "docker"}, "ok", "tini"),
    (restarts.init, {"init": "gunicorn"}, "ok", "gunicorn"),
    (restarts.init, {"init": "gunicorn", "container": "docker"}, "hint", "--init"),
    (restarts.init, {"init": "gunicorn", "zombies": 3}, "hint", "3 ended processes"),
    (restarts.init, {"init": "gunicorn", "zombies": 100}, "problem", "100 ended processes"),
    (storage.store, store(there=False), "ok", "made by the first run"),
    (storage.store, store(fault="the store /x belongs to ann"), "problem", "belongs to ann"),
    (storage.store, store(write_error="read-only file system"), "problem", "read-only file system"),
    (storage.store, store(lock_error="no locks available"), "problem", "local disk"),
    (storage.file_system, store(file_system="nfs4"), "hint", "ten times a second"),
    (storage.file_system, store(file_system="fuse.sshfs"), "hint", "fuse.sshfs"),
    (storage.file_system, store(file_system="tmpfs"), "hint", "a reboot takes it"),
    (storage.file_system, store(file_system="overlay"), "hint", "mount a volume"),
    (storage.file_system, store(file_system=""), "ok", "one that does not show"),
    (
        storage.file_system,
        store(path="/tmp/runs") | {"unit": UNIT._replace(private_tmp=True)},
        "problem",
        "PrivateTmp=yes",
    ),
    (storage.file_system, {"unit": UNIT._replace(private_tmp=True)}, "ok", "ext4"),
    (storage.disk, store(bytes=Amount(0, 100 << 30)), "ok", "100.0 GiB of 100.0 GiB"),
    (storage.disk, store(bytes=Amount((100 << 30) - 500 * MIB, 100 << 30)), "hint", "prune"),
    (storage.disk, store(bytes=Amount(0, 2 << 30)), "ok", "2.0 GiB"),
    (storage.disk, store(bytes=Amount((2 << 30) - 50 * MIB, 2 << 30)), "problem", "prune"),
    (storage.files, store(files=Amount(0, 1_000_000)), "ok", "1,000,000 of 1,000,000"),
    (storage.files, store(files=Amount(950_000, 1_000_000)), "hint", "prune"),
    (storage.files, store(files=Amount(999_500, 1_000_000)), "problem", "500 of 1,000,000"),
    (resources.processes, {"processes": MANY}, "ok", "99,990 more for this user"),
    (resources.processes, {"processes": Amount(950, 1000)}, "hint", "LimitNPROC="),
    (resources.processes, {"processes": Amount(995, 1000)}, "problem", "5 more for this user"),
    (resources.processes, {"processes": Amount(995, 1000), "uid": 0}, "ok", "no limit"),
    (resources.processes, {"processes": MANY, "group_processes": Amount(99, 100)}, "problem", "TasksMax="),
    (resources.processes, {"group_processes": Amount(5, None)}, "ok", "no limit"),
    (resources.open_files, {"open_files": Limit(1024, None)}, "ok", "any number"),
    (resources.open_files, {"open_files": Limit(1024, 524_288)}, "ok", "524,288"),
    (resources.open_files, {"open_files": Limit(1024, 1024)}, "hint", "LimitNOFILE=65536"),
    (resources.open_files, {"open_files": Limit(64, 64)}, "problem", "64 at most"),
    (resources.bounds, {"bounds": {"file_size": 1000}}, "hint", "file_size 1,000"),
    (resources.memory, {"group_memory": Amount(100 * MIB, 1024 * MIB)}, "ok", "100 MiB of 1,024 MiB"),
    (resources.memory, {"group_memory": Amount(1000 * MIB, 1024 * MIB)}, "hint", "MemoryMax="),
    (resources.memory, {"group_memory": Amount(10 * MIB, 128 * MIB)}, "hint", "10 MiB of 128 MiB"),
    (resources.memory, {"group_memory": Amount(10, None)}, "ok", "no limit"),
    (resources.inotify, {"inotify_instances": MANY, "inotify_watches": MANY}, "ok", "100,000 watches"),
    (resources.inotify, {"inotify_instances": Amount(120, 128)}, "hint", "max_user_instances"),
    (resources.inotify, {"inotify_watches": Amount(7900, 8192)}, "hint", "max_user_watches"),
    (
        resources.inotify,
        {"inotify_error": "too many open files", "inotify_instances": Amount(128, 128)},
        "problem",
        "max_user_instances",
    ),
    (resources.inotify, {"inotify_error": "no space left on device"}, "problem", "max_user_watches"),
    (resources.terminals, {"terminals": Amount(3, 4096)}, "ok", "3 of 4,096"),
    (resources.terminals, {"terminals": Amount(4090, 4096)}, "hint", "kernel.pty.max"),
    (resources.terminals, {"terminal_error": "no space left on device"}, "problem", "none can be had"),
    (resources.clock, {"synchronized": True}, "ok", "synchronized"),
    (resources.clock, {"synchronized": False}, "hint", "timesyncd"),
    (resources.clock, {"now": 0.5}, "problem", "before the time"),
    (resources.clock, {"clock_drift": -3600.0}, "hint", "-3600.0 s"),
    (resources.clock, store(newest=3602.0), "hint", "3,600 s from now"),
    (resources.clock, store(newest=30.0), "ok", "evenly"),
    (sharing.link, {}, "ok", "shared with no other host"),
    (sharing.link, linked(), "ok", "Valkey 9.1.2 at redis://h answers, and knows this host as 'web-1'"),
    (sharing.link, linked(error="no server at h"), "problem", "redis://h: no server at h"),
    (sharing.link, linked(notes={"lease": "another store has the name"}), "problem", "host= of its own"),
    (sharing.link, linked(notes={"full": "out of memory"}), "problem", "more memory"),
    (sharing.link, linked(notes={"fenced": "run 1 was ended"}), "hint", "on its own host"),
    (sharing.hosts, {}, "ok", "shared with no other host"),
    (sharing.hosts, linked(error="no server at h"), "ok", "without the link"),
    (
        sharing.hosts,
        linked(hosts={"web-2": 0.0, "web-3": 90.0}),
        "ok",
        "silent, without runs that go on: web-3",
    ),
    (sharing.hosts, linked(notes={"silent": "host web-2 is silent since 12:03"}), "problem", "since 12:03"),
    (sharing.shelf, {}, "ok", "there is none"),
    (sharing.shelf, linked(), "ok", "the engine keeps all output"),
    (sharing.shelf, linked(shelf="file:///mnt?local_age=7d"), "ok", "file:///mnt can be read"),
    (sharing.shelf, linked(shelf="file:///mnt", shelf_error="not mounted"), "problem", "mount it"),
    (resources.python, {"python": (3, 10, 4)}, "problem", "3.11 or newer"),
    (resources.python, {"system": "Darwin 23.1"}, "problem", "Linux"),
    (resources.extras, {"extras": {"server": True, "otel": False}}, "ok", "not installed: otel"),
    (resources.extras, {"extras": {"otel": False}}, "ok", "installed: none"),
]


@pytest.mark.parametrize(("check", "changes", "level", "text"), CASES)
def test_check(check: Check, changes: dict[str, Any], level: str, text: str):
    """A check finds what its facts say, names it, and says what to do where something is to be done."""
    found = check(replace(GOOD, **changes))

    assert found.level == level, found
    assert text in str(found)
    assert bool(found.advice) == (level != "ok")
    assert "\n" not in str(found)


def test_nothing_is_wrong():
    """Where all is well there is a line for each check, and none is about anything but that."""
    found = findings(GOOD)

    assert {one.level for one in found} == {Level.OK}
    assert len({one.check for one in found}) == len(CHECKS)
    assert not has_problem(found)


def test_hints_are_no_problem():
    """A hint is nothing wrong; a problem is, beside any number of hints."""
    hinted = findings(replace(GOOD, container="docker", init="gunicorn"))

    assert Level.HINT in {one.level for one in hinted}
    assert not has_problem(hinted)
    assert has_problem([*hinted, *findings(replace(GOOD, store=StoreFacts("/x", fault="it is a file")))])


def test_nothing_is_known():
    """Where nothing could be found out, nothing is claimed to be wrong."""
    facts = Facts(init=None, now=2.0, store=StoreFacts("/x", file_system=""))

    assert {one.level for one in findings(facts)} == {Level.OK}


def test_each_check_has_cases():
    """Every check is among the cases above, with each level that it can have in its code."""
    assert {check for check, *_ in CASES} == set(CHECKS)
