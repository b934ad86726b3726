"""What needs a kernel of its own: control groups that are ours to make, and a clock that is ours to set."""

import subprocess
from pathlib import Path

import pytest

from tests.helpers.uml import kernel
from tests.helpers.wait import MS

pytestmark = [pytest.mark.fault, pytest.mark.slow, pytest.mark.root]

LONG = 120_000 * MS
CHECKOUT = Path(__file__).parents[2]
INIT = CHECKOUT / "tests" / "own_kernel" / "init"


@pytest.mark.parametrize("tests", ["run_group.py", "clock.py"])
def test_on_a_kernel_of_its_own(tmp_path: Path, tests: str):
    """User-mode Linux, an ordinary program, boots with cgroup v2 and runs tests/own_kernel there."""
    linux, environment = kernel(tmp_path)
    words = [linux, "mem=1024M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"]
    words += ["con=null", "con0=null,fd:1", "con1=null", f"init={INIT}"]
    words += [f"checkout={CHECKOUT}", f"tests={tests}"]

    done = subprocess.run(
        words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG, check=False
    )

    said = done.stdout.decode(errors="replace")
    assert "tests ended with 0" in said, said
