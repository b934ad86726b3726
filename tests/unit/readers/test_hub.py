"""The hub: versions, news, and waits of threads and tasks."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runcast.log import Log, MemoryLog
from runcast.model import Channel, Outcome, Reason
from runcast.readers import Cursor, Followed, drive, drive_async, follow, hub
from runcast.testing import FilePlace
from tests.helpers.wait import MS, wait_until
from tests.unit.log.disks import ClockedMemory

OUT = Channel.STDOUT
ENDED = Outcome(Reason.EXITED, 0)


def test_news_makes_the_version_grow():
    """Each append and the close are news for a watch of this log, and for no other."""
    log, other = MemoryLog(), MemoryLog()
    writer = ClockedMemory(log)
    watch, quiet = hub().watch(log), hub().watch(other)
    before = watch.version
    writer.append(OUT, b"a")
    once = watch.version
    writer.close(ENDED)

    assert before < once < watch.version
    assert quiet.version == 0
    watch.close()
    quiet.close()


def test_wait_for_old_news():
    """A wait for what has come already returns at once, without a deadline."""
    log = MemoryLog()
    watch = hub().watch(log)
    seen = [(watch, watch.version)]
    ClockedMemory(log).append(OUT, b"a")

    assert hub().wait(seen, None) is True
    watch.close()


def test_wait_that_times_out():
    """A wait without news ends with its deadline."""
    watch = hub().watch(MemoryLog())

    assert hub().wait([(watch, watch.version)], 0) is False
    watch.close()


def test_wake_all():
    """Whoever waits looks again when all are woken, for whatever reason."""
    first, second = hub().watch(MemoryLog()), hub().watch(MemoryLog())
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(hub().wait, [(watch, watch.version)], None) for watch in (first, second)]
        wait_until(lambda: hub().wake_all() or all(one.done() for one in waiting))

    assert [one.result() for one in waiting] == [True, True]
    first.close()
    second.close()


def test_closed_watch():
    """A watch that was closed hears nothing, and may be closed again."""
    log = MemoryLog()
    watch = hub().watch(log)
    watch.close()
    watch.close()
    ClockedMemory(log).append(OUT, b"a")

    assert watch.version == 0
    assert not log._listeners


def test_one_hub_for_all():
    """A process has one hub."""
    assert hub() is hub()


def gather(log: Log) -> bytes:
    """Follow a log to its end, blocking this thread."""
    return b"".join(chunk.data for _, chunk in drive(follow([Followed("", Cursor(log))])))


def start(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()


def finish(threads: list[threading.Thread]) -> None:
    """Wait for threads that should end by themselves."""
    for thread in threads:
        thread.join(20_000 * MS)
        assert not thread.is_alive()


def test_threads_wake_each_other():
    """Two threads that answer each other by turns lose no wake-up, whoever of them polls."""
    logs = [MemoryLog(), MemoryLog()]
    writers = [ClockedMemory(log) for log in logs]

    def play(me: int) -> None:
        watch = hub().watch(logs[1 - me])
        for turn in range(1, 301):
            if me == 0:
                writers[0].append(OUT, b"ping")
            seen = [(watch, watch.version)]
            while logs[1 - me].tail_offset < 4 * turn:
                hub().wait(seen, None)
                seen = [(watch, watch.version)]
            if me == 1:
                writers[1].append(OUT, b"pong")
        watch.close()

    threads = [threading.Thread(target=play, args=[me]) for me in (0, 1)]
    start(threads)
    finish(threads)

    assert [log.tail_offset for log in logs] == [1200, 1200]


def test_many_threads_follow_one_log():
    """Each of many threads gets every byte, and the end, whichever of them leaves first."""
    log, got = MemoryLog(), []
    writer = ClockedMemory(log)
    threads = [threading.Thread(target=lambda: got.append(gather(log))) for _ in range(8)]
    start(threads)
    for n in range(200):
        writer.append(OUT, b"%d\n" % n)
    writer.close(ENDED)
    finish(threads)

    assert got == [b"".join(b"%d\n" % n for n in range(200))] * 8
    assert not log._listeners


def test_waiter_is_called_though_the_leader_has_no_news():
    """A thread that waits for one log is woken while another thread, which polls, waits for another."""
    quiet, busy = MemoryLog(), MemoryLog()
    writers = {log: ClockedMemory(log) for log in (quiet, busy)}
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda log=log: got.append(gather(log))) for log in (quiet, busy)]
    start(threads)
    writers[busy].append(OUT, b"busy")
    writers[busy].close(ENDED)
    finish(threads[1:])
    assert got == [b"busy"]

    writers[quiet].close(ENDED)
    finish(threads[:1])
    assert got == [b"busy", b""]


def test_tasks():
    """Tasks are suspended while they wait; a thread and a task of the same loop may write."""
    logs = [MemoryLog(), MemoryLog()]
    writers = [ClockedMemory(log) for log in logs]

    async def gather_async(log: Log) -> bytes:
        steps = drive_async(follow([Followed("", Cursor(log))]))
        return b"".join([chunk.data async for _, chunk in steps])

    async def write() -> None:
        for n in range(100):
            writers[0].append(OUT, b"%d\n" % n)
            await asyncio.sleep(0)
        writers[0].close(ENDED)

    def write_in_a_thread() -> None:
        for n in range(100):
            writers[1].append(OUT, b"%d\n" % n)
        writers[1].close(ENDED)

    async def main() -> list[bytes]:
        thread = threading.Thread(target=write_in_a_thread)
        thread.start()
        async with asyncio.timeout(20_000 * MS):
            *got, _ = await asyncio.gather(*(gather_async(log) for log in [*logs, *logs]), write())
        thread.join()
        return got

    assert asyncio.run(main()) == [b"".join(b"%d\n" % n for n in range(100))] * 4


def test_task_that_times_out():
    """A task's wait without news ends with its deadline; a cancelled one leaves nothing behind."""
    log = MemoryLog()

    async def main() -> bool:
        watch = hub().watch(log)
        seen = [(watch, watch.version)]
        task = asyncio.ensure_future(hub().wait_async(seen, None))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        news = await hub().wait_async(seen, 0)
        watch.close()
        return news

    assert asyncio.run(main()) is False
    assert not log._listeners


def test_log_in_files(tmp_path: Path):
    """Who follows a log in files is woken by what is written there, and by its close."""
    place = FilePlace(str(tmp_path / "run"))
    writer = place.writer(segment_bytes=1000)
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(gather(place.log()))) for _ in range(3)]
    start(threads)
    for n in range(300):
        writer.append(OUT, b"%03d\n" % n)
    writer.close(ENDED)
    finish(threads)

    assert got == [b"".join(b"%03d\n" % n for n in range(300))] * 3
