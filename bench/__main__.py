"""The command line of the benchmarks: run rows, print the table."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback

from bench import chart
from bench.bench import Bench, Patience
from bench.machine import busy_share, facts
from bench.row import Figure, Row, Skipped, load_rows
from bench.table import as_json, markdown, render


def _arguments(rows: dict[str, Row]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure runcast beside its peers. Progress goes to stderr, the table to stdout.",
        epilog="rows:\n" + "\n".join(f"  {row.name:<6} {row.title}" for row in rows.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure; all of them by default")
    parser.add_argument("--quick", action="store_true", help="a few rows, fewer samples, under a minute")
    parser.add_argument("--full", action="store_true", help="the sizes of the goals: gigabytes, minutes")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each contender (3)")
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="S",
        help="wait up to S seconds in all for others on this machine to be quiet (0)",
    )
    parser.add_argument("--disk", metavar="DIR", help="a folder on the disk to measure with")
    parser.add_argument("--json", metavar="FILE", help="write every sample to a file")
    parser.add_argument("--chart", metavar="FILE", help="draw the main figures beside their peers, as SVG")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    arguments = parser.parse_args()
    names = {name.lower(): name for name in rows}
    for name in arguments.rows:
        if name.lower() not in names:
            parser.error(f"expected rows among {', '.join(rows)}, got {name}")
    if arguments.rounds < 1:
        parser.error(f"expected at least 1 round, got {arguments.rounds}")
    chosen = [names[name.lower()] for name in arguments.rows]
    arguments.rows = chosen or [row.name for row in rows.values() if row.quick or not arguments.quick]
    return arguments


def _measure(row: Row, bench: Bench) -> list[Figure]:
    begun, figures = time.monotonic(), []
    try:
        for figure in row.measure(bench):
            figures.append(figure)
    except Skipped as why:
        figures.append(Figure("skipped", note=str(why)))
    except Exception as error:
        traceback.print_exc()
        figures.append(Figure("failed", note=f"{type(error).__name__}: {error}"))
    bench.say(f"{row.name}: done in {time.monotonic() - begun:.0f} s")
    return figures


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Run the selected rows."""
    rows = load_rows()
    arguments = _arguments(rows)
    options = {"disk_parent": arguments.disk} if arguments.disk else {}
    bench = Bench(
        quick=arguments.quick,
        full=arguments.full,
        rounds=arguments.rounds,
        patience=Patience(arguments.patience),
        **options,
    )
    signal.signal(signal.SIGTERM, _interrupt)  # gigabytes of memory are to be given back, however it ends
    machine = facts()
    found: dict[str, list[Figure]] = {}
    interrupted = False
    try:
        for name in arguments.rows:
            found[name] = _measure(rows[name], bench)
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted; the rows that were done:", file=sys.stderr)
    machine["others"] += f", {busy_share():.0%} just after"
    print("\n".join(f"{name:<8} {value}" for name, value in machine.items()), end="\n\n")
    print((markdown if arguments.markdown else render)(found))
    print(
        f"\nMedian (lowest-highest) of {bench.rounds} rounds; the ratio is the median of the rounds' ratios."
    )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(as_json(machine, found), file, indent=1)
    if arguments.chart:
        with open(arguments.chart, "w") as file:
            file.write(chart.svg(machine, found))
        for what in chart.missing(found):
            print(f"not in the chart: {what}", file=sys.stderr)
    if interrupted:
        sys.exit(130)
    if any(figure.name == "failed" for figures in found.values() for figure in figures):
        sys.exit(1)


main()
