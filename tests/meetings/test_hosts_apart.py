"""Two hosts on networks of their own, as the how-to has them: a build of RQ here, a browser there, faults."""

import contextlib
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from runcast.store.links import read_status
from tests.helpers.browser import Person, launched, lines, shows
from tests.helpers.cli import RUNCAST
from tests.helpers.examples import EXAMPLES
from tests.helpers.link_hosts import PATIENCE, files, same
from tests.helpers.networks import ENGINE, TOKEN, Machine, Site, networked
from tests.helpers.wait import MS, wait_until
from tests.helpers.workers import programs

pytestmark = [pytest.mark.meetings, pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(240)]

LONG = 60000 * MS
WORD = "of-the-engine"
MAKEFILE = """
all:
\t@n=0; while :; do n=$$((n + 1)); echo "step $$n"; sleep 0.05; done
"""
SEND = (
    "import redis, rq; queue = rq.Queue(connection=redis.Redis('{engine}', password='{word}', db=1))\n"
    "print(queue.enqueue('rq_builds.build', 'all').id)"
)


@contextlib.contextmanager
def script(name: str, machine: Machine, folder: Path, changes: dict[str, str]) -> Iterator[None]:
    """Run a script of the how-to on a machine, in a folder, with the names of this test."""
    text = (EXAMPLES / "hosts" / name).read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    *settings, last = text.splitlines()
    (folder / name).write_text("\n".join([*settings, f"exec {last}", ""]))
    path = f"{Path(RUNCAST).parent}:{programs('rq')}:{os.environ['PATH']}"
    with (folder / f"{name}.log").open("wb") as log:
        options: dict[str, Any] = {"stdout": log, "stderr": log, "env": os.environ | {"PATH": path}}
        with machine.begun("env", "-C", str(folder), "sh", name, **options):
            yield


def shared(site: Site) -> bool:
    """Return whether the agent of a store has its link."""
    status = read_status(str(site.path))
    return status is not None and status.up


def test_build_followed_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The engine is killed, the first host is cut off, the second stops the build: the page has it all."""
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "rq_builds.py").write_text((EXAMPLES / "hosts" / "rq_builds.py").read_text())
    (tmp_path / "token").write_text(TOKEN)
    with networked(tmp_path) as network, network.engine(*engine_options()) as engine:
        a, b = (
            Site(network.machines[name], tmp_path / name, f"redis://:{WORD}@{ENGINE}:6379/0") for name in "ab"
        )
        chromium = tmp_path / "chromium"
        monkeypatch.setenv("RUNCAST_CHROMIUM", str(chromium))
        chromium.write_text(
            f'#!/bin/sh\nexec {" ".join(b.machine.command(only_network=True))} chromium "$@"\n'
        )
        chromium.chmod(0o755)
        stores = [
            {":PASSWORD@engine.example": f":{WORD}@{ENGINE}", "/var/lib/runs": str(site.path)}
            for site in (a, b)
        ]
        with (
            script("worker-host.sh", a.machine, tmp_path, stores[0]),
            script(
                "web-host.sh", b.machine, tmp_path, {**stores[1], "/etc/runcast.token": f"{tmp_path}/token"}
            ),
            launched() as browser,
        ):
            send = [str(programs("rq") / "python"), "-c", SEND.format(engine=ENGINE, word=WORD)]
            task = b.machine.run(*send).stdout.decode().strip()
            found = wait_until(lambda: b.cli("ls", "--key", task, "--json").out, LONG, "the run of the task")
            run_id = json.loads(found)["id"]
            server = _Server(f"http://{b.machine.address}:8765")
            with Person(browser, server) as person:
                page = person.open(f"/runs/{run_id}")
                grown(page, 10)
                engine.kill()
                for site in (a, b):
                    wait_until(lambda site=site: not shared(site), LONG, "the fault told")  # type: ignore[misc]
                engine.start()
                grown(page, len(lines(page)) + 10)
                with network.cut("a", silently=True):
                    wait_until(lambda: not shared(a), LONG, "a host that knows that it is cut off")
                    before = len(lines(page))
                grown(page, before + 10)
                page.get_by_role("button", name="Stop").click()
                expect(page.locator("#state")).to_have_text("stopped")
                wait_until(lambda: b.run(run_id).closed, PATIENCE)
                same(a.run(run_id), b.run(run_id))
                written = files(a.run(run_id)).decode().splitlines()
                shows(page, *written)
                assert written[:3] == ["step 1", "step 2", "step 3"]


def engine_options() -> list[str]:
    """Return the options of the engine in the how-to, without its address."""
    words = shlex.split((EXAMPLES / "hosts" / "engine.sh").read_text().replace("$PASSWORD", WORD))
    assert words[:3] == ["valkey-server", "--bind", "10.0.0.5"]
    return words[3:]


class _Server:
    """A server of which the token is known."""

    def __init__(self, root: str) -> None:
        self.root, self.url = root, f"{root}/?token={TOKEN}"


def grown(page: Page, count: int) -> None:
    """Wait until a page shows so many lines."""
    wait_until(lambda: len(lines(page)) >= count, LONG, f"{count} lines")
