"""The body of `POST /runs`: JSON, or a form with files.

Owns the two forms, and makes one of them. What the values mean is for the command to say.
"""

from __future__ import annotations

import json
import os
from typing import Any

from runcast.errors import UsageError
from runcast.sysio.uploads import Upload
from runcast.web.http.body_file import BodyFile
from runcast.web.http.messages import Request
from runcast.web.http.multipart import boundary_in, is_multipart, parts_in

__all__ = ["start_body"]

_PREFIX = "p."  # of a parameter, as in the address of a form


def named_body(kind: str | None, file: BodyFile) -> bytes:
    """Return the name in a form as JSON, as a start without files has it; empty where it has none."""
    try:
        names = [part.value for part in parts_in(file.fd, boundary_in(kind)) if part.name == "name"]
    except UsageError:  # which is said where it is read
        names = []
    return json.dumps({"name": names[0]}).encode() if len(names) == 1 else b""


def start_body(request: Request) -> dict[str, Any]:
    """Return what a client wants to start.

    Raises:
        UsageError: the body is of another form.
    """
    kind = request.header("content-type")
    if request.body_file is None:
        if is_multipart(kind):
            raise UsageError("expected a JSON object, got multipart/form-data: no command here takes a file")
        return request.json()
    body: dict[str, Any] = {}
    params: dict[str, Any] = {}
    for part in parts_in(request.body_file.fd, boundary_in(kind)):
        name = part.name.removeprefix(_PREFIX)
        into = params if part.name.startswith(_PREFIX) else body
        if into is body and (name != "name" or part.filename is not None):
            raise UsageError(f'expected the fields "name" and "p.NAME", got {part.name!r:.80}')
        if name in into:
            raise UsageError(f"expected each field once, got {part.name!r:.80} again")
        if part.filename is None:
            into[name] = part.value
        else:
            into[name] = Upload(os.dup(request.body_file.fd), part.start, part.size, part.filename)
    return body | {"params": params}
