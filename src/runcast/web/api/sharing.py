"""Share links over HTTP: how one is made, and how a browser that opens it gets a cookie in its place.

Owns their duration, and their form as a URL. What a link allows is decided in access.py.
"""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import quote

from runcast.errors import UsageError
from runcast.quantities import duration
from runcast.run import Run
from runcast.web.api.refusals import NoShareLinks
from runcast.web.http.messages import Reply, Request, json_reply
from runcast.web.http.share import PARAMETER, ShareKey, given_in, share_cookie, without_share
from runcast.wire.jsons import rfc3339

__all__ = ["share_reply", "swapped"]

_DEFAULT: Final = "7d"
_LEAST, _MOST = 60.0, 365 * 86400.0  # seconds


def share_reply(run: Run, request: Request, key: ShareKey | None) -> Reply:
    """Make a share link of a run.

    Raises:
        NoShareLinks: there is no key.
        UsageError: the body is not what it should be.
    """
    if key is None:
        raise NoShareLinks
    body = request.json()
    if unknown := sorted(set(body) - {"expires"}):
        raise UsageError(f'expected "expires" alone, got {unknown[0]!r:.80} as well')
    expires = int(time.time() + _seconds(body.get("expires", _DEFAULT)))
    host = request.header("host") or "localhost"
    page = f"{request.scheme}://{host}{quote(request.root)}/runs/{run.id}"
    value = {"url": f"{page}?{PARAMETER}={key.token(run.id, expires)}", "expires_at": rfc3339(expires)}
    return json_reply(value, 201)


def _seconds(expires: object) -> float:
    try:
        if isinstance(expires, str | int | float) and not isinstance(expires, bool):
            if _LEAST <= (seconds := duration(expires)) <= _MOST:
                return seconds
    except ValueError:
        pass
    raise UsageError(f'expected "expires" as a duration from 1m to 365d, such as "7d", got {expires!r:.80}')


def swapped(run: Run, request: Request, key: ShareKey | None) -> Reply | None:
    """Return the answer to a browser that opens a share link; None where its address has no right token.

    It leads to the same address without the token, which so is in no bookmark, screenshot or `Referer`, and
    sets a cookie in its place.

    Args:
        run: the run, which it may read.
        request: of a page.
        key: signs the links.
    """
    given = given_in(request.query) if key is not None else []
    if key is None or (expires := key.expiry(run.id, given)) is None:
        return None
    rest, page = without_share(request.query), quote(request.root + request.path)
    headers = [("Location", f"{page}?{rest}" if rest else page), ("Cache-Control", "no-store")]
    if (left := expires - int(time.time())) > 0:
        token = key.token(run.id, expires)
        secure = request.scheme == "https"
        headers.append(("Set-Cookie", share_cookie(request.root, run.id, token, left, secure=secure)))
    return Reply(303, headers)
