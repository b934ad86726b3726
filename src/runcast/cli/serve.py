"""`runcast serve`: the server and its page."""

from __future__ import annotations

import contextlib
import ipaddress
import shlex
from functools import partial
from urllib.parse import unquote, urlsplit

import click

from runcast.cli import exit_codes
from runcast.cli.packages import missing
from runcast.cli.terminal import OutputClosed, print_line, report
from runcast.cli.values import KEEP, MODE, SIZE, Whole
from runcast.cli.where import Where

__all__ = ["command"]

_UNSET = -1  # stands for the server's default, whose import takes long


@click.command("serve", short_help="Serve the runs to browsers, curl and programs.")
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Listen on this address. 0.0.0.0: on all. [default: 127.0.0.1]",
)
@click.option("--port", type=Whole(0, 65535), metavar="PORT", help="0 takes a free one. [default: 8765]")
@click.option(
    "--unix",
    metavar="PATH",
    help="Listen on a Unix socket instead, for a proxy on this machine.",
)
@click.option(
    "--unix-mode",
    type=MODE,
    metavar="MODE",
    default="600",
    show_default=True,
    help="The permissions of that socket. 660: its group may connect, too.",
)
@click.option("--tls-cert", metavar="FILE", help="Speak HTTPS, with this certificate and its chain (PEM).")
@click.option("--tls-key", metavar="FILE", help="The key of the certificate, if it is in a file of its own.")
@click.option("--store", metavar="DIR|URL", help="Where the runs are, as with `runcast --store`.")
@click.option("--config", metavar="FILE", help="TOML file with the commands that may be started, and caps.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="The token that clients must send. Others see it in `ps`: better RUNCAST_TOKEN.",
)
@click.option("--no-auth", is_flag=True, help="Require no token. On loopback only.")
@click.option(
    "--cookie",
    type=click.Choice(["on", "off"]),
    help="off: set no cookie in browsers, require the token in each request. [default: on]",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="Another name of this server. Can be repeated.",
)
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin read, if they have the token. Can be repeated.",
)
@click.option(
    "--user-header",
    metavar="NAME",
    help="The header in which a trusted proxy names the user, such as X-Remote-User.",
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Heed the headers of this proxy, by address, network, or `unix`. Can be repeated.",
)
@click.option(
    "--root-path",
    metavar="PATH",
    default="",
    help="Below which path a proxy has this server, such as /cast, passed on or not.",
)
@click.option(
    "--allow-any-command", is_flag=True, help="Let clients with the token run anything, as this user."
)
@click.option("--mcp", is_flag=True, help="Give agents tools at /mcp (Model Context Protocol, HTTP).")
@click.option(
    "--stream-cap",
    type=SIZE,
    metavar="SIZE",
    default=_UNSET,
    help="The maximum size of one stream: 64M, 1G, none. [default: 1G]",
)
@click.option(
    "--streams-cap",
    type=SIZE,
    metavar="SIZE",
    default=_UNSET,
    help="The maximum size of all streams together. [default: none]",
)
@click.option(
    "--keep",
    type=KEEP,
    metavar="RULE",
    multiple=True,
    help="Keep so many finished runs, so long, or so much: 1000, 30d, 20G. May be repeated. [default: all]",
)
@click.option(
    "--workers",
    type=Whole(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Serve with so many processes, one for each core that many viewers, TLS or many starts keep busy. "
    "A command that is slow needs none.",
)
@click.option(
    "--access-log", "log_requests", is_flag=True, help="Log each request to stderr, without tokens."
)
@click.pass_obj
def command(
    where: Where,
    host: str | None,
    port: int | None,
    unix: str | None,
    unix_mode: int,
    tls_cert: str | None,
    tls_key: str | None,
    store: str | None,
    config: str | None,
    token: str | None,
    no_auth: bool,
    cookie: str | None,
    allow_hosts: tuple[str, ...],
    allow_origins: tuple[str, ...],
    user_header: str | None,
    trusted_proxies: tuple[str, ...],
    root_path: str,
    allow_any_command: bool,
    mcp: bool,
    stream_cap: int | None,
    streams_cap: int | None,
    keep: tuple[str, ...],
    workers: int,
    log_requests: bool,
) -> int:
    """Serve the runs of a store: a page for browsers, text for curl, events for programs.

    The first line on stdout is the address to open; it ends with the token, which clients need. The
    last line, if anything can be started, is the command for another machine. The web can only start
    the commands of a configuration file, unless you allow more:

    \b
      [commands.build]
      command = ["make", "-j4"]
      title = "Build"

    \b
    Examples:
      runcast serve --config server.toml         for this machine
      runcast serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem      for the network, too
      runcast serve --unix /run/runcast/http     for a proxy on this machine
      curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8765/runs/ID/log

    The token is $RUNCAST_TOKEN, or else generated once and kept in the store (.token).
    Ctrl-C or SIGTERM end the server; its runs continue, and the next server shows them.
    """
    if (lacks := missing("mcp" if mcp else "server")) is not None:
        report(lacks)
        return exit_codes.ERROR
    if where.server is not None:
        raise click.UsageError("expected a store to serve, got --server: it names another server")
    from runcast.server.listeners import Place
    from runcast.server.serve import Options, serve

    options = Options(
        place=Place(host, port, unix, unix_mode),
        tls_cert=tls_cert,
        tls_key=tls_key,
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
        keep=keep,
        user_header=user_header,
        trusted_proxies=trusted_proxies,
        root_path=root_path,
        workers=workers,
        mcp=mcp,
    )
    announce = partial(_announce, what="COMMAND" if allow_any_command else "NAME" if config else None)
    serve(options, announce)
    return exit_codes.OK


def _announce(urls: list[str], what: str | None) -> None:
    with contextlib.suppress(OutputClosed):  # a server needs no reader of its first line
        for url in urls:
            print_line(url)
        if what is not None:
            url, _, token = _for_others(urls).partition("?token=")
            # Not in the address: other users see a command line in `ps`.
            variable = f"RUNCAST_TOKEN={shlex.quote(unquote(token))} " if token else ""
            print_line(f"{variable}runcast run --server {shlex.quote(url)} -- {what}")


def _for_others(urls: list[str]) -> str:
    """Return the URL that other machines reach most reliably: an address needs no name resolution."""
    addresses = [url for url in urls if _is_address(urlsplit(url).hostname or "")]
    return next(iter(addresses), urls[-1] if len(urls) > 1 else urls[0])


def _is_address(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
