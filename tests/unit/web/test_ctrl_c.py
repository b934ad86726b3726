"""Ctrl-C that comes to wsgiref while it sends a part of a live reply."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from runcast.web.wsgi import live_body
from tests.helpers.wait import MS
from tests.unit.web.live.test_feeds import Endless


def served(body: Iterator[bytes], interrupt: type[BaseException]) -> None:
    """Do as wsgiref does: it closes the reply, and logs whatever ended it."""
    next(body)
    with contextlib.suppress(BaseException):
        try:
            raise interrupt
        except BaseException:
            body.close()  # type: ignore[attr-defined]
            raise


def environ(*, threads: bool) -> dict[str, Any]:
    return {"SERVER_SOFTWARE": "WSGIServer/0.2", "wsgi.multithread": threads, "wsgi.input": None}


def test_comes_again():
    """It comes once more, behind the request, so that the server ends."""
    served(live_body(Endless(), environ(threads=False)), KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        threading.Event().wait(10000 * MS)


@pytest.mark.parametrize(("threads", "error"), [(True, KeyboardInterrupt), (False, BrokenPipeError)])
def test_nothing_comes(threads: bool, error: type[BaseException]):
    """Nothing comes where a server with threads has it, or where it was the client that left."""
    before = threading.active_count()
    served(live_body(Endless(), environ(threads=threads)), error)
    assert threading.active_count() == before
