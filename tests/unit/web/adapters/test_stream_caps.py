"""The caps of streams as an application gives them to its adapter."""

from typing import Any

import pytest

from runcast import Store
from runcast.errors import UsageError
from runcast.log import CAP_BYTES
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.asgi import RunsASGI
from runcast.web.http.messages import Request
from runcast.web.wsgi import RunsWSGI

TEXT = {"content-type": "text/plain"}


def caps(cast: RuncastApp) -> tuple[int | None, int | None]:
    """Return the cap of each stream, and that of all together."""
    found = cast.durable.streams.caps
    return found.stream, found.total


def test_default(store: Store):
    """A stream may have as much as a run keeps, and all together any number of bytes."""
    assert caps(RuncastApp(store=store)) == (CAP_BYTES, None)


@pytest.mark.parametrize("kind", [RuncastApp, RunsASGI, RunsWSGI])
def test_given(store: Store, kind: type[RuncastApp]):
    """Caps are bytes, or sizes as elsewhere; None is no bound."""
    assert caps(kind(store=store, stream_cap=5000, streams_cap="1.5M")) == (5000, 3 << 19)
    assert caps(kind(store=store, stream_cap=None, streams_cap="none")) == (None, None)


@pytest.mark.parametrize("name", ["stream_cap", "streams_cap"])
@pytest.mark.parametrize("value", ["much", "", "-1", 0, -1, "0", [1]], ids=repr)
def test_no_size(name: str, value: Any):
    """What is no size is refused by the name of the option."""
    with pytest.raises(UsageError) as caught:
        RuncastApp(**{name: value})

    assert str(caught.value) == f"expected {name}= as a size such as 4096, 64M or 1G, or None, got {value!r}"


def test_they_bite(store: Store):
    """What is beyond a cap is refused as a whole."""
    cast = RuncastApp(store=store, authorize=lambda *_: True, stream_cap=1000, streams_cap="1500")

    def ask(method: str, name: str, size: int) -> int:
        path = f"/v1/stream/{name}"
        return cast.serve(Request(method, path, headers=TEXT, body=b"x" * size)).status

    assert ask("PUT", "a", 600) == 201
    assert ask("POST", "a", 401) == 507
    assert ask("POST", "a", 400) == 204
    assert ask("PUT", "b", 501) == 507
    assert ask("PUT", "b", 400) == 201
