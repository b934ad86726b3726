"""The error of an adapter whose framework is not installed: it names the extra to install.

Each framework is an extra of the same name. Knows of no framework but that name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["needs"]


@contextlib.contextmanager
def needs(framework: str) -> Iterator[None]:
    """Name the extra where what is imported in this block lacks its framework.

    Raises:
        ModuleNotFoundError: the framework is not installed; a package of its own that lacks stays as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != framework:
            raise
        raise ModuleNotFoundError(
            f"expected the package {framework}, it is not installed: pip install 'runcast[{framework}]'",
            name=error.name,
            path=error.path,
        ) from None
