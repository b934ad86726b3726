"""`runcast bridge`: one connection of a server on stdin and stdout, for ssh."""

from __future__ import annotations

import click

from runcast.cli import exit_codes
from runcast.cli.packages import missing
from runcast.cli.terminal import STDOUT, report
from runcast.cli.where import Where

__all__ = ["command"]

_STDIN = 0


@click.command("bridge", short_help="Serve one client on stdin and stdout, as ssh:// starts it.")
@click.option("--config", metavar="FILE", help="Start the commands of this TOML file, and no others.")
@click.pass_obj
def command(where: Where, config: str | None) -> int:
    """Serve the runs of this user's store to one client, on stdin and stdout, until it is gone.

    `runcast --server ssh://HOST/` starts it on HOST, by ssh: no server, port or token is needed there. The
    client may do what this user may; with --config it starts only the commands of that file. Runs go on
    when the client is gone.

    \b
    Examples:
      runcast bridge < /dev/null      says its version, as `ssh HOST runcast bridge` should, and ends
      restrict,command="runcast bridge --config server.toml" ssh-ed25519 AAAA…      in authorized_keys
    """
    if (lacks := missing("server")) is not None:
        report(lacks)
        return exit_codes.ERROR
    if where.server is not None:
        raise click.UsageError("expected a store for the bridge, got --server: it names another server")
    from runcast.server.bridge import bridge
    from runcast.server.for_user import app_for_user

    bridge(app_for_user(where.store, config, allow_any_command=config is None), _STDIN, STDOUT)
    return exit_codes.OK
