"""Programs that only root can try, in a run's terminal: sudo, ssh to this machine, apt."""

import contextlib
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runcast import Run, Store
from runcast.errors import RunFinished
from tests.helpers.ports import free_port
from tests.helpers.programs import program, unshare
from tests.helpers.terminals import DEADLINE, screen, shows
from tests.helpers.wait import wait_until

SECRET = "correct-horse"

pytestmark = pytest.mark.root

# Users and their passwords are files of /etc: of a copy of it, which nobody else sees.
SUDO = r"""
set -e
cp -a /etc "$0/etc"
mount --bind "$0/etc" /etc
useradd --no-create-home --shell /bin/sh ada
chpasswd < "$0/secret"
printf '%s\n' 'Defaults lecture=never' 'ada ALL=(ALL) ALL' > /etc/sudoers.d/ada
set -- sudo -k -p 'Who is it, %u? ' sh -c 'echo "I am $(id -un)"; cat'
exec setpriv --reuid=ada --regid=ada --clear-groups "$@"
"""
# As root, sshd needs a folder that is made when a machine starts.
SSHD = """
set -e
mount -t tmpfs none /run
mkdir /run/sshd
exec "$0" "$@"
"""


@contextlib.contextmanager
def ending(run: Run) -> Iterator[Run]:
    """End a run at the end of the block, if it goes on."""
    try:
        yield run
    finally:
        with contextlib.suppress(RunFinished):
            run.kill()
        run.wait(timeout=DEADLINE)


def asks(run: Run, kind: str, text: str) -> None:
    """Wait until a program is known to wait with a question, in which a text stands."""
    found = wait_until(
        lambda: run.waiting and run.waiting.kind == kind and run.waiting, DEADLINE, f"{kind}: {text}"
    )
    assert text in found.question


def files_of(store: Store) -> bytes:
    """Return the bytes of all files of a store."""
    return b"".join(path.read_bytes() for path in Path(store.path).rglob("*") if path.is_file())


def test_sudo(store: Store, tmp_path: Path):
    """sudo asks for the password, which is hidden and in no file; what it runs is typed into."""
    for name in ("sudo", "setpriv"):
        program(name)
    (tmp_path / "secret").write_text(f"ada:{SECRET}\n")
    command = [*unshare("--mount"), "sh", "-c", SUDO, str(tmp_path)]
    with ending(store.start(command, tty=True)) as run:
        asks(run, "password", "Who is it, ada?")
        run.send("wrong\r")
        shows(run, "try again")
        asks(run, "password", "Who is it, ada?")
        run.send(f"{SECRET}\r")
        shows(run, "I am root")
        run.send("typed\r")
        shows(run, "typed\r\ntyped\r\n")
        run.send("", eof=True)
        assert run.wait(timeout=DEADLINE).ok
    assert SECRET.encode() not in files_of(store)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Serve ssh on a port of the loopback address, to the owner of a key, whose file has a passphrase."""
    sshd = program("sshd")
    for name, secret in (("host", ""), ("key", SECRET)):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", secret, "-f", tmp_path / name]
        subprocess.run(make, check=True, timeout=DEADLINE)
    port = free_port()
    options = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "key.pub",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PermitRootLogin": "yes",
    }
    command = [sshd, "-D", "-e", "-f", "/dev/null"]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    with subprocess.Popen(
        [*unshare("--mount"), "sh", "-c", SSHD, *command], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            assert said == f"Server listening on 127.0.0.1 port {port}.\n", said + process.stderr.readline()
            yield port
        finally:
            process.terminate()


def test_ssh(store: Store, tmp_path: Path, port: int):
    """ssh asks about the host and for the passphrase; the shell there has the size of the run's terminal."""
    options = ["-F", "none", "-p", port, "-i", tmp_path / "key"]
    options += ["-o", f"UserKnownHostsFile={tmp_path / 'known'}", "-o", "IdentityAgent=none"]
    command = ["ssh", "-t", *map(str, options), "127.0.0.1", "echo I am there; exec sh"]
    with ending(store.start(command, tty=True, columns=70, rows=20)) as run:
        asks(run, "input", "(yes/no/[fingerprint])?")
        run.send("yes\r")
        asks(run, "password", "Enter passphrase for key")
        run.send(f"{SECRET}\r")
        shows(run, "I am there")  # what is typed ahead of a passphrase's end is dropped
        run.send("stty size\r")
        shows(run, "20 70\r\n")
        run.resize(90, 30)
        run.send("until stty size | grep '30 90'; do :; done; exit 5\r")
        shows(run, "30 90\r\n")
        assert run.wait(timeout=DEADLINE).code == 5
    assert SECRET.encode() not in files_of(store)


def package(folder: Path, name: str, *fields: str) -> str:
    """Make a package of Debian; return its entry in the list of an archive."""
    (folder / name / "DEBIAN").mkdir(parents=True)
    (folder / name / name).write_text(name)
    described = [
        f"Package: {name}",
        "Version: 1",
        "Architecture: all",
        "Maintainer: nobody <nobody@example.com>",
    ]
    described += [f"Description: {name}", *fields]
    (folder / name / "DEBIAN/control").write_text("\n".join([*described, ""]))
    path = folder / f"{name}.deb"
    subprocess.run(
        ["dpkg-deb", "--build", folder / name, path], check=True, capture_output=True, timeout=DEADLINE
    )
    data = path.read_bytes()
    described += [
        f"Filename: ./{name}.deb",
        f"Size: {len(data)}",
        f"SHA256: {hashlib.sha256(data).hexdigest()}",
    ]
    return "\n".join([*described, "", ""])


def test_apt(store: Store, tmp_path: Path):
    """apt asks whether to install what a package needs, draws its bar, and gives the last row back."""
    root, archive = tmp_path / "root", tmp_path / "archive"
    archive.mkdir()
    entries = package(archive, "wanted", "Depends: needed") + package(archive, "needed")
    (archive / "Packages").write_text(entries)
    for name in (
        "etc/apt/sources.list.d",
        "etc/apt/preferences.d",
        "var/cache/apt/archives/partial",
        "var/lib/dpkg",
        "var/log/apt",
    ):
        (root / name).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:{archive} ./\n")
    options = {
        "Dir": root,
        "Dir::State::status": root / "var/lib/dpkg/status",
        "DPkg::Options::": f"--root={root}",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt"]
    for name, value in options.items():
        apt += ["-o", f"{name}={value}"]
    environment = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    assert store.start([*apt, "update"], tty=True, env=environment).wait(timeout=DEADLINE).ok

    with ending(store.start([*apt, "install", "wanted"], tty=True, env=environment)) as run:
        asks(run, "input", "Do you want to continue? [Y/n]")
        run.send("y\r")
        assert run.wait(timeout=DEADLINE).ok
    seen = screen(run)
    assert "\x1b[0;23r" in seen
    assert "\x1b[0;24r" in seen.partition("Progress: [")[2]
    assert (root / "wanted").read_text() == "wanted"
    assert (root / "needed").read_text() == "needed"
