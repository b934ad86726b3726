"""Limitations of some servers for live replies: detected at the first one, and logged once.

Owns the warnings, each with its cure. docs/howto/usual-recipes.md has the reasons.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["advise_asgi", "advise_wsgi", "has_one_thread"]

log = logging.getLogger("runcast.web")
_told: set[str] = set()


def _warn(name: str, text: str) -> None:
    if name not in _told:
        _told.add(name)
        log.warning(text)


def advise_wsgi(environ: Mapping[str, Any]) -> None:
    """Tell once what the server of a WSGI request cannot do."""
    software = str(environ.get("SERVER_SOFTWARE", ""))
    if "uwsgi.version" in environ:
        _warn(
            "uwsgi",
            "uWSGI sends no chunks: no client can tell a cut text from a whole one, and those that read "
            "in blocks see lines late: take text/event-stream, or serve by gunicorn --threads 40",
        )
    if software.startswith("WSGIServer/"):
        _warn(
            "chunks",
            "this server (wsgiref, or Django's runserver) sends no chunks: a client that reads in blocks, "
            "such as requests with iter_lines(), sees lines late, and none can tell a cut from the end: "
            "serve by gunicorn --threads, waitress or cheroot",
        )
    elif "tornado.wsgi" in sys.modules and not software:
        _warn(
            "tornado",
            "this server (tornado's WSGI container, as in gunicorn -k tornado) keeps a reply until its end, "
            "and answers nobody else meanwhile: serve by gunicorn --threads 40, or -k gevent",
        )
    elif software.lower().startswith("granian"):
        _warn(
            "granian",
            "granian with WSGI does not say that a viewer has left, nor that it ends: a viewer of a silent "
            "run keeps its thread, and a shutdown waits for it: serve by granian --interface asgi, or by "
            "gunicorn --threads 40",
        )
    elif not environ.get("wsgi.multithread", True) and not environ.get("wsgi.run_once"):
        _warn(
            "sync",
            "this server gives each worker one request at a time, so each viewer holds a worker: "
            "use threads or greenlets (gunicorn --threads 40, or -k gevent)",
        )


def has_one_thread(environ: Mapping[str, Any]) -> bool:
    """Return whether it is wsgiref's in its plain form, which logs a Ctrl-C within a reply, and goes on."""
    software = str(environ.get("SERVER_SOFTWARE", ""))
    return software.startswith("WSGIServer/") and not environ.get("wsgi.multithread")


def advise_asgi() -> None:
    """Tell once what the server of an ASGI request cannot do."""
    if "daphne.server" in sys.modules:
        _warn(
            "daphne",
            "daphne takes whatever it is given and keeps it in memory for a viewer who reads slowly: "
            "serve by uvicorn, hypercorn or gunicorn -k asgi",
        )
