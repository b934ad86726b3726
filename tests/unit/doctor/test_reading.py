"""What `runcast doctor` reads in files of the kernel and in the answers of systemctl."""

import tomllib
from pathlib import Path

import pytest

from runcast.doctor.facts import UnitFacts
from runcast.doctor.gather import EXTRAS
from runcast.doctor.kernel import group_folders, mounted_at
from runcast.doctor.systemd import parse_unit, unit_of

USER = "/user.slice/user-1000.slice/user@1000.service/app.slice"


@pytest.mark.parametrize(
    ("membership", "unit"),
    [
        ("0::/\n", None),
        ("", None),
        ("0::/system.slice/app.service\n", UnitFacts("app.service")),
        ("0::/system.slice/app.service/worker\n", UnitFacts("app.service")),
        ("4:memory:/x.service\n1:name=systemd:/system.slice/app.service\n0::/\n", UnitFacts("app.service")),
        (f"0::{USER}/app.service\n", UnitFacts("app.service", of_user=True)),
        (f"0::{USER}/run-u7.scope\n", UnitFacts("run-u7.scope", of_user=True)),
        ("0::/user.slice/user-0.slice/session-3.scope\n", UnitFacts("session-3.scope")),
        ("0::/docker/0123456789ab\n", None),
    ],
)
def test_unit(membership: str, unit: UnitFacts | None):
    """The unit is the innermost service or scope of the cgroup, in both versions of cgroups."""
    assert unit_of(membership) == unit


def test_settings_of_a_unit():
    """The settings are those that `systemctl show` prints, in any order."""
    printed = "KillMode=mixed\nLoadState=loaded\nPrivateTmp=yes\nOOMPolicy=stop\n"

    assert parse_unit("app.service", printed) == UnitFacts("app.service", False, "mixed", "stop", True)
    environment = "Environment=A=1 RUNCAST_STORE=/srv/runs 'B=two words'\nUser=runs\n"
    unit = parse_unit("app.service", environment)
    assert (unit.user, unit.store) == ("runs", "/srv/runs")
    assert parse_unit("app.service", "Environment='A=\n").store == ""
    assert not parse_unit("app.service", "LoadState=not-found\nKillMode=control-group\n").found


def test_groups_of_version_1():
    """A controller of version 1 has a tree of its own; the groups above count, too."""
    text = "4:memory:/a/b\n3:cpu,pids:/c\n0::/\n"

    assert group_folders(text, "memory") == [
        "/sys/fs/cgroup/memory/a/b",
        "/sys/fs/cgroup/memory/a",
        "/sys/fs/cgroup/memory",
    ]
    assert group_folders(text, "cpuset") in ([], ["/sys/fs/cgroup"])  # by the version that is mounted here


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 22 0:26 / /srv rw,relatime shared:1 - nfs4 server:/srv rw
31 30 0:27 / /srv/my\\040runs rw - tmpfs tmpfs rw
32 22 0:28 / /srvx rw - xfs /dev/x rw
33 31 0:29 / /srv/my\\040runs rw - overlay overlay rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/ann", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/runs", "nfs4"),
        ("/srvx/runs", "xfs"),
        ("/srvy", "ext4"),
        ("/srv/my runs/a", "overlay"),
    ],
)
def test_mount(path: str, kind: str):
    """A path is on the mount that is nearest above it, and of several at one place on the last."""
    assert mounted_at(MOUNTS, path) == kind


def test_extras_are_those_of_the_project():
    """Each extra that can be installed is looked for."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]

    assert EXTRAS.keys() == project["optional-dependencies"].keys()
