"""`runcast artifacts`: list the files that are kept with a run, show one, or save them."""

from __future__ import annotations

import click

from runcast.cli import exit_codes
from runcast.cli.runs import find
from runcast.cli.terminal import STDOUT, print_line, printable, report, size_text, write_all
from runcast.cli.where import Where, at_server

__all__ = ["command"]


@click.command("artifacts", short_help="List or save the files that are kept with a run.")
@click.argument("run_id", metavar="ID")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-o", "--output", metavar="DIR", help="Save them below this folder: all, or those named.")
@at_server
@click.pass_obj
def command(where: Where, run_id: str, names: tuple[str, ...], output: str | None) -> int:
    """List the files that are kept with a run; write the named ones to stdout, or save them with -o.

    What was to be kept and is not is reported on stderr, with the reason.

    \b
    Examples:
      runcast run --artifact report.html --artifact 'out/*.png' -- make report
      runcast artifacts last
      runcast artifacts last report.html > report.html
      runcast artifacts last -o reports
    """
    run = find(where.open(), run_id)
    if output is not None:
        for path in run.save_artifacts(output, *names):
            print_line(printable(path))
        return exit_codes.OK
    for name in names:
        write_all(STDOUT, run.read_artifact(name))
    if not names:
        for one in run.artifacts:
            print_line(f"{size_text(one.bytes):>9}  {printable(one.name)}")
        for left in run.left_out:
            report(f"{left.name} was left out: {left.why}")
    return exit_codes.OK
