"""What `INSTALLED_APPS` needs: the name, and the system checks."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["RuncastConfig"]


class RuncastConfig(AppConfig):
    """The application."""

    name = "runcast.web.django"
    label = "runcast"

    def ready(self) -> None:
        """Register the checks."""
        from runcast.web.django import checks  # noqa: F401
