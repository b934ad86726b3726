"""The command line of ssh, from an address and from what ssh says of its own configuration."""

import shlex
from urllib.parse import urlsplit

import pytest

from runcast.client.ssh import Destination
from runcast.errors import UsageError

OURS = "-T -o ClearAllForwardings=yes -o ForwardX11=no -o PermitLocalCommand=no -o RemoteCommand=none"
ALIVE = "-o ServerAliveInterval=15 -o ConnectTimeout=15"


SILENT = "serveraliveinterval 0\nconnecttimeout none\n"  # what `ssh -G` prints without a configuration


def command(url: str, configured: str = SILENT) -> str:
    return shlex.join(Destination.parse(urlsplit(url)).arguments(configured))


@pytest.mark.parametrize(
    ("url", "before", "behind"),
    [
        ("ssh://far/", "", "far 'runcast bridge'"),
        ("ssh://Far", "", "Far 'runcast bridge'"),
        ("ssh://me@far:2222/runs", "-l me -p 2222 ", "far 'runcast bridge'"),
        ("ssh://[fe80::1%25eth0]:22/", "-p 22 ", "fe80::1%eth0 'runcast bridge'"),
        ("ssh://far/?runcast=~/venv/bin/runcast", "", "far '~/venv/bin/runcast bridge'"),
        ("ssh://far/?runcast=/opt/a%20b%3Bc", "", """far ''"'"'/opt/a b;c'"'"' bridge'"""),
    ],
)
def test_command(url: str, before: str, behind: str):
    """The host is behind `--`, a path is quoted for the shell there, a dead connection is noticed."""
    assert command(url) == f"{before}{OURS} {ALIVE} -- {behind}"
    destination = Destination.parse(urlsplit(url))
    assert Destination.parse(urlsplit(str(destination))) == destination


def test_own_configuration_goes_first():
    """What the user's configuration sets is not set by us."""
    assert (
        command("ssh://far/", "serveraliveinterval 60\nconnecttimeout 5\n")
        == f"{OURS} -- far 'runcast bridge'"
    )


@pytest.mark.parametrize(
    "netloc",
    [
        "-oProxyCommand=x",
        "a b",
        "a`id`",
        "a$(id)",
        "a|b",
        "-l@far",
        "$(id)@far",
        "a:b@far",
        "%2doX",
        "far:99999",
    ],
)
def test_hostile(netloc: str):
    """Nothing of an address is an option of ssh, or means anything to a shell."""
    with pytest.raises(UsageError, match="expected an address such as ssh://"):
        Destination.parse(urlsplit(f"ssh://{netloc}/"))
