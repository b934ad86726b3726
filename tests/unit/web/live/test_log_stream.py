"""What a live reply gives in one step: a viewer that stops reading keeps that, and no more."""

from pathlib import Path

import pytest

from runcast import Store
from runcast.web.api.log_reply import log_reply
from runcast.web.http.messages import Request
from runcast.web.live.pull import pull
from runcast.wire import FORMS
from tests.unit.runs import ERR, OUT, make_run

MIB = 1024 * 1024
QUERIES = [f"format={form}" for form in FORMS.values() if form.encoder and form.media_type]
OUTPUTS = {
    "empty lines": ((OUT, b"\n" * 200_000),),
    "lone CRs": ((OUT, b"x\r" * 100_000),),
    "short lines": ((OUT, b"0123456789\n" * 30_000),),
    "changing channels": ((OUT, b"o"), (ERR, b"e")) * 6_000,
    "no end": ((OUT, b"\x1b" * 200_000),),
}


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("form", QUERIES)
def test_no_step_is_large(own_store: Path, form: str, output: str):
    """R11: whatever the output, and in each form, no step of a reply is longer than a MiB."""
    run = Store(str(own_store)).get(make_run(own_store, appends=OUTPUTS[output]))
    reply = log_reply(run, Request("GET", "", query=form, headers={}))
    assert reply.stream is not None
    steps = list(pull(reply.stream))

    assert max(map(len, steps)) <= MIB
    assert reply.stream.offset == run.tail_offset
