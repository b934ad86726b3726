"""Who speaks in whose log, in processes of their own: log threads, pools and children that runs share."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import runcast
from runcast import Reason, Store
from tests.helpers.wait import MS, wait_until

DEADLINE = 20_000 * MS

# `both` has two runs call a function at once, and says what is in the log of each, and outside of both.
PROLOGUE = """
import json, os, queue, sys, threading, time
import runcast

def both(function):
    first_began, second_ended = threading.Event(), threading.Event()

    def first():
        function("first")
        first_began.set()
        second_ended.wait(60)

    one = runcast.start(first)
    first_began.wait(60)
    two = runcast.start(function, "second")
    two.wait(timeout=60)
    second_ended.set()
    one.wait(timeout=60)
    sys.stdout.write("\\n" + json.dumps([sorted(run.output().split()) for run in (one, two)]))
"""


def both(folder: Path, text: str) -> tuple[list[str], list[str], str]:
    """Run a script that calls `both`; return the words in each run's log, and what came outside of them."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(PROLOGUE) + textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=folder,
        env=os.environ | {"RUNCAST_STORE": str(folder / "store")},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed, _, said = done.stdout.rpartition("\n")
    first, second = json.loads(said)
    return first, second, printed + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "lazily"])
def test_log_listener(tmp_path: Path, when: str):
    """What goes through a `QueueListener` is in the log of the run that logged it, whoever started that."""
    first, second, outside = both(
        tmp_path,
        f"""
        import logging.handlers
        log, records = logging.getLogger("app"), queue.Queue()

        def listen():
            log.addHandler(logging.handlers.QueueHandler(records))
            logging.handlers.QueueListener(records, logging.StreamHandler()).start()

        def job(name):
            if not log.handlers:
                listen()
            for number in range(3):
                log.warning(f"{{name}}-{{number}}")
            while records.unfinished_tasks:
                time.sleep(0.001)

        if {when == "before"}:
            listen()
        both(job)
        """,
    )

    assert first == ["first-0", "first-1", "first-2"]
    assert second == ["second-0", "second-1", "second-2"]
    assert outside == ""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "lazily"])
def test_loguru(tmp_path: Path, when: str):
    """What loguru hands to its thread (`enqueue=True`) is in the log of the run that logged it."""
    first, second, outside = both(
        tmp_path,
        f"""
        from loguru import logger
        logger.remove()
        handlers = []

        def job(name):
            if not handlers:
                handlers.append(logger.add(sys.stderr, format="{{message}}", enqueue=True))
            for number in range(3):
                logger.info(f"{{name}}-{{number}}")
            logger.complete()

        if {when == "before"}:
            handlers.append(logger.add(sys.stderr, format="{{message}}", enqueue=True))
        both(job)
        """,
    )

    assert first == ["first-0", "first-1", "first-2"]
    assert second == ["second-0", "second-1", "second-2"]
    assert outside == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Pool", "ProcessPoolExecutor"])
def test_forked_pool(tmp_path: Path, kind: str):
    """A pool of forked processes that the first run made prints the second one's words to none, or to it."""
    first, second, outside = both(
        tmp_path,
        f"""
        import functools, multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        fork = multiprocessing.get_context("fork")

        @functools.cache
        def pool():
            return fork.Pool(1) if {kind == "Pool"} else ProcessPoolExecutor(1, mp_context=fork)

        def work(word):
            print(word + "-worked", flush=True)

        def job(name):
            list(pool().map(work, [name]))

        both(job)
        if {kind == "Pool"}:
            pool().terminate()
        """,
    )

    assert first == ["first-worked"]
    assert second in ([], ["second-worked"])
    assert ("second-worked" in outside) is (second == [])


@pytest.mark.slow
def test_awaits_the_run_that_it_started(tmp_path: Path):
    """A program that starts a run and takes what it hands out goes on printing where it printed."""
    path = tmp_path / "script.py"
    path.write_text(
        textwrap.dedent(
            """
            import asyncio
            import runcast.aio

            async def main():
                loop, results = asyncio.get_running_loop(), asyncio.Queue()

                async def task():
                    await results.put("from the task")
                    await asyncio.sleep(60)

                def job():
                    loop.call_soon_threadsafe(results.put_nowait, "from the thread")
                    while not runcast.should_stop():
                        runcast_waits.wait(0.01)

                import threading
                runcast_waits = threading.Event()
                for source in (task, job):
                    run = await runcast.aio.start(source)
                    print("got", await results.get())
                    await asyncio.create_task(later())
                    await run.stop()
                    print(repr(await run.output()))

            async def later():
                print("later")

            asyncio.run(main())
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(path)],
        env=os.environ | {"RUNCAST_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout.split("\n") == [
        *("got from the task", "later", "''"),
        *("got from the thread", "later", "''", ""),
    ]


def test_stop_spares_who_works_for_the_run(store: Store, capfd: pytest.CaptureFixture[str]):
    """A thread of the program's that works for a run is not ended when that run is stopped."""
    import queue

    source: queue.Queue[str] = queue.Queue()
    stopping, served = threading.Event(), []

    def serve() -> None:
        while word := source.get():
            if word == "wait":
                stopping.wait(DEADLINE)
            print(word)
            served.append(word)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def job() -> None:
        source.put("wait")
        while not runcast.should_stop():
            threading.Event().wait(0.001)
        stopping.set()
        wait_until(lambda: served)

    run = store.start(job)
    wait_until(lambda: source.qsize() == 0 and run.state is runcast.State.RUNNING)
    run.stop()
    outcome = run.wait(timeout=DEADLINE)
    source.put("next")
    source.put("")
    thread.join(DEADLINE)

    assert (outcome.reason, outcome.code) == (Reason.STOPPED, 0)
    assert run.output() == "wait\n"
    assert served == ["wait", "next"]
    assert capfd.readouterr().out == "next\n"
