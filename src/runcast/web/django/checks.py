"""System checks: what in the settings would not work, or would hold output back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from runcast.errors import RuncastError, StoreUnusable
from runcast.store.folder import check_writable
from runcast.web.django.views import make_cast

__all__ = ["check_heard", "check_runcast"]


@register()
def check_runcast(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Look at the settings that concern runs."""
    found: list[CheckMessage] = []
    try:
        path = make_cast().store.path
    except (RuncastError, ImportError, TypeError) as error:
        found.append(Error(f"RUNCAST in the settings: {error}", id="runcast.E001"))
    else:
        found += _check_place(path)
    if "daphne" in settings.INSTALLED_APPS:
        found.append(
            Warning(
                "daphne keeps in memory what a viewer does not read",
                hint="Serve by uvicorn, hypercorn or gunicorn -k asgi.",
                id="runcast.W001",
            )
        )
    for name in settings.MIDDLEWARE:
        # Django's own leaves alone what says its encoding, as our replies do.
        if any(word in name.lower() for word in ("compress", "brotli", "minif")):
            found.append(
                Warning(
                    f"{name} may hold live output back until its end",
                    hint="Use Django's GZipMiddleware, or compress in the proxy.",
                    id="runcast.W002",
                )
            )
    return found


def _check_place(path: str) -> list[CheckMessage]:
    """Look whether runs have a place, which is made with the first one: else that fails, in production."""
    try:
        check_writable(path)
    except StoreUnusable as error:
        return [
            Warning(
                f"no run can be started: {error}",
                hint="Name a folder that the server's user may write to, or may make: "
                'RUNCAST = {"STORE": "/var/lib/site/runs"} in the settings.',
                id="runcast.W004",
            )
        ]
    return []


@register(deploy=True)
def check_heard(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Look whether somebody hears of a function that fails: its viewers do not, where DEBUG is off."""
    if settings.DEBUG or _is_heard(logging.getLogger("runcast.runs")):
        return []
    return [
        Warning(
            "the traceback of a function that fails is logged by runcast.runs, which has no handler",
            hint='Name one in LOGGING: "root": {"handlers": ["console"], "level": "WARNING"}. '
            "Sentry needs none.",
            id="runcast.W003",
        )
    ]


def _is_heard(logger: logging.Logger | None) -> bool:
    """Return whether an error reaches a handler that does something with it."""
    while logger is not None:
        for handler in logger.handlers:
            if handler.level <= logging.ERROR and not isinstance(handler, logging.NullHandler):
                return True
        logger = logger.parent if logger.propagate else None
    return False
