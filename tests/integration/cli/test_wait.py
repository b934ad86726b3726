"""`runcast wait`: until runs are over."""

from pathlib import Path

import pytest

from runcast import State, Store
from tests.helpers.cli import LONG, cli, cli_begun


def test_waits(store: Store, tmp_path: Path):
    """It ends with the run, prints nothing, and exits as the run did."""
    run = store.start(f"echo out; until test -e {tmp_path}/go; do sleep 0.01; done; exit 3", shell=True)

    with cli_begun("wait", run.id) as process:
        assert process.poll() is None
        (tmp_path / "go").touch()
        assert process.communicate(timeout=LONG) == (b"", b"")
    assert process.returncode == 3


@pytest.mark.parametrize(
    ("commands", "code"),
    [(["true"], 0), (["exit 3", "exit 4", "true"], 4), (["true", "kill -9 $$"], 137), (["true", "true"], 0)],
)
def test_exit_code(store: Store, commands: list[str], code: int):
    """The exit code is the exit status of the last that failed."""
    runs = [store.start(command, shell=True) for command in commands]

    assert cli("wait", *(run.id for run in runs)) == (code, b"", "")


def test_timeout(store: Store):
    """`--timeout` ends the waiting with 124 and one line, not the run; it is for all together."""
    runs = [store.start(["sleep", "1000"]) for _ in range(2)]
    assert all(run.pid for run in runs)

    done = cli("wait", "--timeout", "50ms", *(run.id for run in runs))

    assert (done.code, done.out) == (124, b"")
    assert done.err == f"runcast: run {runs[0].id} is still running after 0.05 s; it continues\n"
    assert [run.state for run in runs] == [State.RUNNING] * 2


def test_unknown_id_is_told_first(store: Store):
    """An unknown id among others is told at once: nobody should wait an hour to hear it."""
    store.start(["sleep", "1000"])

    done = cli("wait", "last", "nonsense")

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith("runcast: no run 'nonsense' in the store")


def test_no_id(store: Store):
    """Nothing to wait for is a usage error."""
    assert cli("wait") == (2, b"", "runcast: expected ID or --key, got neither (see `runcast wait --help`)\n")


def test_for_a_line(store: Store, tmp_path: Path):
    """`--for` ends with the first line that has the text, prints it, and leaves the run alone."""
    go = f"until test -e {tmp_path}/go; do sleep 0.01; done"
    run = store.start(f"echo before; {go}; echo ready on 8000; exec sleep 1000", shell=True)

    assert cli("wait", run.id, "--for", "bef") == (0, b"before\n", "")
    with cli_begun("wait", run.id, "--for", r"on \d+", "--regex") as process:
        assert process.poll() is None
        (tmp_path / "go").touch()
        assert process.communicate(timeout=LONG) == (b"ready on 8000\n", b"")
    assert process.returncode == 0
    assert run.state is State.RUNNING


def test_for_a_line_that_does_not_come(store: Store):
    """The end of the run without the line exits with 1, and the timeout with 124."""
    ended, running = store.start(["echo", "one"]), store.start(["sleep", "1000"])

    sentence = f"runcast: expected a line with 'ready', run {ended.id} is exited after 1 lines without it\n"
    assert cli("wait", ended.id, "--for", "ready") == (1, b"", sentence)
    assert cli("wait", running.id, "--for", "ready", "--timeout", "50ms").code == 124
    assert cli("wait", ended.id, "--regex").code == 2
