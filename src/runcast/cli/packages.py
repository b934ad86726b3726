"""Whether the packages that a verb needs are installed. Looks for them, and loads none."""

from __future__ import annotations

from runcast.installed import is_installed

__all__ = ["missing"]

_SERVER = ("msgspec", "prometheus_client", "starlette", "uvicorn")
_NEEDS = {"server": _SERVER, "mcp": (*_SERVER, "httpx2", "mcp")}  # by the extra that brings them


def missing(extra: str) -> str | None:
    """Return what is wrong where a package of an extra is not installed; None where all are."""
    for package in _NEEDS[extra]:
        if not is_installed(package):
            return (
                f"expected the {extra}'s packages, {package} is not installed: pip install 'runcast[{extra}]'"
            )
    return None
