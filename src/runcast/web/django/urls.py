"""The API: `path("", include("runcast.web.django.urls"))` has it at `/runs` and `/v1/stream`.

Owns the choice of the view: what waits for news is a task under ASGI, and under WSGI, which has
no event loop, a thread.
"""

from __future__ import annotations

import asyncio

from django.db import connections, transaction
from django.urls import ResolverMatch, URLPattern, re_path
from django.urls.resolvers import RegexPattern

from runcast.web.django.api import aserve, serve

__all__ = ["app_name", "urlpatterns"]


class _Waiting(URLPattern):
    def resolve(self, path: str) -> ResolverMatch | None:
        """Return the view for the server in which it is looked for."""
        match: ResolverMatch | None = super().resolve(path)
        if match is not None:
            try:
                asyncio.get_running_loop()
                match.func = aserve
            except RuntimeError:
                pass
        return match


for alias in connections:  # where each request is a transaction, none is open while somebody waits
    for view in (serve, aserve):
        transaction.non_atomic_requests(using=alias)(view)

app_name = "runcast"
urlpatterns = [
    _Waiting(RegexPattern(r"^(?P<path>runs/[^/]+/stdin/?)\Z", "stdin", True), serve, name="stdin"),
    # What it begins with may have to be brought to this disk.
    _Waiting(RegexPattern(r"^(?P<path>runs/[^/]+/log/?)\Z", "log", True), serve, name="log"),
    re_path(r"^(?P<path>(?:runs|commands)(?:/.*)?|v1/stream)$", serve, name="runs"),
    _Waiting(RegexPattern(r"^(?P<path>(?s:v1/stream/.*))\Z", "streams", True), serve, name="streams"),
]
