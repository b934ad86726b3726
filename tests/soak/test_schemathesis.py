"""Requests made from our own OpenAPI: nothing is a 5xx, and every reply is as it is described.

Schemathesis has many dependencies, so it lives in an environment of its own, which is made at the
first run. Nothing but a named command can be started: what it sends as commands is anything.
"""

import json
import subprocess
import sys
from pathlib import Path

from runcast import Store
from tests.helpers.soak import share
from tests.integration.server.test_serve import serving

VERSION = "4.32.5"
SECONDS = share(90, least=5)
HOME = Path(__file__).parents[2] / f".venv-schemathesis-{VERSION}"
# Left out: what holds by design. Wrong tokens in a row are 429; a method that changes something needs
# our header before anything else is looked at; what we do not know in a query is passed over; and what
# two headers or parameters may not say together (400) is more than a schema can tell.
LEFT_OUT = (
    "ignored_auth,unsupported_method,missing_required_header,negative_data_rejection,positive_data_acceptance"
)


def program() -> str:
    """Return the program; install it where it is not yet."""
    found = HOME / "bin" / "st"
    if not found.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
        subprocess.run([HOME / "bin" / "pip", "install", "-q", f"schemathesis=={VERSION}"], check=True)
    return str(found)


def test_own_description(store: Store, tmp_path: Path) -> None:
    """No request that is made from the description, right or wrong, is answered otherwise than it says."""
    run = store.start(["echo", "hello"])
    run.wait()
    (tmp_path / "server.toml").write_text('[commands.backup]\ncommand = ["echo", "hello"]\n')
    (tmp_path / "schemathesis.toml").write_text(f'[parameters]\n"path.id" = {json.dumps(run.id)}\n')
    with serving("--config", tmp_path / "server.toml", "--streams-cap", "100M") as server:
        done = subprocess.run(
            [
                *(program(), "run", f"http://127.0.0.1:{server.port}/openapi.json"),
                *("-H", f"Authorization: Bearer {server.token}", "--max-time", str(SECONDS)),
                *("--phases", "examples,coverage,fuzzing", "--exclude-checks", LEFT_OUT),
                *("--seed", "1", "--request-timeout", "30", "--continue-on-failure", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS * 8 + 60,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
