"""The API: `path("", include("runcast.web.django.urls"))` has it at `/runs`."""

from __future__ import annotations

from django.urls import re_path

from runcast.web.django.views import serve

__all__ = ["app_name", "urlpatterns"]

app_name = "runcast"
urlpatterns = [re_path(r"^(?P<path>(?:runs|commands)(?:/.*)?)$", serve, name="runs")]
