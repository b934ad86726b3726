"""The index of runs that have a rule, while many processes change it."""

import contextlib
import os
import threading
from pathlib import Path

from runcast.ids import new_run_id
from runcast.keep import Keep
from runcast.store.kept import NAME, KeptFiles

NONE = Keep(0, 1)  # so that each run is one too many


def test_appended_while_swept(tmp_path: Path):
    """No line is lost, whoever takes lines and files away while others append."""
    index = KeptFiles(str(tmp_path))
    written: list[list[str]] = [[new_run_id() for _ in range(100)] for _ in range(4)]

    def note(ids: list[str]) -> None:
        for one in ids:
            index.note(NAME, "nightly", one, NONE)

    threads = [threading.Thread(target=note, args=(ids,)) for ids in written]
    left = {one for ids in written for one in ids}
    for thread in threads:
        thread.start()
    while left:
        with contextlib.suppress(FileNotFoundError):
            found = index.due(lambda _: 0)
            assert {one.run_id for one in found} <= left
            index.take_out(found)
            left -= {one.run_id for one in found}
    for thread in threads:
        thread.join()

    assert os.listdir(tmp_path / "kept") == []


def test_one_sweeps(tmp_path: Path):
    """Of several processes that want to sweep one may, and none so soon after the last sweep began."""
    one, other = KeptFiles(str(tmp_path)), KeptFiles(str(tmp_path))
    one.note(NAME, "nightly", new_run_id(), NONE)

    with one.sweeping(60.0) as ours, other.sweeping(0.0) as theirs:
        assert (ours, theirs) == (True, False)
    with other.sweeping(60.0) as theirs:
        assert not theirs
    with other.sweeping(0.0) as theirs:
        assert theirs
