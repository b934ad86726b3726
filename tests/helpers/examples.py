"""The examples as tests run them: with other pauses, the rest as it stands, under a real server.

A pause becomes a wait for the file that `$GO` names, so that a test decides what comes when.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.servers import Server

EXAMPLES = Path(__file__).parents[2] / "examples"
WAIT = "while [ ! -e $GO ]; do sleep 0.02; done"
PY_WAIT = "[time.sleep(0.01) for _ in iter(lambda: os.path.exists(os.environ['GO']), True)]"
JOB = ("time.sleep(1)", PY_WAIT), ("import time", "import os, time")


@contextlib.contextmanager
def example(
    name: str, folder: Path, *changes: tuple[str, str], server: str = "itself", workers: int = 1
) -> Iterator[Server]:
    """Run an example, changed a little, with its page beside it."""
    code = (EXAMPLES / f"{name}.py").read_text()
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    page = EXAMPLES / f"{name}.html"
    if page.exists():
        shutil.copy(page, folder / page.name)
        shutil.copy(page, folder / "served_app.html")
    with Server(folder, server, code, workers=workers) as running:
        yield running
