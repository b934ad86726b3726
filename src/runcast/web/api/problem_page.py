"""A refusal for a browser that opens a page: the same words as the problem that programs get, as a page.

Owns its titles. What is wrong, and what of that may be said, was decided before.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from runcast.errors import RunNotFound
from runcast.web.api.refusals import ShareExpired
from runcast.web.http.error_page import error_page
from runcast.web.http.messages import Reply, Request

__all__ = ["opens_page", "problem_page"]

_TITLES: Final = {
    403: "You may not do this here",
    404: "There is nothing at this address",
    410: "This part of the output is gone",
}


def opens_page(request: Request) -> bool:
    """Return whether a person will read the reply: a browser navigates here, as far as the headers show."""
    navigates = request.header("sec-fetch-mode") in (None, "navigate")
    return navigates and request.method in ("GET", "HEAD") and "text/html" in (request.header("accept") or "")


def problem_page(problem: Reply, error: Exception, request: Request, *, listed: bool = True) -> Reply:
    """Return a problem as a page.

    Args:
        problem: as programs get it.
        error: what it is about.
        request: what it is the reply to.
        listed: whether the list of runs may be seen.
    """
    value = json.loads(problem.body)
    title = _TITLES.get(problem.status, HTTPStatus(problem.status).phrase)
    paragraphs = [value["detail"][:1].upper() + value["detail"][1:] + "."]
    if isinstance(error, ShareExpired):
        title = "This link has expired"
    if isinstance(error, RunNotFound):
        title = "There is no such run"
        paragraphs = ["It was removed, or this address is not quite the one that was meant."]
    links = [(f"{request.root}/runs", "All runs")] if listed and problem.status != 403 else []
    kept = [header for header in problem.headers if header[0] in ("Allow", "Retry-After")]
    return error_page(problem.status, title, paragraphs, kept, links=links)
