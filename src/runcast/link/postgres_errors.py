"""What the errors of PostgreSQL mean for a link. No message has the password: the server's texts never do."""

from __future__ import annotations

from runcast.errors import Full, LinkDown, LinkError, LinkRefused

__all__ = ["connect_error_of", "error_of", "hello_error_of", "not_whole"]

_FULL = {"53100", "53200", "53400"}
"""Disk full, out of memory, a limit of the configuration: appendix A of its manual has all codes."""
_LATER = {"53300", "57P01", "57P02", "57P03", "57P05", "40001", "40P01", "55P03", "57014", "25006"}
"""No connection left; ends, crashed, starts; idle; two in each other's way; took too long; read-only."""
_SHARED = {"26000", "42P05"}
"""A prepared statement is not there, or is another client's: what poolers of transactions lead to."""
_OTHERS = {"42P01", "42703", "42883"}
"""No such table, column or function."""
_NOT_IN = (
    "authentication failed",
    "no pg_hba.conf entry",
    "does not exist",
    "no password supplied",
    "permission denied",
)
_TLS = ("certificate", "SSL", "sslmode")
_LONGEST = 200  # letters of a server's text


def _text(text: str) -> str:
    return " ".join(text.split())[:_LONGEST].rstrip(". ")


def error_of(code: str, text: str, where: str) -> LinkError:
    """Return what a link raises for an error of the server. All but a lack of room bring the link down.

    The next `hello` looks at the rights, and at the tables; so what is still wrong is refused there.
    """
    if code in _FULL:
        return Full(
            f"expected room at {where}, it takes no more data ({_text(text)}): try again later, "
            "or give it more"
        )
    if code in _SHARED:
        return LinkDown(_shared(where))
    return LinkDown(f"expected {where} to serve, it does not for now ({_text(text)}): try again")


def _shared(where: str) -> str:
    return (
        f"expected a session of its own at {where}, a pooler shares it with others: name the server itself, "
        "or have pool_mode = session"
    )


def hello_error_of(code: str, text: str, where: str) -> LinkError:
    """Return what `hello` raises for an error of the server that lets us in."""
    if code in _LATER or code in _FULL or code[:2] in ("08", "53", "58", "XX"):
        return LinkDown(f"expected {where} to serve, it does not for now ({_text(text)}): try again")
    if code in _SHARED:
        return LinkRefused(_shared(where))
    if code in _OTHERS:
        return not_whole(_text(text), where)
    return LinkRefused(
        f"expected {where} to allow this, it does not ({_text(text)}): give its role the right"
    )


def not_whole(what: str, where: str) -> LinkRefused:
    """Return what `hello` raises where the schema has the tables of somebody else, or lacks some of ours."""
    return LinkRefused(
        f"expected the tables of runcast, and all of them, in its schema at {where}, it is otherwise "
        f"({what}): take another prefix, or drop the schema, if it is runcast's alone: it is made again"
    )


def connect_error_of(text: str, where: str) -> LinkError:
    """Return what `hello` raises where nothing is connected. libpq has only a text then, and no code.

    A server that speaks another language than English is taken for one that is down: its text says why.
    """
    text = _text(text.replace("connection failed: ", ""))
    if any(sign in text for sign in _NOT_IN):
        return LinkRefused(
            f"expected {where} to let this user in, it does not ({text}): see user, password and database "
            "in the URL"
        )
    if any(sign in text for sign in _TLS):
        return LinkRefused(
            f"expected TLS with {where} as the URL has it, it fails ({text}): see sslmode and sslrootcert "
            "there"
        )
    return LinkDown(f"expected a server at {where}, none serves ({text}): is it up?")
