"""A client that a generator makes from the description of the API, against the server itself."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.browser import Serving

pytestmark = pytest.mark.slow

USED = """
import sys
from runcast_client import AuthenticatedClient
from runcast_client.api.runs import list_runs, note_run, pin_run, remove_run, rerun_run, send_stdin, share_run
from runcast_client.api.runs import show_run, start_run, stop_run, unpin_run
from runcast_client.api.streams import create_stream, delete_stream
from runcast_client.models import Intent, StartRunJsonStartCommand
from runcast_client.types import File

meant = {"x_runcast": Intent("1")}
root, token = sys.argv[1].split("/?token=")
with AuthenticatedClient(base_url=root, token=token, raise_on_unexpected_status=True) as client:
    run = start_run.sync(client=client, body=StartRunJsonStartCommand(command=["sleep", "600"], title="echo"))
    assert run.name == "echo"
    assert pin_run.sync(run.id, client=client, **meant).to_dict()["pinned"] is True
    assert unpin_run.sync(run.id, client=client, **meant).to_dict()["pinned"] is False
    assert stop_run.sync(run.id, client=client, **meant).id == run.id
    again = rerun_run.sync(run.id, client=client, **meant)
    assert {one.id for one in list_runs.sync(client=client).runs} == {run.id, again.id}
    while show_run.sync(run.id, client=client).outcome is None:
        pass
    assert remove_run.sync_detailed(run.id, client=client, **meant).status_code == 204
    assert show_run.sync(run.id, client=client).status == 404
    stop_run.sync(again.id, client=client, **meant)
    assert create_stream.sync_detailed("mine", client=client).status_code == 201
    assert delete_stream.sync_detailed("mine", client=client).status_code == 204
"""


def test_generated_client(store: Store, tmp_path: Path) -> None:
    """It has each operation, without a warning, and what it reads and sends is what the server means."""
    description, client = tmp_path / "openapi.json", tmp_path / "client"
    description.write_bytes(files("runcast.server").joinpath("openapi.json").read_bytes())
    (tmp_path / "settings.yml").write_text("post_hooks: []")  # how the code looks is no matter here
    words = ["generate", "--path", description, "--output-path", client, "--meta", "none"]
    words += ["--config", tmp_path / "settings.yml"]
    made = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert (made.returncode, "arning" in made.stdout + made.stderr) == (0, False), made
    client.rename(tmp_path / "runcast_client")

    with Serving("--allow-any-command", "--store", store.path) as server:
        used = subprocess.run(
            [sys.executable, "-c", USED, server.url], capture_output=True, text=True, cwd=tmp_path
        )
    assert used.returncode == 0, used.stderr
