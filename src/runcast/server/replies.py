"""What the guard answers instead of passing a request on: problems, pages, redirects.

Owns their form. A program gets `application/problem+json` (RFC 9457); somebody who opens a page
gets a page, without script or style: it is shown to whoever asks, so it says nothing of runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from http import HTTPStatus

from runcast.web.http import Reply
from runcast.wire.jsons import compact
from runcast.wire.problem import PROBLEM_TYPE

__all__ = ["page", "problem", "redirect"]

_FIXED = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title} - runcast</title>
<h1>{title}</h1>
{body}
</html>
"""


def problem(status: int, error: str, detail: str, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """Return an error as programs read it; `error` is its name."""
    title = HTTPStatus(status).phrase
    value = {"type": "about:blank", "title": title, "status": status, "detail": detail, "error": error}
    return Reply(status, [("Content-Type", PROBLEM_TYPE), *_FIXED, *headers], compact(value))


def page(
    status: int,
    title: str,
    paragraphs: Iterable[str],
    headers: Iterable[tuple[str, str]] = (),
    *,
    again: str | None = None,
    ask_token: bool = False,
) -> Reply:
    """Return an error as people read it.

    Args:
        status: of the reply.
        title: what is wrong, in a few words.
        paragraphs: why, and what to do.
        headers: further ones.
        again: a path to link to. A link on a page of ours is a same-origin request with our
            cookie, which whatever brought the browser here was not.
        ask_token: offer a field for the token.
    """
    parts = [f"<p>{escape(text)}</p>" for text in paragraphs]
    if again is not None:
        parts.append(f'<p><a href="{escape(again)}">Open this page again</a></p>')
    if ask_token:
        parts.append(
            '<form><label>Token: <input name="token" type="password" autocomplete="off" required></label>'
            " <button>Open</button></form>"
        )
    body = _PAGE.format(title=escape(title), body="\n".join(parts)).encode()
    return Reply(status, [("Content-Type", "text/html; charset=utf-8"), *_FIXED, *headers], body)


def redirect(path: str, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """Return "see there"."""
    return Reply(303, [("Location", path), *_FIXED, *headers])
