"""What survives a power loss before anything depends on it: the order of syncs, as strace sees it."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers.stores import end_store
from tests.helpers.wait import MS, wait_until

CALLS = "trace=fsync,fdatasync,flock,rename,renameat,renameat2"
COMMAND = """
    from runcast import Store
    store = Store.open({path!r})
    run = store.start({source})
    run.wait()
    print(run.id)
"""


def traced(store: Path, source: str, *options: str) -> tuple[str, list[str]]:
    """Start something in a new store under strace; return its id, and the calls of all processes in order."""
    trace = store.parent / "trace"
    code = textwrap.dedent(COMMAND).format(path=str(store), source=source)
    command = [
        "strace",
        "-f",
        "-y",
        "-qq",
        "-e",
        CALLS,
        *options,
        "-o",
        str(trace),
        sys.executable,
        "-c",
        code,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tracer:
        try:
            assert tracer.stdout is not None
            run_id = tracer.stdout.readline().strip()
            named = re.compile(rf'rename.*outcome\.json"[^$]*fsync\(\d+<{store}/{run_id}>')
            wait_until(lambda: named.search(trace.read_text()), timeout=20000 * MS)
        finally:
            end_store(store)  # strace stays as long as a process that it follows
            tracer.kill()
    return run_id, trace.read_text().splitlines()


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("source", ["['echo', 'x']", "['true']", "lambda: print('x')"])
def test_synced_before_the_outcome(source: str, tmp_path: Path) -> None:
    """`store.json` is synced before its rename, `run.json` and the run's name before the outcome is named.

    The names in the run's folder are synced after that, all at once, before its lock is freed.
    """
    store = tmp_path / "store"
    run_id, calls = traced(store, source)

    def first(pattern: str) -> int:
        found = [number for number, call in enumerate(calls) if re.search(pattern, call)]
        assert found, f"expected {pattern} among {calls}"
        return found[0]

    made = first(r'rename.*store\.json"')
    assert first(rf"sync\(\d+<{store}/\.store-") < made
    assert made < first(rf"fsync\(\d+<{store}>")
    assert first(rf"fsync\(\d+<{tmp_path}>") < first(rf'rename.*"{store}/{run_id}"')
    ended = first(r'rename.*outcome\.json"')
    assert first(rf"fsync\(\d+<{store}/{run_id}/run\.json>") < ended
    writer = calls[ended].split()[0]
    # The renaming has a second line where a call of another process came between.
    after = [call for call in calls[ended + 1 :] if call.split()[0] == writer and "resumed>" not in call]
    assert re.search(rf"fsync\(\d+<{store}/{run_id}>", after[0]), after
    between = calls[first(rf'rename.*"{store}/{run_id}"') : ended]
    assert any(re.search(rf"fsync\(\d+<{store}>", call) for call in between)


@pytest.mark.fault
@pytest.mark.slow
def test_end_during_a_sync(tmp_path: Path) -> None:
    """A run that ends during its first sync, on a slow disk, has `run.json` synced before its outcome."""
    store = tmp_path / "store"
    run_id, calls = traced(store, "['sleep', '1.1']", "-e", "inject=fsync:delay_enter=300000")

    [ended] = [number for number, call in enumerate(calls) if re.search(r'rename.*outcome\.json"', call)]
    named = next(number for number, call in enumerate(calls) if f'"{store}/{run_id}"' in call)
    syncing: dict[str, str] = {}  # by thread: a call has a line when it begins, and one when it is over
    synced = set()
    for call in calls[named:ended]:
        thread = call.split()[0]
        if begun := re.search(r"fsync\(\d+<([^>]*)>", call):
            syncing[thread] = begun.group(1)
        if "fsync" in call and " = 0" in call:
            synced.add(syncing[thread])
    assert {f"{store}/{run_id}/run.json", str(store)} <= synced, calls[named : ended + 1]
