"""R11: output of any shape fills the memory of neither the supervisor nor a viewer."""

import pytest

from runcast import Store
from tests.helpers.children import run_python, supervisor_of
from tests.helpers.processes import peak_kib
from tests.helpers.wait import MS

DEADLINE = 60000 * MS
SUPERVISOR_KIB = 25 * 1024
VIEWER_KIB = 32 * 1024  # more than it had before

SHAPES = {
    "256 MB without a line end": ("head -c 268435456 /dev/zero", 268435456),
    "256 MB without a line end, on both channels": (
        "echo mixed >&2; head -c 134217728 /dev/zero; head -c 134217728 /dev/zero >&2",
        268435456 + 6,
    ),
    "a million empty lines": ("yes '' | head -n 1000000", 1000000),
}

VIEWER = """
    import resource, sys
    from runcast import Store

    run = Store(sys.argv[1]).get(sys.argv[2])
    items = run.lines() if sys.argv[3] == "lines" else run.follow()
    next(items)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(len(item) if sys.argv[3] == "lines" else len(item.data) for item in items)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, count)
"""

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("shape", SHAPES)
def test_memory(store: Store, shape: str):
    """R11: a supervisor needs at most 25 MiB, and a viewer, of chunks or of lines, some MiB more."""
    command, size = SHAPES[shape]
    run = store.start(["sh", "-c", f"{command}; read end"], stdin="pipe")
    supervisor = supervisor_of(run)
    run.send("end\n")
    assert run.wait(timeout=DEADLINE).ok
    peak = peak_kib(supervisor)

    assert run.tail_offset == size
    assert peak <= SUPERVISOR_KIB
    for kind in ("lines", "chunks"):
        grown, seen = map(int, run_python(VIEWER, store.path, run.id, kind, timeout=DEADLINE).split())
        assert grown <= VIEWER_KIB
        assert seen <= size
    store.remove(run)


def test_memory_of_a_live_viewer(store: Store):
    """R11: a viewer that follows a flood while it lasts keeps its memory, too."""
    run = store.start(["head", "-c", "134217728", "/dev/zero"])

    grown, seen = map(int, run_python(VIEWER, store.path, run.id, "chunks", timeout=DEADLINE).split())

    assert 134217728 - 65536 <= seen <= 134217728
    assert grown <= VIEWER_KIB
    store.remove(run)
