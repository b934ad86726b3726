"""Filters of the list: what is remembered of runs changes no answer, and saves reading them anew."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcast import Store
from runcast.model import Outcome, Reason
from runcast.web.api import filters
from runcast.web.http.messages import Request
from runcast.web.responder import Responder
from tests.unit.runs import EXITED, make_run

LOST = Outcome(Reason.LOST, message="gone", ended_at=1_700_000_010.0)
NAMES = ["build", "test", "n" * 300]
STATES = ["exited", "lost", "starting", "running"]


def listed(responder: Responder, query: str) -> list[dict[str, Any]]:
    """Return what the list has."""
    reply = responder.respond(Request("GET", "/runs", "", query, {"accept": "application/json"}))
    assert reply.status == 200
    rows: list[dict[str, Any]] = json.loads(reply.body)["runs"]
    return rows


def live_run(store: Path, name: str) -> str:
    """Make a run that has not ended, and whose supervisor is another host's."""
    run_id = make_run(store, name=name)
    os.unlink(store / run_id / "outcome.json")
    fields = json.loads((store / run_id / "run.json").read_text())
    elsewhere = {"host": "other", "machine": "0" * 32, "boot": "0" * 32}
    (store / run_id / "run.json").write_text(json.dumps(fields | {"origin": elsewhere}))
    return run_id


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["exited", "lost", "live", "damaged", "no outcome", "end", "remove"]),
        st.sampled_from(NAMES),
        st.integers(0, 10),
    ),
    min_size=1,
    max_size=12,
)


@given(steps=STEPS, most=st.sampled_from([0, 2, 1000]), limit=st.sampled_from([1, 3, 1000]))
def test_same_as_without(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]], most: int, limit: int
) -> None:
    """After whatever came, ended or went, a filtered list has those rows of the whole list that are so."""
    folder = tmp_path_factory.mktemp("store")
    responder = Responder(Store(str(folder)))
    made: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "_MOST", most)
        for what, name, number in steps:
            chosen = folder / made[number % len(made)] if made else None
            if what in ("exited", "lost"):
                made.append(make_run(folder, name=name, outcome=EXITED if what == "exited" else LOST))
            elif what == "live":
                made.append(live_run(folder, name))
            elif what == "damaged":
                made.append(make_run(folder, name=name))
                (folder / made[-1] / "run.json").write_bytes(b'{"name": 3')
            elif what == "no outcome":
                made.append(make_run(folder, name=name))
                (folder / made[-1] / "outcome.json").write_bytes(b"{")
            elif chosen is not None and what == "end" and not (chosen / "outcome.json").exists():
                (chosen / "outcome.json").write_text(json.dumps(EXITED.to_json()))
            elif chosen is not None and what == "remove":
                made.remove(chosen.name)
                shutil.rmtree(chosen)
            rows = listed(responder, "limit=1000")
            for key, values in (("name", [*NAMES, "unknown"]), ("state", STATES), ("source", ["command"])):
                for value in values:
                    found = listed(responder, f"{key}={value}&limit={limit}")
                    assert found == [row for row in rows if row[key] == value][:limit]
            both = listed(responder, f"name=build&state=exited&limit={limit}")
            wanted = {"name": "build", "state": "exited"}
            assert both == [row for row in rows if wanted.items() <= row.items()][:limit]
    shutil.rmtree(folder)


opened: list[str] | None = None  # while a test counts: an audit hook stays for good


def note(event: str, args: tuple[Any, ...]) -> None:
    """Note the files that are opened."""
    if opened is not None and event == "open":
        opened.append(str(args[0]))


def test_reads_once(tmp_path: Path) -> None:
    """What a run that is over has for a filter is read once; later lists open files of what they show."""
    global opened
    sys.addaudithook(note)
    for _ in range(30):
        make_run(tmp_path, name="build")
    shown = make_run(tmp_path, name="test")
    responder = Responder(Store(str(tmp_path)))
    counts = {}
    for query in ("name=none", "name=none", "state=running", "state=running", "name=test"):
        opened = []
        rows = listed(responder, query)
        counts.setdefault(query, []).append({path.split("/")[-2] for path in opened if ".json" in path})
        others = [path for path in opened if ".json" in path and shown not in path]
        opened = None
    assert len(rows) == 1
    assert not others
    assert [len(runs) for runs in counts["name=none"]] == [31, 0]
    assert [len(runs) for runs in counts["state=running"]] == [31, 0]
