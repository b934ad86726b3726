"""Hand-overs: what is printed while an item of a queue is worked on belongs to the run that put it there."""

import asyncio
import contextvars
import functools
import gc
import queue
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest

from runcast.sources import capture
from runcast.sources.capture import capturing
from runcast.sources.printer import Printer
from tests.helpers.wait import MS, wait_until
from tests.unit.sources.printed import printing

PATIENCE = 20_000 * MS


@pytest.fixture(autouse=True)
def released() -> Iterator[None]:
    """Leave nothing behind."""
    yield
    capture.uninstall()


@functools.total_ordering
class Item:
    """Work: a text to print, and whether that was done."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.done = threading.Event()

    def __lt__(self, other: "Item") -> bool:
        return self.text < other.text

    def work(self) -> None:
        """Print it."""
        print(self.text)
        self.done.set()


class Unique(queue.Queue[Any]):
    """A queue that keeps its items in its own way."""

    def _init(self, maxsize: int) -> None:
        self.mine: list[Any] = []

    def _qsize(self) -> int:
        return len(self.mine)

    def _put(self, item: Any) -> None:
        self.mine.append(item)

    def _get(self) -> Any:
        return self.mine.pop(0)


class Calling(queue.Queue[Any]):
    """A queue whose methods call those that they override."""

    def _put(self, item: Any) -> None:
        super()._put((item,))

    def _get(self) -> Any:
        return super()._get()[0]

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)


QUEUES: list[Callable[[], Any]] = [
    queue.Queue,
    queue.PriorityQueue,
    queue.SimpleQueue,
    Unique,
    Calling,
    lambda: queue.Queue(1),
]
NAMES = ["Queue", "PriorityQueue", "SimpleQueue", "Unique", "Calling", "bounded"]
every_queue = pytest.mark.parametrize("make", QUEUES, ids=NAMES)


def worker(source: Any) -> None:
    """Work on items until None comes, which needs no order in a queue that is empty by then."""
    while (item := source.get()) is not None:
        item.work()


def begin(target: Callable[..., None], *args: Any) -> threading.Thread:
    """Start a thread; one of nobody's, unless a run's code calls this."""
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread.start()
    return thread


def inside(printer: Printer, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function as a run's own code, in a thread that is the run."""
    results = []

    def run() -> None:
        with capturing(printer):
            results.append(function(*args))

    thread = threading.Thread(target=contextvars.Context().run, args=(run,))
    thread.start()
    thread.join(PATIENCE)
    return results[0]


def hand(target: Any, text: str) -> None:
    """Have a text printed by whoever takes it, and wait until it was."""
    item = Item(text)
    target.put(item)
    assert item.done.wait(PATIENCE)


@every_queue
def test_worker_of_nobody(make: Callable[[], Any], capsys: pytest.CaptureFixture[str]):
    """A thread from before all runs, waiting since, speaks for the run whose item it has, or for none."""
    source = make()
    thread = begin(worker, source)
    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):
        if make is queue.SimpleQueue:  # it waits in C, where the first one passes unseen
            contextvars.Context().run(hand, source, "")
        for number in range(3):
            inside(one, hand, source, f"one {number}")
            inside(two, hand, source, f"two {number}")
            contextvars.Context().run(hand, source, f"none {number}")
        source.put(None)
        thread.join(PATIENCE)

    assert of_one.text().split("\n") == ["one 0", "one 1", "one 2", ""]
    assert of_two.text().split("\n") == ["two 0", "two 1", "two 2", ""]
    assert capsys.readouterr().out.lstrip() == "none 0\nnone 1\nnone 2\n"


@every_queue
def test_worker_that_a_run_began(make: Callable[[], Any], capsys: pytest.CaptureFixture[str]):
    """A thread that the first run began lazily speaks for later ones while it works for them."""
    source = make()
    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):
        inside(one, begin, worker, source)
        inside(two, hand, source, "two")
        contextvars.Context().run(hand, source, "none")
        inside(one, hand, source, "one")
        inside(two, hand, source, "two again")
        source.put(None)

    assert of_one.text() == "one\n"
    assert of_two.text() == "two\ntwo again\n"
    assert capsys.readouterr().out == "none\n"


@every_queue
def test_run_that_is_over(make: Callable[[], Any], capsys: pytest.CaptureFixture[str]):
    """What a run put before its end, and is taken after it, is nobody's."""
    source = make()
    with printing() as (other, of_other), capturing(other):
        with printing() as (one, of_one):
            item = Item("late")
            inside(one, source.put, item)
            inside(one, begin, lambda: None)
        thread = begin(worker, source)
        assert item.done.wait(PATIENCE)
        source.put(None)
        thread.join(PATIENCE)

    assert of_one.text() + of_other.text() == ""
    assert capsys.readouterr().out == "late\n"


def test_last_in_first_out(capsys: pytest.CaptureFixture[str]):
    """From a `LifoQueue` nobody takes work of other runs: what is printed then is nobody's."""
    source: queue.LifoQueue[Any] = queue.LifoQueue()
    with printing() as (one, of_one), printing() as (two, of_two), capturing(two):
        inside(one, begin, worker, source)
        inside(one, hand, source, "one")
        inside(two, hand, source, "two")
        source.put(None)

    assert (of_one.text(), of_two.text()) == ("one\n", "")
    assert capsys.readouterr().out == "two\n"


def test_pool_of_connections(capsys: pytest.CaptureFixture[str]):
    """A helper thread that has a connection from a pool, and gives it back, goes on speaking for its run."""
    pool: queue.LifoQueue[Any] = queue.LifoQueue()
    pool.put(None)  # as urllib3 does: a connection is made when one is first taken

    def request(name: str) -> None:
        connection = pool.get() or Item("a connection")
        pool.put(connection)
        print(name, "done")

    def helped(name: str) -> None:
        begin(request, name).join(PATIENCE)
        print(name, "ends")

    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):
        for _ in range(2):
            inside(one, helped, "one")
            inside(two, helped, "two")
            begin(contextvars.Context().run, request, "none").join(PATIENCE)

    assert of_one.text() == "one done\none ends\n" * 2
    assert of_two.text() == "two done\ntwo ends\n" * 2
    assert capsys.readouterr().out == "none done\n" * 2


def test_connection_held_from_a_known_pool():
    """Once something was given back to a `LifoQueue`, it is a pool, and nothing changes while it is held."""
    pool: queue.LifoQueue[Any] = queue.LifoQueue()
    connection = Item("a connection")
    pool.put(connection)

    def request() -> None:
        taken = pool.get()
        print("held")
        pool.put(taken)

    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):
        inside(one, request)
        inside(two, lambda: begin(request).join(PATIENCE))
        inside(one, lambda: begin(request).join(PATIENCE))

    assert (of_one.text(), of_two.text()) == ("held\nheld\n", "held\n")


@every_queue
def test_given_back(make: Callable[[], Any], capsys: pytest.CaptureFixture[str]):
    """From a queue that things are given back to, another run's item is nobody's: it may be a connection."""
    source = make()

    def take_and_give_back(name: str) -> None:
        item = source.get()
        print(name)
        source.put(item)

    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):
        inside(one, source.put, Item("it"))
        inside(two, lambda: begin(take_and_give_back, "first").join(PATIENCE))
        inside(two, lambda: begin(take_and_give_back, "second").join(PATIENCE))

    assert "second" not in of_one.text() + of_two.text()
    assert "second\n" in capsys.readouterr().out


@every_queue
def test_own_code_takes_what_others_put(make: Callable[[], Any]):
    """A run's own function speaks for its run, whatever it takes, from whomever."""
    source = make()

    def take() -> None:
        print("got", source.get())

    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):
        inside(two, source.put, "of two")
        inside(one, take)
        contextvars.Context().run(source.put, "of none")
        inside(one, take)

    assert (of_one.text(), of_two.text()) == ("got of two\ngot of none\n", "")


@every_queue
def test_job_takes_what_others_put(make: Callable[[], Any]):
    """An executor's job speaks for whoever submitted it, whatever it takes."""
    source = make()
    with ThreadPoolExecutor(1) as pool, printing() as (one, of_one), printing() as (two, of_two):
        with capturing(one):
            inside(two, source.put, "of two")
            pool.submit(lambda: print("got", source.get())).result()

    assert (of_one.text(), of_two.text()) == ("got of two\n", "")


def test_main_thread_takes_what_a_run_put(capsys: pytest.CaptureFixture[str]):
    """The program's main thread speaks for nobody, also when it waits for what a run hands out."""
    source: queue.Queue[str] = queue.Queue()
    with printing() as (one, of_one):
        capture.begin(one)
        inside(one, source.put, "result")
        print("got", source.get())
        capture.end(one)

    assert of_one.text() == ""
    assert capsys.readouterr().out == "got result\n"


def test_taken_deep_in_calls(capsys: pytest.CaptureFixture[str]):
    """A request that waits for what a run hands out, deep in its server's calls, does not work for it."""
    source: queue.Queue[str] = queue.Queue()

    def view(depth: int) -> None:
        if depth:
            view(depth - 1)
        else:
            print("got", source.get())

    with printing() as (one, of_one):
        capture.begin(one)
        inside(one, source.put, "result")
        begin(view, 12).join(PATIENCE)
        capture.end(one)

    assert of_one.text() == ""
    assert capsys.readouterr().out == "got result\n"


def test_same_object_of_several(capsys: pytest.CaptureFixture[str]):
    """Where two runs put one and the same object, nobody knows whose it is when it comes out."""
    source: queue.Queue[Any] = queue.Queue()
    item = Item("whose")
    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):
        inside(one, source.put, item)
        inside(two, source.put, item)
        thread = begin(contextvars.Context().run, worker, source)
        assert item.done.wait(PATIENCE)
        source.put(None)
        thread.join(PATIENCE)
    assert "whose" not in of_one.text()
    assert of_two.text() in ("", "whose\n")  # what remains is certainly of the second
    assert "whose\n" in capsys.readouterr().out


ASYNC_QUEUES = [asyncio.Queue, asyncio.PriorityQueue]


@pytest.mark.parametrize("make", ASYNC_QUEUES)
@pytest.mark.parametrize("began", ["before", "in a run"])
def test_task_that_works_for_runs(
    make: Callable[[], asyncio.Queue[Any]], began: str, capsys: pytest.CaptureFixture[str]
):
    """A task that works on a queue's items speaks for the runs that put them, whoever began it."""

    async def work(source: asyncio.Queue[Any]) -> None:
        while True:
            item = await source.get()
            item.work()
            source.task_done()

    async def hand_in(source: asyncio.Queue[Any], text: str) -> None:
        await source.put(Item(text))
        await source.join()

    async def as_run(printer: Printer, source: asyncio.Queue[Any], text: str) -> None:
        with capturing(printer):
            await hand_in(source, text)

    async def main() -> None:
        source = make()
        tasks = []

        async def first() -> None:
            with capturing(one):
                tasks.append(asyncio.create_task(work(source)))

        if began == "before":
            tasks.append(asyncio.create_task(work(source)))
        else:
            await asyncio.create_task(first())
        for number in range(2):
            await asyncio.create_task(as_run(one, source, f"one {number}"))
            await asyncio.create_task(as_run(two, source, f"two {number}"))
            await hand_in(source, f"none {number}")
        tasks[0].cancel()

    with printing() as (one, of_one), printing() as (two, of_two):
        capture.begin(one)
        asyncio.run(main())
        capture.end(one)

    assert of_one.text() == "one 0\none 1\n"
    assert of_two.text() == "two 0\ntwo 1\n"
    assert capsys.readouterr().out == "none 0\nnone 1\n"


def test_pool_that_a_run_made(capsys: pytest.CaptureFixture[str]):
    """Jobs, callbacks and iterables given to a pool that another run made are not that run's."""

    def numbers(name: str) -> Iterator[int]:
        print(f"{name} iterates")
        yield 1

    def use(pool: ThreadPool, name: str) -> None:
        pool.apply_async(print, (f"{name} job",), callback=lambda _: print(f"{name} callback")).get(PATIENCE)
        list(pool.imap(abs, numbers(name)))
        pool.apply(print, (f"{name} applied",))

    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):
        pool = inside(one, ThreadPool, 1)
        inside(one, use, pool, "one")
        inside(two, use, pool, "two")
        contextvars.Context().run(use, pool, "none")
        pool.close()
        pool.join()

    outside = capsys.readouterr().out
    assert "one job\none applied\n" in of_one.text()
    assert "two job\ntwo applied\n" in of_two.text()
    assert {line.split()[0] for line in of_one.text().splitlines()} == {"one"}
    assert {line.split()[0] for line in of_two.text().splitlines()} == {"two"}
    assert "none job\n" in outside


# -- as in plain Python


@pytest.mark.parametrize("make", [*QUEUES, queue.LifoQueue], ids=[*NAMES, "LifoQueue"])
def test_items_are_the_very_objects(make: Callable[[], Any]):
    """What comes out of a queue is what was put in, inside runs as outside, before or meanwhile."""
    source, before, meanwhile = make(), Item("a"), Item("b")
    with printing() as (one, _):
        source.put(before)
        with capturing(one):
            assert source.get() is before
            source.put(meanwhile)
            assert source.qsize() == 1
            assert not source.empty()
            weak = weakref.ref(meanwhile)
        assert source.get() is meanwhile
    del meanwhile
    gc.collect()

    assert weak() is None
    with pytest.raises(queue.Empty):
        source.get_nowait()
    with pytest.raises(queue.Empty):
        source.get(timeout=0.001)


def test_limits_and_order():
    """A bounded queue is full when it was, a priority queue has its order, a stack its own."""
    bounded: queue.Queue[int] = queue.Queue(1)
    first: queue.PriorityQueue[int] = queue.PriorityQueue()
    last: queue.LifoQueue[int] = queue.LifoQueue()
    with printing() as (one, _), capturing(one):
        bounded.put(1)
        assert bounded.full()
        with pytest.raises(queue.Full):
            bounded.put_nowait(2)
        for number in (2, 1, 3):
            first.put(number)
            last.put(number)
        assert list(bounded.queue) == [1]  # who looks inside finds the items
        assert [first.get() for _ in range(3)] == [1, 2, 3]
        assert [last.get() for _ in range(3)] == [3, 1, 2]
        bounded.get()
        bounded.task_done()
        bounded.join()


def methods() -> list[object]:
    """Return what may be replaced."""
    classes: list[type] = [queue.Queue, queue.PriorityQueue, queue.LifoQueue, Unique, Calling]
    classes += [asyncio.Queue, asyncio.PriorityQueue, asyncio.LifoQueue]
    names = ("_put", "_get")
    simple = [vars(queue.SimpleQueue)[name] for name in ("put", "get", "put_nowait", "get_nowait")]
    return [vars(cls).get(name) for cls in classes for name in names] + simple


def test_nothing_is_replaced_while_nothing_runs():
    """Queues have their own methods while no run is active, and after a release in the midst of one."""
    own = methods()
    with printing() as (one, _):
        with capturing(one):
            assert all(now is not before for now, before in zip(methods(), own, strict=True) if before)
            assert queue.SimpleQueue.get.__qualname__ == "SimpleQueue.get"
        assert methods() == own
        with capturing(one):
            capture.uninstall()
            assert methods() == own
            assert "__init_subclass__" not in vars(queue.Queue) | vars(asyncio.Queue)


def test_class_made_while_a_run_is_active(capsys: pytest.CaptureFixture[str]):
    """A class that is derived from a queue in the midst of a run is none the worse."""
    with printing() as (one, of_one), printing() as (two, of_two), capturing(one):

        class Late(queue.Queue[Any]):
            def _put(self, item: Any) -> None:
                self.queue.appendleft(item)

        source = Late()
        inside(one, begin, worker, source)
        inside(two, hand, source, "two")
        source.put(None)

    assert (of_one.text(), of_two.text()) == ("", "two\n")
    assert set(vars(Late)) >= {"_put"}
    assert Late._put.__qualname__.endswith("Late._put")


def test_finalizer_that_puts(capsys: pytest.CaptureFixture[str]):
    """A `SimpleQueue` may be put to by a finalizer in the midst of a put, as ever."""
    source: queue.SimpleQueue[Any] = queue.SimpleQueue()

    class Final:
        def __del__(self) -> None:
            source.put("final")

    class Putting:
        def __hash__(self) -> int:
            return 1

    with printing() as (one, _), capturing(one):
        for _ in range(100):
            final: list[Any] = [Final()]
            final.append(final)
            source.put(Putting())
            del final
        gc.collect()

    items = [source.get() for _ in range(200)]
    assert items.count("final") == 100


def test_queues_that_are_gone_leave_nothing():
    """What is noted of a queue goes with it, also where its items were never taken."""
    from runcast.sources import owners

    with printing() as (one, _), capturing(one):
        for _ in range(100):
            source: queue.Queue[int] = queue.Queue()
            source.put(1)
        del source
        gc.collect()
        assert len(owners._owners) == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_no_line_in_a_wrong_run(seed: int):
    """Items that are handed on at random, by queues, pools and tasks, are printed in their run or in none."""
    chance = random.Random(seed)
    shared = [chance.choice([*QUEUES, queue.LifoQueue])() for _ in range(6)]
    executor, pools, pools_lock = ThreadPoolExecutor(2), [ThreadPool(1)], threading.Lock()
    begun: list[threading.Thread] = []
    handed: list[Item] = []

    def hand_on(target: Any, text: str) -> None:
        handed.append(Item(text))
        target.put(handed[-1])

    def relay(source: Any, target: Any) -> None:
        """Print what comes and hand it on, once; end with what has no text, which the next one is to see."""
        while (item := source.get()).text:
            print(item.text)
            if target is not None and not item.text.endswith("on"):
                hand_on(target, f"{item.text} on")
            item.done.set()
        source.put(item)

    def own_code(run: int) -> None:
        chance = random.Random(seed * 100 + run)
        for number in range(150):
            text = f"<{run} {number}>"
            kind = chance.randrange(8)
            if kind == 0:
                begun.append(begin(relay, chance.choice(shared), chance.choice([None, *shared])))
            elif kind == 1:
                executor.submit(print, text).result(PATIENCE)
            elif kind == 2:
                chance.choice(pools).apply(print, (text,))
            elif kind == 3:
                with pools_lock:
                    if len(pools) < 4:
                        pools.append(ThreadPool(1))
            elif kind == 4:
                print(text)
            else:
                hand_on(chance.choice(shared), text)

    with ExitStack() as stack:
        runs = [stack.enter_context(printing()) for _ in range(5)]
        for printer, _ in runs:
            capture.begin(printer)
        begun += [begin(relay, source, None) for source in shared]
        threads = [begin(inside, printer, own_code, number) for number, (printer, _) in enumerate(runs)]
        for thread in threads:
            thread.join(PATIENCE)
        wait_until(lambda: all(item.done.is_set() for item in list(handed)), what="all to be printed")
        for source in shared:
            source.put(Item(""))
        for thread in begun:
            thread.join(PATIENCE)
        executor.shutdown()
        for pool in pools:
            pool.close()
            pool.join()
        for printer, _ in runs:
            capture.end(printer)
    for number, (_, printed) in enumerate(runs):
        lines = printed.text().splitlines()
        assert [line for line in lines if not line.startswith(f"<{number} ")] == []
        assert len(lines) > 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_no_line_of_tasks_in_a_wrong_run(seed: int):
    """The same for tasks of one loop, that share queues of asyncio and begin workers at random."""
    chance = random.Random(seed)

    async def relay(source: asyncio.Queue[Any], target: asyncio.Queue[Any] | None) -> None:
        while True:
            item = await source.get()
            print(item.text)
            if target is not None and not item.text.endswith("on"):
                hand_on(target, f"{item.text} on")
            await asyncio.sleep(0)
            print(item.text)
            item.done.set()

    def hand_on(target: asyncio.Queue[Any], text: str) -> None:
        handed.append(Item(text))
        target.put_nowait(handed[-1])

    async def own_code(run: int, printer: Printer) -> None:
        with capturing(printer):
            for number in range(100):
                text = f"<{run} {number}>"
                kind = chance.randrange(5)
                if kind == 0:
                    targets = chance.choice([None, *shared])
                    begun.append(asyncio.create_task(relay(chance.choice(shared), targets)))
                elif kind == 1:
                    await asyncio.to_thread(print, text)
                elif kind == 2:
                    print(text)
                else:
                    hand_on(chance.choice(shared), text)
                await asyncio.sleep(0)

    async def main() -> None:
        kinds = [asyncio.Queue, asyncio.PriorityQueue, asyncio.LifoQueue]
        shared.extend(chance.choice(kinds)() for _ in range(5))
        begun.extend(asyncio.create_task(relay(source, None)) for source in shared)
        runs = [asyncio.create_task(own_code(number, printer)) for number, (printer, _) in enumerate(pairs)]
        await asyncio.wait_for(asyncio.gather(*runs), PATIENCE)
        await asyncio.to_thread(wait_until, lambda: all(item.done.is_set() for item in list(handed)))
        for task in begun:
            task.cancel()

    shared: list[asyncio.Queue[Any]] = []
    begun: list[asyncio.Task[None]] = []
    handed: list[Item] = []
    with ExitStack() as stack:
        pairs = [stack.enter_context(printing()) for _ in range(5)]
        for printer, _ in pairs:
            capture.begin(printer)
        asyncio.run(main())
        for printer, _ in pairs:
            capture.end(printer)
    for number, (_, printed) in enumerate(pairs):
        lines = printed.text().splitlines()
        assert [line for line in lines if not line.startswith(f"<{number} ")] == []
        assert len(lines) > 20
