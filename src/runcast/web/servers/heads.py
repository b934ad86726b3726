"""How a server is brought to send the head of a live reply at once, though its run says nothing yet.

Owns what is known of each: most send it with the first part of the body, be that an empty one; waitress and
cheroot pass over empty parts, and send it when WSGI's older `write` is called (PEP 3333, "The write()
Callable"). gunicorn's ASGI sends it with the first byte, and can be brought to nothing else. A client that
has the head knows that its view began: `fetch` resolves, `requests.get(stream=True)` returns.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["asgi_needs_part", "wsgi_needs_write"]


def asgi_needs_part() -> bool:
    """Return whether the ASGI server keeps the head of a reply until a part of the body comes."""
    return "daphne.server" in sys.modules or "granian" in sys.modules


def wsgi_needs_write(environ: Mapping[str, Any]) -> bool:
    """Return whether the WSGI server passes over an empty part, but not over an empty `write`."""
    software = str(environ.get("SERVER_SOFTWARE", "")).lower()
    return "waitress" in software or "cheroot" in software
