"""Forms with files on their way in: which are let in, and where their bytes go meanwhile.

Owns that a body of such a form is written to the disk as it comes, and to the memory never; and that nobody
fills the disk who may not start anything. Must not know how a server gives a body.
"""

from __future__ import annotations

from dataclasses import replace

from runcast.store.folder import make_store
from runcast.web.adapters.runcast_app import RuncastApp
from runcast.web.api.refusals import NotAllowed
from runcast.web.api.start_body import named_body
from runcast.web.http.body_file import BodyFile
from runcast.web.http.messages import BODY_BYTES, Request
from runcast.web.http.multipart import is_multipart

__all__ = ["body_file_for", "is_upload", "with_form"]


def is_upload(request: Request) -> bool:
    """Return whether this is the form of a start, by its head: then `body_file_for` decides."""
    form = is_multipart(request.header("content-type"))
    return form and request.method == "POST" and request.path.rstrip("/") == "/runs"


def body_file_for(cast: RuncastApp, request: Request) -> BodyFile | None:
    """Return where the body of a request goes as it comes; None where it is read whole as any other.

    It may block, as `authorize` may.

    Raises:
        NotAllowed: it lacks the header that no page of another site can send; its client may start nothing.
        StoreUnusable: the store cannot be written to, or its disk is full.
    """
    if not is_upload(request):
        return None
    takers = {name: one.params.upload_bytes for name, one in cast.responder.commands.items()}
    if not any(takers.values()):
        return None
    if request.header("x-runcast") != "1":
        raise NotAllowed(
            "expected the header X-Runcast: 1 with multipart/form-data: any page can have a browser send "
            "such a form without it"
        )
    request = cast.identified(request)
    may = [most for name, most in takers.items() if most and cast.responder.may_start(name, request)]
    if not may:
        cast.responder.check("start", request)  # refuses it in its own words
        raise NotAllowed("expected somebody who may start a command that takes a file")
    make_store(cast.store.path)
    return BodyFile(cast.store.path, max(may) + BODY_BYTES)


def with_form(request: Request, file: BodyFile) -> Request:
    """Return a request whose body has come; `authorize` finds the name of the command in it as in others."""
    return replace(request, body_file=file, body=named_body(request.header("content-type"), file))
