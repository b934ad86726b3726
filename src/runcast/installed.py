"""Whether packages are installed that not everybody needs. Looks for them, and loads none."""

from __future__ import annotations

from runcast.errors import StoreUnusable

__all__ = ["check_installed", "is_installed"]


def is_installed(package: str) -> bool:
    """Return whether a package could be imported."""
    from importlib.util import find_spec  # in most processes nobody looks

    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # somebody has put something else, or None, in its place
        return False


def check_installed(package: str, what: str, extra: str) -> None:
    """Look whether there is what a kind of store needs.

    Args:
        package: the package.
        what: needs it, such as "a shelf at s3://".
        extra: of runcast, which brings it.

    Raises:
        StoreUnusable: it is not installed.
    """
    if not is_installed(package):
        raise StoreUnusable(
            f"expected the package {package} for {what}, it is not installed: pip install 'runcast[{extra}]'"
        )
