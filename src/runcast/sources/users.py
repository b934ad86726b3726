"""Variables that say whose process it is, for a run that is another user's.

Knows the user database alone.
"""

from __future__ import annotations

import pwd

__all__ = ["home_of"]


def home_of(name: str) -> dict[str, str]:
    """Return the variables of a user: where the home is, what the name and the shell are (environ(7))."""
    user = pwd.getpwnam(name)
    return {"HOME": user.pw_dir, "USER": name, "LOGNAME": name, "SHELL": user.pw_shell or "/bin/sh"}
