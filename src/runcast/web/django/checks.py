"""System checks: what in the settings would not work, or would hold output back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from runcast.errors import RuncastError
from runcast.web.django.views import make_cast

__all__ = ["check_runcast"]


@register()
def check_runcast(app_configs: Sequence[AppConfig] | None, **options: Any) -> list[CheckMessage]:
    """Look at the settings that concern runs."""
    found: list[CheckMessage] = []
    try:
        make_cast()
    except (RuncastError, ImportError, TypeError) as error:
        found.append(Error(f"RUNCAST in the settings: {error}", id="runcast.E001"))
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
