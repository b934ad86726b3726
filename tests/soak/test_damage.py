"""A thousand damages by seed (promise R25); 64 of them are among the fault tests."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from runcast.wire.forms import FORMS
from tests.helpers.cli import cli, cli_begun
from tests.helpers.damage import BAD, GOOD, SECRET, damaged_store, faults
from tests.helpers.soak import share
from tests.helpers.stores import end_store
from tests.helpers.wait import MS

DAMAGES, AT_ONCE = share(1000), 50
SERVED, STEP = share(120), 7  # damages that a server and its commands meet, as processes: a second each
FORM_NAMES = [form.name for form in FORMS.values() if form.media_type]


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, DAMAGES, AT_ONCE))
def test_damages(first: int, tmp_path: Path) -> None:
    """No damage of one file is answered with a traceback, a 500 or a hang, or hides another run."""
    found = []
    for seed in range(first, min(first + AT_ONCE, DAMAGES)):
        damage, wrong = faults(tmp_path / str(seed), seed)
        found += [f"{damage}: {fault}" for fault in wrong]

    assert found == []


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(0, SERVED * STEP, STEP))
def test_served(seed: int, tmp_path: Path) -> None:
    """A server on a damaged store answers, and a command can be started there, or is refused in a line."""
    trial = damaged_store(tmp_path / "one", seed)
    store = trial.path
    try:
        done = cli("--store", store, "run", "--", "echo", "said")
        assert done.out == b"said\n" or (done.code == 2 and done.err.startswith("runcast: ")), done
        assert "Traceback" not in done.err
        errors = tmp_path / "errors"
        with (
            errors.open("wb") as stderr,
            cli_begun(*("--store", store, "serve", "--port", 0, "--no-auth"), stderr=stderr) as server,
        ):
            assert server.stdout is not None
            line = server.stdout.readline().decode().split()
            if line:
                _ask(line[-1].rstrip("/"), trial.is_run)
            elif trial.whole:
                assert errors.read_text().startswith("runcast: ")
        assert "Traceback" not in errors.read_text()
        assert not trial.outside_is_untouched()
        assert trial.faults == []
    finally:
        end_store(store)


def _ask(url: str, listed: bool) -> None:
    body = _get(f"{url}/runs")[1]
    ids = [run["id"] for run in json.loads(body)["runs"]]
    assert GOOD in ids
    assert BAD in ids or not listed
    for run_id in (GOOD, BAD):
        for path in ("", "/log?follow=0", *(f"/log?follow=0&format={name}" for name in FORM_NAMES)):
            status, body = _get(f"{url}/runs/{run_id}{path}")
            assert status != 500, body
            assert SECRET.encode() not in body
            assert status == 200 or run_id == BAD


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=20000 * MS) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
