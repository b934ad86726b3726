"""How long another host is waited for, on behalf of somebody who waits here."""

import time

import pytest

from runcast.agent.clients import ask_seconds

NOW = 1000.0


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        (None, 3.0),
        ("soon", 3.0),
        (NOW + 60, 3.0),
        (NOW + 5, 3.0),
        (NOW + 2.5, 2.2),  # the request was on its way here for half of the time
        (NOW + 0.1, 0.5),
        (NOW - 60, 0.5),
    ],
)
def test_until(monkeypatch: pytest.MonkeyPatch, until: object, seconds: float):
    """Its answer has to be back in time, so what has passed counts; a short while is always given."""
    monkeypatch.setattr(time, "monotonic", lambda: NOW)

    assert ask_seconds(until) == pytest.approx(seconds)
