"""The file `hooks` of a run: one claim, what became of each hook, and what is no note."""

from pathlib import Path

import pytest

from runcast.store.end_hooks import EndHooks, hooks_in, target_of

REQUEST = {
    "on_end": [
        {"command": ["notify", "s3cret"], "when": ["always"]},
        {"webhook": "https://chat.example:444/s3cret", "when": ["failure"]},
    ]
}


def states(folder: Path) -> list[tuple[str, int]]:
    return [(one["state"], one["attempts"]) for one in hooks_in(str(folder), REQUEST)]


def test_one_claim(tmp_path: Path):
    """The first claim is the only one, also when it is given up."""
    claim = EndHooks.claim(str(tmp_path))

    assert claim is not None
    assert EndHooks.claim(str(tmp_path)) is None
    claim.release()
    assert EndHooks.claim(str(tmp_path)) is None


def test_notes(tmp_path: Path):
    """The last note of a hook counts; what is open when the process is gone was interrupted."""
    assert hooks_in(str(tmp_path), {}) == []
    assert states(tmp_path) == [("waiting", 0)] * 2
    claim = EndHooks.claim(str(tmp_path))
    assert claim is not None
    claim.note(0, "delivered", 1, 0, "")
    claim.note(1, "waiting", 2, 503, "the receiver answered 503")
    assert states(tmp_path) == [("delivered", 1), ("waiting", 2)]
    claim.release()

    command, webhook = hooks_in(str(tmp_path), REQUEST)

    assert (command["state"], webhook["state"]) == ("delivered", "interrupted")
    assert webhook["code"] == 503
    assert (command["target"], webhook["target"]) == ("notify", "https://chat.example:444/…")
    assert webhook["delivery"] == f"{tmp_path.name}-1"
    assert "s3cret" not in str((command, webhook))


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff",
        b'{"hook": 0}',
        b'{"hook": true, "state": "failed", "attempts": 1, "message": "", "time": 1.5}',
        b'{"hook": 0, "state": "gone", "attempts": 1, "message": "", "time": 1.5}',
        b'{"hook": 0, "state": "failed", "attempts": 1, "message": 3, "time": 1.5}',
        b'{"hook": 0, "state": "failed", "attempts": 1, "message": "", "time": 1e300}',
    ],
)
def test_damaged(tmp_path: Path, line: bytes):
    """What is no note counts for nothing."""
    (tmp_path / "hooks").write_bytes(line + b"\n")

    assert states(tmp_path) == [("interrupted", 0)] * 2


def test_targets():
    """What is no URL, as in a masked record, has no name."""
    assert target_of({"webhook": "http://[***"}) == target_of({"webhook": "***"}) == "…"
