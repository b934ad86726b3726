"""Where no terminal can be had: a run that needs one fails to start, and says why; others go on."""

import sys

import pytest

from runcast import Store
from tests.helpers.children import run_python
from tests.helpers.programs import unshare

pytestmark = [pytest.mark.fault, pytest.mark.root]

# None at all; one that is taken; and room again.
NONE = "mount --bind /dev/null /dev/ptmx"
ONE = (
    "mount -t devpts -o newinstance,ptmxmode=0666,max=1 devpts /dev/pts && "
    "mount --bind /dev/pts/ptmx /dev/ptmx"
)
CODE = """
    import os, sys
    from runcast import Store
    store = Store(sys.argv[1])
    taken = os.open("/dev/ptmx", os.O_RDWR) if sys.argv[2] == "taken" else None
    for tty in (True, "stdout"):
        outcome = store.start(["true"], tty=tty).wait(timeout=60)
        print(outcome.code, outcome)
    print(store.start(["echo", "pipes go on"]).output(timeout=60), end="")
    if taken is not None:
        os.close(taken)
        print(store.start(["tty"], tty=True).output(timeout=60), end="")
"""


def in_a_place(store: Store, mount: str, what: str) -> list[str]:
    """Return the lines that are printed where the terminals of the system are other ones."""
    inside = f'{mount} && exec {sys.executable} -c "$1" {store.path} {what}'
    code = f"""
        import subprocess, sys, textwrap
        command = {[*unshare("--mount"), "sh", "-c", inside, "sh"]!r}
        sys.stdout.write(subprocess.check_output([*command, textwrap.dedent({CODE!r})], text=True))
    """
    return run_python(code).splitlines()


def test_system_without_terminals(store: Store):
    """A kernel or a container without pseudo-terminals is named as that, with what to do."""
    lines = in_a_place(store, NONE, "none")

    for line in lines[:2]:
        assert line.startswith(
            "125 failed to start (cannot start 'true': this system gives no terminals (/dev/ptmx: "
        )
        assert line.endswith("mount devpts on /dev/pts, or leave tty out)")
    assert lines[2:] == ["pipes go on"]


def test_all_terminals_in_use(store: Store):
    """Where all are in use that is said, with the limit; a moment later a run may have one again."""
    lines = in_a_place(store, ONE, "taken")

    for line in lines[:2]:
        assert "125 failed to start (cannot start 'true': all terminals of this system are in use" in line
        assert "kernel.pty.max" in line
    assert lines[2:] == ["pipes go on", "/dev/pts/0"]
