"""Which requests are ours where the API stands beside an application that keeps all other paths.

Owns the arithmetic of paths; `RunsASGI.beside` and `RunsWSGI.beside` hand the requests on.
"""

from __future__ import annotations

from collections.abc import Iterable

from runcast.errors import UsageError

__all__ = ["own_path", "own_prefix"]


def own_prefix(prefix: str) -> str:
    """Return a prefix without a slash at its end.

    Raises:
        UsageError: it does not begin with a slash, so no path would ever begin with it.
    """
    if prefix and not prefix.startswith("/"):
        raise UsageError(f"expected a prefix that begins with a slash, such as '/tools', got {prefix!r:.100}")
    return prefix.rstrip("/")


def own_path(path: str, prefix: str, rules: Iterable[str]) -> str | None:
    """Return a path as the API has it; None where it belongs to the application.

    Args:
        path: below where both are mounted.
        prefix: below which the API is; without a slash at its end.
        rules: the API's paths: of each, the path itself and all below it.
    """
    if not path.startswith(prefix):
        return None
    rest = path[len(prefix) :]
    return rest if any(rest == rule or rest.startswith(f"{rule}/") for rule in rules) else None
