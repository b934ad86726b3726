"""Programs that tests need beside Python: one that is missing fails its tests, with what to install."""

import shutil
import subprocess

import pytest

_PACKAGES = {
    "dialog": "dialog",
    "less": "less",
    "nano": "nano",
    "npm": "npm",
    "mount": "mount",
    "node": "nodejs",
    "nsenter": "util-linux",
    "perl": "perl",
    "initdb": "postgresql-15",
    "postgres": "postgresql-15",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "setsid": "util-linux",
    "sqlite3": "sqlite3",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "su": "util-linux",
    "sudo": "sudo",
    "unshare": "util-linux",
    "vim": "vim",
}
"""The packages of Debian that hold them."""


def program(name: str) -> str:
    """Return the path of a program."""
    path = shutil.which(name, path=None) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.fail(f"expected the program {name}: apt-get install {_PACKAGES[name]}", pytrace=False)
    return path


def unshare(*options: str) -> list[str]:
    """Return what runs a command in namespaces of its own."""
    command = [program("unshare"), *options]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        why = tried.stderr.strip()
        pytest.fail(f"expected root with the right to make namespaces, got {why}", pytrace=False)
    return command
