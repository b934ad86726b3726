"""The way to the login, for a person who is nobody yet and may not open a page.

Owns when that is: a browser opens a page, the project has a login whose address its urls know, and the
visitor has not come through it. Who has, and programs, get the refusal itself.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import Resolver404, get_script_prefix, resolve
from django.utils.encoding import escape_uri_path, iri_to_uri

from runcast.web.api.problem_page import opens_page
from runcast.web.http.messages import Reply, Request
from runcast.web.http.share import given_in

__all__ = ["login_instead"]


def login_instead(reply: Reply, request: Request) -> HttpResponseBase | None:
    """Return the way to the login in place of a refusal, as `login_required` does; None where there is none.

    It may ask the database who the visitor is.

    Args:
        reply: what the request gets otherwise.
        request: what came, as the API knows it.
    """
    if reply.status != 403 or not opens_page(request) or given_in(request.query):
        return None
    original: HttpRequest = request.original
    user = getattr(original, "user", None)
    if not apps.is_installed("django.contrib.auth") or user is None:
        return None
    if user.is_authenticated or not _is_here(where := resolve_url(settings.LOGIN_URL)):
        return None
    from django.contrib.auth.views import redirect_to_login  # only where it is installed

    return redirect_to_login(_back(request), where)


def _back(request: Request) -> str:
    """Return the address of a request. Under ASGI Django's own has no FORCE_SCRIPT_NAME (findings/)."""
    path = escape_uri_path(request.root + request.path)
    return f"{path}?{iri_to_uri(request.query)}" if request.query else path


def _is_here(url: str) -> bool:
    """Return whether the project answers at an address; one of another host is taken for good."""
    parts = urlsplit(url)
    if parts.netloc:
        return True
    try:
        resolve("/" + parts.path.removeprefix(get_script_prefix()).lstrip("/"))
    except Resolver404:
        return False
    return True
