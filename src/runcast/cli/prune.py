"""`runcast prune`: remove the finished runs that are too old, too many, or too large."""

from __future__ import annotations

import click

from runcast.cli import exit_codes
from runcast.cli.terminal import print_line, report, size_text
from runcast.cli.values import DURATION, SIZE, Whole
from runcast.cli.where import Where, at_server
from runcast.keep import parse_keep

__all__ = ["command"]


@click.command("prune", short_help="Remove finished runs that are too old, too many, or too large.")
@click.option("--keep", "count", metavar="N", type=Whole(min=1), help="Keep the newest N.")
@click.option(
    "--older-than", metavar="DURATION", type=DURATION, help="Remove what ended so long ago: 7d, 12h."
)
@click.option("--max-size", metavar="SIZE", type=SIZE, help="Keep so much disk, the newest first: 2G.")
@click.option("--name", metavar="NAME", help="Look only at the runs of this name.")
@click.option("--mirrors", is_flag=True, help="Look only at the runs of other hosts, and not at this one's.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@at_server
@click.pass_obj
def command(
    where: Where,
    count: int | None,
    older_than: float | None,
    max_size: int | None,
    name: str | None,
    mirrors: bool,
    dry_run: bool,
    quiet: bool,
) -> int:
    """Remove finished runs for good: those beyond any of the bounds, oldest first, an id a line.

    A run that goes on, is pinned or is being read stays, and the newest one stays however large it is. How
    much disk that frees is said on stderr. Runs of other hosts that are shown here neither count nor go: with
    --mirrors it is they alone, and what goes then stays on its own host.

    \b
    Examples:
      runcast prune --older-than 30d --dry-run
      runcast prune --keep 100 --name nightly
      runcast prune --older-than 7d --max-size 20G
      runcast prune --mirrors --older-than 1d
    """
    bounds = {"runs": count, "seconds": older_than and max(1, round(older_than)), "bytes": max_size}
    if not any(bounds.values()):
        raise click.UsageError("expected at least one of --keep, --older-than and --max-size, got none")
    keep = parse_keep({one: bound for one, bound in bounds.items() if bound})
    runs, total = 0, 0
    for pruned in where.open().prune(keep, name=name, mirrors=mirrors, dry_run=dry_run):
        runs, total = runs + 1, total + pruned.bytes
        if not quiet:
            print_line(pruned.run_id)
    if not quiet:
        would = "would be removed" if dry_run else "removed"
        report(f"{runs} {'run' if runs == 1 else 'runs'} {would}, {size_text(total)} of disk")
    return exit_codes.OK
