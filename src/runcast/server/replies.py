"""The replies of the guard to requests that it does not pass on: problems, pages, redirects.

Owns their form. A program gets `application/problem+json` (RFC 9457); a browser that opens a page
gets a page, without any script: every client can see it, so it has nothing about runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from runcast.web.http.error_page import error_page
from runcast.web.http.messages import Reply
from runcast.wire.jsons import compact
from runcast.wire.problem import PROBLEM_TYPE

__all__ = ["page", "problem", "redirect"]

_FIXED = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))


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
    """Return an error as a page for people.

    Args:
        status: of the reply.
        title: what is wrong, in a few words.
        paragraphs: why, and what to do.
        headers: further ones.
        again: a path to link to. A link on this page makes a same-origin request with the cookie, unlike
            the request that brought the browser here.
        ask_token: offer a field for the token.
    """
    links = [] if again is None else [(again, "Open this page again")]
    return error_page(status, title, paragraphs, headers, links=links, ask_token=ask_token)


def redirect(path: str, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """Return "see there"."""
    return Reply(303, [("Location", path), *_FIXED, *headers])
