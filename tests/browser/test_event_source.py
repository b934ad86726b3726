"""Chromium's EventSource reads of hostile output what the standard says, as all other clients do."""

import json
import sys
import urllib.request
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.browser import Person
from tests.helpers.hostile import HOSTILE
from tests.helpers.wait import wait_until
from tests.unit.wire.eventsource import EventSource

pytestmark = [pytest.mark.slow, pytest.mark.browser]

READ = """
url => new Promise((resolve, reject) => {
  const found = [], source = new EventSource(url);
  const take = (event) => {
    found.push([event.type, event.data, event.lastEventId]);
    if (event.type === "exit") { source.close(); resolve(found); }
  };
  for (const name of ["message", "run", "state", "gap", "exit"]) source.addEventListener(name, take);
  source.onerror = () => reject(new Error(`an error after ${found.length} events`));
})
"""


@pytest.mark.parametrize("query", ["", "?format=sse-json"], ids=["lines", "json"])
def test_event_source(person: Person, store: Store, tmp_path: Path, query: str):
    """The browser finds the very events that the standard finds in the bytes: types, data, ids, in order."""
    (tmp_path / "output").write_bytes(HOSTILE)
    code = f"import shutil; shutil.copyfileobj(open({str(tmp_path / 'output')!r}, 'rb'), open(1, 'wb'))"
    run = store.start([sys.executable, "-I", "-S", "-c", code])
    wait_until(lambda: run.closed, what="the end of the log")
    path = f"/runs/{run.id}/log{query}"

    found = person.open("/healthz").evaluate(READ, path)

    cookie = "; ".join(f"{one['name']}={one['value']}" for one in person.context.cookies())
    headers = {"Accept": "text/event-stream", "Cookie": cookie}
    with urllib.request.urlopen(urllib.request.Request(person.server.root + path, headers=headers)) as reply:
        expected = EventSource().read(reply.read())
    assert [tuple(event) for event in found] == [tuple(event) for event in expected]
    assert json.loads(found[-1][1])["state"] == "exited"
