"""Modules that other code has imported, for code that must not import them itself.

Owns one trap: `sys.modules` holds a module from the first moment of its import, when its names are not
there yet, and another thread may be importing it right now.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["loaded"]


def loaded(name: str) -> Any:
    """Return a module whose import has ended; None if nobody imported it, or a thread is about to."""
    module = sys.modules.get(name)
    # What `importlib` itself looks at before it waits for another thread's import.
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module
