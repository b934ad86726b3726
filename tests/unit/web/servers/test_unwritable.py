"""The warning at an application's start of a store that cannot be made."""

import logging
import os
from pathlib import Path

import pytest

from runcast.web.wsgi import RunsWSGI


def test_place_that_cannot_be(caplog: pytest.LogCaptureFixture):
    """An application says at its start, once, that no run can be started in its store, and what to do."""
    for _ in range(2):
        RunsWSGI(store="/proc/no/such")

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("runcast.web", logging.WARNING)
    assert "cannot write to the store /proc/no/such: no such file or directory" in record.message
    assert "use another" in record.message


def test_place_that_can_be(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """A store that is yet to be made has no warning, and is not made before its first run."""
    RunsWSGI(store=str(tmp_path / "site" / "runs"))

    assert not caplog.records
    assert os.listdir(tmp_path) == []
