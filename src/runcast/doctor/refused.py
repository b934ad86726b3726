"""Why the first answer by an address was none of use, and what to do: the proxy's fault, or the server's.

Owns the sentences. Looks at a reply and at what was sent alone, and must not touch the network.
"""

from __future__ import annotations

import re

from runcast.doctor.caller import Reply
from runcast.known_proxies import NGINX, Proxy

__all__ = ["refusal"]

_GOT = re.compile(r"got '([^']*)'")
_TOKEN = "quote the URL, with ?token=…, or set RUNCAST_TOKEN"


def refusal(reply: Reply, *, host: str, sent_token: bool, proxy: Proxy | None) -> tuple[str, str]:
    """Return why the server cannot be used, and what to do; empty texts where it can.

    Args:
        reply: to a first GET of the list.
        host: of the address, without its port.
        sent_token: whether a token was sent.
        proxy: that stands before the server, as far as it shows itself.
    """
    said = reply.problem
    if reply.status == 421 and said:
        return _wrong_name(str(said.get("detail", "")), host, proxy)
    if reply.status == 401 and not said:
        login = reply.header("www-authenticate")
        return (
            f"{_name(proxy)} wants a login of its own" + (f" ({login[:60]})" if login else ""),
            "have it pass on what has a token: docs/howto/people.md, A login for people alone, has the lines",
        )
    if reply.status in (401, 429):
        detail = str(said.get("detail", "it wants a token"))
        if sent_token and "got none" in detail:
            return (
                f"the token does not arrive: {_name(proxy)} takes the header Authorization off",
                'remove the line that does, such as proxy_set_header Authorization "";',
            )
        return detail, _TOKEN
    if reply.status in (502, 503, 504) and not said:
        return (
            f"{_name(proxy)} does not reach the server: the answer is {reply.status}",
            "is `runcast serve` running, and at the address that the proxy has for it?",
        )
    if reply.status >= 500:
        return f"the answer is {reply.status}", "does the proxy reach the server?"
    if reply.status != 200 and not said:
        where = reply.header("location")
        lead = f" and leads to {where[:100]}" if where else ""
        return f"it answers {reply.status}{lead}, and not as runcast does", "is the path right?"
    return "", ""


def _wrong_name(detail: str, host: str, proxy: Proxy | None) -> tuple[str, str]:
    got = _GOT.search(detail)
    if got and got[1].rpartition(":")[0] != host and got[1] != host:
        cure = (proxy or NGINX).host
        line = f"{(proxy or NGINX).name}{'' if proxy else ', if it is that'}: {cure}"
        return (
            f"{_name(proxy)} passes another Host on, '{got[1][:100]}', which the server refuses",
            line if cure else "have the proxy pass the Host on as it was sent",
        )
    return f"the server does not know the name {host}", f"runcast serve --allow-host {host}"


def _name(proxy: Proxy | None) -> str:
    return "the proxy" if proxy is None else proxy.name
