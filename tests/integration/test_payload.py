"""What a command is given as a file: where it finds it, and that another start has it, too."""

from pathlib import Path

import pytest

from runcast import Store
from runcast.errors import UsageError
from runcast.run.base import files_of
from tests.helpers.wait import MS

LONG = 20000 * MS
SHOW = ["sh", "-c", 'cat "$RUNCAST_PAYLOAD"; read line || echo no stdin']


@pytest.mark.parametrize("payload", [b"\0\xff one", "two", b""], ids=repr)
def test_payload(store: Store, payload: bytes | str):
    """It lies in the folder of the run, which the variable names; stdin is what it would be without."""
    run = store.start(SHOW, payload=payload)

    expected = payload.encode() if isinstance(payload, str) else payload
    assert b"".join(chunk.data for chunk in run.follow()) == expected + b"no stdin\n"
    assert (Path(files_of(run).path) / "payload").read_bytes() == expected
    again = store.rerun(run)
    assert b"".join(chunk.data for chunk in again.follow()) == expected + b"no stdin\n"


def test_none(store: Store):
    """Without one there is no variable."""
    assert store.start(["sh", "-c", "echo ${RUNCAST_PAYLOAD-none}"]).output(timeout=LONG) == "none\n"


def test_refused(store: Store):
    """Beside a mask it would lie in the store; a function has arguments for that."""
    with pytest.raises(UsageError, match="no payload with mask"):
        store.start(["true"], payload=b"a", mask=[])
    with pytest.raises(UsageError, match="payload with a command only"):
        store.start(print, payload=b"a")
    assert list(store.list()) == []
