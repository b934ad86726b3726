"""`GET /runs/{id}/artifacts` and the files below it: what is kept with a run.

Owns how such a file is served: inertly. It was made by a program, so nothing of it may run or be rendered
with the rights of this origin: it is a download, of no type that a browser interprets but pictures, which
show nothing but themselves in an `<img>`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from runcast.errors import OffsetBeyondTail
from runcast.run import Run
from runcast.run.artifacts import find_artifact, open_artifact
from runcast.web.api.log_reply import problem_reply
from runcast.web.http.messages import Reply, Request, is_known, json_reply
from runcast.web.http.ranges import is_range, parse_range
from runcast.web.live.file_stream import FileStream

__all__ = ["artifact_reply", "artifacts_reply"]

# Pictures of pixels alone. SVG is a document: scripts, links, other files.
_PICTURES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
_INERT: Final = (
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "private, no-cache"),
    ("Accept-Ranges", "bytes"),
)


def artifacts_reply(run: Run, request: Request) -> Reply:
    """Return the list of what is kept, and of what was left out."""
    here = f"{request.root}/runs/{run.id}/artifacts"
    kept = [
        {"name": one.name, "bytes": one.bytes, "type": _type(one.name), "url": f"{here}/{quote(one.name)}"}
        for one in run.artifacts
    ]
    return json_reply({"artifacts": kept, "left_out": [one._asdict() for one in run.left_out]})


def artifact_reply(run: Run, name: str, request: Request) -> Reply:
    """Return a file, or a part of it.

    Raises:
        ArtifactNotFound: there is none of this name.
        UsageError: the header Range is invalid.
    """
    number, file = find_artifact(run, name)
    # It never changes: its place in the list says which it is, on all hosts.
    tag = f'"{run.id}-{number}-{file.bytes}"'
    last = quote(name.rpartition("/")[2], safe="")
    fields = [
        ("Content-Type", _type(name)),
        ("Content-Disposition", f"attachment; filename*=UTF-8''{last}"),
        ("ETag", tag),
        *_INERT,
    ]
    if is_known(request.header("if-none-match"), tag):
        return Reply(304, [field for field in fields if field[0] != "Content-Type"])
    if request.method == "HEAD":  # of another host, all of the file would be brought for it
        return Reply(200, [*fields, ("Content-Length", str(file.bytes))])
    fd, size = open_artifact(run, name)
    stream = FileStream(fd, size)  # which closes it
    header = request.header("range") or ""
    if is_range(header) and request.header("if-range") in (None, tag):
        start, end = parse_range(header, size)
        if start >= end:
            refused = problem_reply(OffsetBeyondTail(start, size))
            return Reply(416, [*refused.headers, ("Content-Range", f"bytes */{size}")], refused.body)
        part = [("Content-Range", f"bytes {start}-{end - 1}/{size}"), ("Content-Length", str(end - start))]
        return Reply(206, [*fields, *part], stream=stream.part(start, end))
    return Reply(200, [*fields, ("Content-Length", str(size))], stream=stream)


def _type(name: str) -> str:
    return _PICTURES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
