"""What `INSTALLED_APPS` needs: the name, the system checks, and the store of the whole project.

Owns that a project has one store. A task that Celery calls says `runcast.attach`, which knows no framework:
in a store of its own nobody would find its run, and nothing would say why.
"""

from __future__ import annotations

import contextlib
import os

from django.apps import AppConfig
from django.conf import settings

from runcast.errors import StoreUnusable
from runcast.runs import store_path
from runcast.store.link_urls import is_link_url

__all__ = ["RuncastConfig"]


class RuncastConfig(AppConfig):
    """The application."""

    name = "runcast.web.django"
    label = "runcast"

    def ready(self) -> None:
        """Register the checks, and have `runcast.start` and its like use the store of the settings."""
        from runcast.web.django import checks  # noqa: F401

        store = getattr(settings, "RUNCAST", {}).get("STORE")
        if isinstance(store, str | os.PathLike) and store != "memory:":  # which each opening makes anew
            with contextlib.suppress(StoreUnusable):  # which the checks say
                os.environ["RUNCAST_STORE"] = _whole(os.fspath(store))


def _whole(store: str) -> str:
    """Return what names a store from any folder."""
    return store if is_link_url(store) or store.startswith("file:") else store_path(store)
