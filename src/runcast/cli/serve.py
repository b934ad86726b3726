"""`runcast serve`: the server and its page."""

from __future__ import annotations

import contextlib
import ipaddress
import shlex
from functools import partial
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

import click

from runcast.cli import exit_codes
from runcast.cli.terminal import OutputClosed, say, tell
from runcast.cli.values import SIZE
from runcast.cli.where import Where

__all__ = ["command"]

_UNSAID = -1  # the server's own: to import it takes long
_NEEDS = ("msgspec", "prometheus_client", "starlette", "uvicorn")


@click.command("serve", short_help="Serve the runs to browsers, curl and programs.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Listen here. 0.0.0.0: everywhere.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes any that is free."
)
@click.option("--store", metavar="DIR|URL", help="Where the runs are, as with `runcast --store`.")
@click.option("--config", metavar="FILE", help="The commands that may be started, and caps, in TOML.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="What whoever asks must know. Others see it in `ps`: better RUNCAST_TOKEN.",
)
@click.option("--no-auth", is_flag=True, help="Ask for no token. On loopback only.")
@click.option(
    "--cookie",
    type=click.Choice(["on", "off"]),
    help="off: browsers get no cookie, each request has the token. [default: on]",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="This server is called so, too. Several times.",
)
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Pages of this other origin may read, if they have the token. Several times.",
)
@click.option(
    "--allow-any-command", is_flag=True, help="Let whoever has the token run anything, as this user."
)
@click.option(
    "--stream-cap",
    type=SIZE,
    metavar="SIZE",
    default=_UNSAID,
    help="What others push into one stream, at most: 64M, 1G, none. [default: 1G]",
)
@click.option(
    "--streams-cap",
    type=SIZE,
    metavar="SIZE",
    default=_UNSAID,
    help="And into all of them together. [default: none]",
)
@click.option(
    "--access-log", "log_requests", is_flag=True, help="Log each request to stderr, tokens left out."
)
@click.pass_obj
def command(
    where: Where,
    host: str,
    port: int,
    store: str | None,
    config: str | None,
    token: str | None,
    no_auth: bool,
    cookie: str | None,
    allow_hosts: tuple[str, ...],
    allow_origins: tuple[str, ...],
    allow_any_command: bool,
    stream_cap: int | None,
    streams_cap: int | None,
    log_requests: bool,
) -> int:
    """Serve the runs of a store: a page for browsers, text for curl, events for programs.

    The first line on stdout is the address to open; it ends with the token, without which nobody
    gets in. The last is what to type on another machine, where it can start anything here. Started
    from the web is only what a file names, unless you allow more:

    \b
      [commands.build]
      command = ["make", "-j4"]
      title = "Build"

    \b
    Examples:
      runcast serve --config server.toml         for this machine
      runcast serve --host 0.0.0.0               for its neighbours, too; plain HTTP
      curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8765/runs/ID/log

    The token is $RUNCAST_TOKEN, else one that is made once and kept in the store (.token).
    Ctrl-C or SIGTERM end the server; its runs go on, and the next server shows them.
    """
    for package in _NEEDS:
        if not _installed(package):
            tell(f"expected the server's packages, {package} is not installed: pip install 'runcast[server]'")
            return exit_codes.ERROR
    if where.server is not None:
        raise click.UsageError("expected a store to serve, got --server: it names another server")
    from runcast.server.serve import Options, serve

    options = Options(
        host=host,
        port=port,
        store=store if store is not None else where.store,
        config=config,
        token=token,
        auth=not no_auth,
        cookie=None if cookie is None else cookie == "on",
        allow_hosts=allow_hosts,
        allow_origins=allow_origins,
        allow_any_command=allow_any_command,
        log_requests=log_requests,
        stream_cap=stream_cap,
        streams_cap=streams_cap,
    )
    announce = partial(_announce, what="COMMAND" if allow_any_command else "NAME" if config else None)
    serve(options, announce)
    return exit_codes.OK


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # somebody took it away on purpose
        return False


def _announce(urls: list[str], what: str | None) -> None:
    with contextlib.suppress(OutputClosed):  # a server goes on without anybody who reads its first line
        for url in urls:
            say(url)
        if what is not None:
            url, _, token = _for_others(urls).partition("?token=")
            # Not in the address: what stands on a command line, others see in `ps`.
            variable = f"RUNCAST_TOKEN={shlex.quote(unquote(token))} " if token else ""
            say(f"{variable}runcast run --server {shlex.quote(url)} -- {what}")


def _for_others(urls: list[str]) -> str:
    """Return the URL that other machines reach most surely: an address needs nobody who knows names."""
    addresses = [url for url in urls if _is_address(urlsplit(url).hostname or "")]
    return next(iter(addresses), urls[-1] if len(urls) > 1 else urls[0])


def _is_address(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
