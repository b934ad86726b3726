"""What a live reply gives in one step: a viewer that stops reading keeps that, and no more."""

from pathlib import Path

import pytest

from runcast import Store
from runcast.web.http import Request
from runcast.web.logs import log_reply
from runcast.web.streams import pull
from tests.unit.runs import ERR, OUT, make_run

MIB = 1024 * 1024
FORMS = ["format=text", "format=sse", "format=sse-json", "format=ndjson", "format=asciicast"]
OUTPUTS = {
    "empty lines": ((OUT, b"\n" * 200_000),),
    "lone CRs": ((OUT, b"x\r" * 100_000),),
    "short lines": ((OUT, b"0123456789\n" * 30_000),),
    "changing channels": ((OUT, b"o"), (ERR, b"e")) * 6_000,
    "no end": ((OUT, b"\x1b" * 200_000),),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("form", FORMS)
def test_no_step_is_large(own_store: Path, form: str, output: str):
    """R11: whatever the output, and in each form, no step of a reply is longer than a MiB."""
    run = Store(str(own_store)).get(make_run(own_store, appends=OUTPUTS[output]))
    reply = log_reply(run, Request("GET", "", query=form, headers={}))
    assert reply.stream is not None
    steps = list(pull(reply.stream))

    assert max(map(len, steps)) <= MIB
    assert reply.stream.offset == run.tail_offset
