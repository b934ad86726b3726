"""Ctrl-C at a server that runs in a terminal, with viewers there: it ends, and names what goes on once."""

import contextlib
import os
import signal
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.servers import Server
from tests.helpers.wait import MS
from tests.integration.web.frameworks import app_code
from tests.integration.web.test_matrix import ALONE, EVENTS, first_line

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "framework"),
    [("cheroot", "wsgi"), ("itself", "bottle"), ("itself", "cherrypy"), ("werkzeug", "flask")],
)
def test_ctrl_c(store: Store, tmp_path: Path, name: str, framework: str):
    """No thread that waits for output holds it up, and no reply that is cut off is logged as an error."""
    with Server(tmp_path, name, app_code(framework, tmp_path)) as server, contextlib.ExitStack() as opened:
        for form in [EVENTS] if (name, framework) in ALONE else [EVENTS, "text/plain"]:
            first_line(opened.enter_context(server.stream("/stream", Accept=form)))
        assert server.process is not None
        os.killpg(server.process.pid, signal.SIGINT)
        server.process.wait(10000 * MS)
    log = (tmp_path / "server.log").read_text()
    assert log.count("goes on: `runcast") + log.count("go on: ") == 1, log
    assert "runcast/web/" not in log, log
    for run in store.list():
        run.kill()
