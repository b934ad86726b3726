"""A run that is recorded here: its state, its stop, its end, all told once."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runcast.errors import RunStopped
from runcast.ids import new_run_id
from runcast.log import FileLog
from runcast.model import Channel, Outcome, Reason
from runcast.sources.recording import Recording, current_recording
from runcast.store.run_files import RunFiles
from tests.helpers.wait import MS, wait_until

ASKED = {"cap": None, "timeout": None, "idle_timeout": None, "stop_unwatched": None}
ASKED |= {"name": "recorded", "traceback": True, "tee": False}


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Recording]]:
    begun = []

    def begin(**asked: Any) -> Recording:
        run_id = new_run_id()
        new = f"{tmp_path}/.new-{run_id}"
        RunFiles.create(new, {})
        begun.append(Recording(new, f"{tmp_path}/{run_id}", ASKED | asked))
        return begun[-1]

    yield begin
    for recording in begun:
        recording.finish(Outcome(Reason.EXITED, 0))


def test_life(begin: Callable[..., Recording]):
    """It is held and running from the first moment, and closed with its outcome at the end."""
    recording = begin()
    directory = RunFiles(recording.path)
    assert directory.held
    assert directory.state()["state"] == "running"

    with recording.recording():
        assert current_recording() is recording
        print("words", end="")
    assert current_recording() is None
    recording.finish(recording.outcome(0, value=7))

    log = FileLog(recording.path)
    assert log.closed
    assert not directory.held
    outcome = directory.outcome()
    assert outcome is not None
    assert (outcome.ok, outcome.value, log.tail_offset) == (True, 7, 5)


def test_ends_once(begin: Callable[..., Recording]):
    """The first end counts, of many at once as well."""
    recording = begin()
    threads = [
        threading.Thread(target=recording.finish, args=(Outcome(Reason.EXITED, code),)) for code in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    first = RunFiles(recording.path).outcome()
    recording.finish(Outcome(Reason.EXITED, 99))
    assert RunFiles(recording.path).outcome() == first


def test_behind_the_end(begin: Callable[..., Recording]):
    """Nothing that comes later changes it: no output, no progress, no stop."""
    recording = begin()
    recording.finish(Outcome(Reason.EXITED, 0))
    recording.append(Channel.STDOUT, b"late")
    recording.progress({"done": 1})
    recording.stop(Reason.STOPPED, 0)
    recording.shutdown()
    recording.mark_lost()
    recording.sync()
    recording.park()

    directory = RunFiles(recording.path)
    outcome = directory.outcome()
    assert outcome is not None
    assert outcome.ok
    assert FileLog(recording.path).tail_offset == 0
    assert directory.progress() is None
    assert directory.state()["state"] == "running"  # what was told last before the end


def test_stop_is_raised_once_a_thread(begin: Callable[..., Recording]):
    """Each thread hears of a stop once, until it is insisted upon."""
    recording = begin()
    recording.stop(Reason.STOPPED, 1000)
    heard = []

    def work():
        for _ in range(3):
            try:
                recording.check()
            except RunStopped:
                heard.append(threading.get_ident())

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        work()
        thread.join()
        recording._notified.clear()  # as when it is insisted

    assert len(heard) == 4


def test_who_knows_is_not_told(begin: Callable[..., Recording]):
    """Code that has heard of the stop, and what we append for it, is not interrupted."""
    recording = begin()
    recording.stop(Reason.STOPPED, 1000)
    recording.append(Channel.STDOUT, b"ours")
    with pytest.raises(RunStopped):
        recording.printer.write(Channel.STDOUT, "its")
    recording._notified.clear()
    recording.acknowledge_stop()
    recording.printer.write(Channel.STDOUT, "last")
    recording.finish(recording.outcome(None))

    log = FileLog(recording.path)
    assert b"".join(chunk.data for chunk in log.read(0).chunks) == b"ourslast"
    log.close()


def test_interrupt_then_insist_then_give_up(begin: Callable[..., Recording], monkeypatch: pytest.MonkeyPatch):
    """It is asked once, then made to, then said to be over."""
    monkeypatch.setattr("runcast.sources.recording._FORCE_SECONDS", 0.01)
    recording, steps = begin(), []
    recording.interrupt = lambda: steps.append("asked")
    recording.force_stop = lambda: steps.append("insisted")
    recording.stop(Reason.TIMED_OUT, 0.01)

    outcome = wait_until(lambda: RunFiles(recording.path).outcome(), 5000 * MS)
    assert steps == ["asked", "insisted"]
    assert outcome.reason is Reason.TIMED_OUT
    assert outcome.message == "its code does not end; a thread cannot be killed"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"op": "stdin"}, "it reads no stdin: only commands do"),
        ({"op": "signal", "signal": 10}, "it runs in a thread, which takes no signals"),
        ({"op": "dance"}, "expected op stop, signal, progress, note or want, got 'dance'"),
    ],
)
def test_what_cannot_be_asked(begin: Callable[..., Recording], request_: dict[str, Any], answer: str):
    """What a run in a thread cannot do is answered with the reason."""
    assert (begin().handle(request_) or "").startswith(answer)
