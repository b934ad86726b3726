"""Which stream an address names."""

import re

import pytest

from runcast.cli.push import stream_url


@pytest.mark.parametrize(
    ("url", "stream"),
    [
        ("http://h:8765", "http://h:8765/v1/stream/pushed/ID"),
        ("http://h:8765/?token=t", "http://h:8765/v1/stream/pushed/ID?token=t"),
        ("https://h/runs", "https://h/v1/stream/pushed/ID"),
        ("https://h/app/casts/runs/?token=t", "https://h/app/casts/v1/stream/pushed/ID?token=t"),
        ("http://h/v1/stream/builds/42", "http://h/v1/stream/builds/42"),
        ("http://h/streams/of/others?x=1", "http://h/streams/of/others?x=1"),
        ("http://h/v1/stream/myruns", "http://h/v1/stream/myruns"),
    ],
)
def test_stream_url(url: str, stream: str) -> None:
    """An address without a stream is that of a new one there; any other is taken as it is."""
    assert re.sub("[0-9a-hjkmnp-tv-z]{26}", "ID", stream_url(url)) == stream
