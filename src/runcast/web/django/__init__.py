"""Runs in a Django project: `stream` from a view, and the API where its urls are included.

from runcast.web.django import stream

def build(request):
    return stream(request, ["make"])

Nothing needs to be installed for that. For the rest: "runcast.web.django" in INSTALLED_APPS (system
checks, `manage.py runcast`, one store for all of the project), `path("",
include("runcast.web.django.urls"))` (the API at `/runs` and `/v1/stream`) and a dict `RUNCAST` in the
settings: STORE, AUTHORIZE, COMMANDS, ALLOW_ANY_COMMAND, ALLOW_ORIGINS, STREAM_CAP, STREAMS_CAP,
KEEP_VIEWED, KEEP, SHARE_SECRET, USER.
"""

from runcast.web.adapters.extras import needs

with needs("django"):
    from runcast.web.django.views import astream, cast, start, stream

__all__ = ["astream", "cast", "start", "stream"]
