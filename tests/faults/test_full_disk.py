"""R9: a full disk costs bytes and nothing else, and the run says how many and where."""

import contextlib
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runcast import Channel, Reason, Run, Store
from runcast.errors import RuncastError
from runcast.run.base import files_of
from tests.helpers.children import Collected, Printer, collect, run_python
from tests.helpers.disk import small_disk
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS, wait_until

DEADLINE = 20000 * MS
DISK_BYTES = 4 * 1024 * 1024

pytestmark = pytest.mark.fault


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 4 MiB."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as place:
        yield place


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill the disk with one file but for so many bytes, and return it."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        file.write(bytes(max(free.f_bavail * free.f_frsize - leave, 0)))
    return ballast


def check_against(printer: Printer, run: Run, collected: Collected) -> None:
    """Whatever was kept stands at the offset at which the program wrote it, and the rest is a gap."""
    written = printer.copy("stdout")
    assert collected.faults == []
    log = run.log()
    offset = 0
    while offset < log.tail_offset:
        for chunk in log.read(offset).chunks:
            if chunk.channel is not Channel.GAP:
                assert chunk.data == written[chunk.offset : chunk.next]
        offset = log.read(offset).next
    outcome = run.wait(timeout=0)
    assert outcome.dropped == sum(end - start for start, end in collected.gaps)
    assert len(collected.data) + outcome.dropped == len(written) == log.tail_offset


@pytest.mark.root
def test_disk_full_and_room_again(disk: Path, tmp_path: Path):
    """R9: with a full disk the program runs on; when there is room, its output goes on behind a gap."""
    long = Printer(tmp_path / "copy", lines=40_000, channels=("stdout",), block=400, pause=0.005)
    short = replace(long, lines=10_000, block=100)
    again = f"{shlex.join(long.argv)}; read go; {shlex.join(short.argv)}; exit 3"
    with temporary_store(disk / "store") as store:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(2 * 1024 * 1024))
        run = store.start(["sh", "-c", again], stdin="pipe")
        wait_until(lambda: copied(long) >= 40_000 * 80 and not free_bytes(disk), DEADLINE)

        ballast.unlink()
        run.send("go\n", eof=True)
        outcome = run.wait(timeout=DEADLINE)
        collected = collect(run.follow())

        assert (outcome.reason, outcome.code) == (Reason.EXITED, 3)
        assert len(collected.gaps) == 1
        assert outcome.dropped > 500_000
        assert collected.next - collected.gaps[-1][1] > 200_000
        check_against(long, run, collected)


def free_bytes(disk: Path) -> int:
    free = os.statvfs(disk)
    return free.f_bavail * free.f_frsize


def copied(printer: Printer) -> int:
    path = printer.folder / "stdout.copy"
    return path.stat().st_size if path.exists() else 0


@pytest.mark.root
def test_disk_full_to_the_end(disk: Path, tmp_path: Path):
    """R9: a disk that stays full: the outcome is recorded all the same, with all that was dropped."""
    printer = Printer(tmp_path / "copy", lines=100_000, channels=("stdout",), block=1000, last="exit 3")
    with temporary_store(disk / "store") as store:
        run = store.start(printer.argv)
        outcome = run.wait(timeout=DEADLINE)
        collected = collect(run.follow())

        assert (outcome.reason, outcome.code) == (Reason.EXITED, 3)
        assert printer.copy("stdout").startswith(bytes(collected.data))
        assert outcome.dropped == len(printer.copy("stdout")) - len(collected.data) > 0
        assert len(collected.data) > DISK_BYTES // 2
        assert run.closed


@pytest.mark.root
def test_full_disk_is_not_littered(disk: Path):
    """R9: a program that writes on for long to a full disk leaves no heap of empty files."""
    with temporary_store(disk / "store") as store:
        run = store.start(["sh", "-c", "while :; do echo line; sleep 0.02; done"])
        wait_until(lambda: run.tail_offset)
        fill(disk)
        dropping = run.tail_offset + 5 * 100
        wait_until(lambda: run.tail_offset >= dropping or seconds_of(run) > 1.5, DEADLINE)
        files = os.listdir(files_of(run).log_path)
        run.kill()
        run.wait(timeout=DEADLINE)

        assert len(files) <= 8


def seconds_of(run: Run) -> float:
    """Return for how long a run has been running, by the clock of the system."""
    with open(f"/proc/{run.pid}/stat", "rb") as file:
        ticks = int(file.read().rpartition(b")")[2].split()[19])
    with open("/proc/uptime") as file:
        return float(file.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.root
def test_start_on_a_full_disk(disk: Path):
    """R9: a start that the disk has no room for says so, at once, and leaves nothing behind."""
    with temporary_store(disk / "store") as store:
        store.start(["true"]).wait(timeout=DEADLINE)
        fill(disk)

        with pytest.raises(RuncastError, match=r"no space left on device: remove old runs"):
            store.start(["true"])

        assert len(list(store.list())) == 1


@pytest.mark.root
def test_every_bit_of_room(disk: Path):
    """R9: with however little room, a start is refused, or its run ends and its outcome is told."""
    with temporary_store(disk / "store") as store:
        store.start(["true"]).wait(timeout=DEADLINE)
        for pages in (0, 1, 2, 4, 8, 12, 15, 16, 17, 18, 20, 24, 32):
            ballast = fill(disk, leave=pages * 4096)
            try:
                run = store.start(["sh", "-c", "echo some words; exit 3"])
                outcome = run.wait(timeout=DEADLINE)
            except RuncastError as error:
                refused = str(error)
                continue
            finally:
                ballast.unlink()
            assert (outcome.reason, outcome.code) == (Reason.EXITED, 3), f"with {pages} pages"
            assert outcome.dropped in (0, len("some words\n"))
            run.output()
            store.remove(run)
        assert "no space left on device" in refused
        assert outcome.dropped == 0


@pytest.mark.parametrize("limit", [4096, 100_000])
def test_file_size_limit(store: Store, limit: int):
    """R9: under RLIMIT_FSIZE the log goes on in further files: nothing is lost, the outcome recorded."""
    said = run_python(
        """
        import resource, sys
        from runcast import Store

        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
        code = (
            "import os\\nfor n in range(4000):\\n"
            "    os.write(1, b'out %06d\\\\n' % n * 10); os.write(2, b'err %06d\\\\n' % n)\\n"
            "os._exit(3)"
        )
        run = Store(sys.argv[1]).start([sys.executable, "-I", "-S", "-c", code])
        print(run.id)
        """,
        store.path,
        limit,
    )
    run = store.get(said.strip())
    outcome = run.wait(timeout=DEADLINE)
    collected = collect(run.follow())

    assert (outcome.reason, outcome.code, outcome.dropped) == (Reason.EXITED, 3, 0)
    assert collected.faults == []
    assert collected.gaps == []
    assert collected.of("unknown") == b""
    assert collected.of("stdout") == b"".join(b"out %06d\n" % n * 10 for n in range(4000))
    assert collected.of("stderr") == b"".join(b"err %06d\n" % n for n in range(4000))
    sizes = [path.stat().st_size for path in Path(files_of(run).log_path).iterdir()]
    assert max(sizes) <= limit
