#!/usr/bin/env python3
"""What masking costs: starts and output with masks and without, in turns in one run.

    scripts/masking_costs.py [--before SOURCE] [--rounds 5] [--values 20] [FOLDER]

Times starts of `true` (the best of many), and the processor time that the pump of a supervisor takes for
lines of 80 bytes, each written by itself, for blocks of 64 KiB of log text, and for blocks of Base64, and
that of a function which prints lines. Each without masks, with none but the rules of names, and with so
many random values of 16 to 40 letters, each in an interpreter of its own and all in turns. With `--before`
also the code of another checkout (its folder `src`), which need not know masks. Prints the median of each and
its ratio to the first column.
"""

import argparse
import json
import os
import random
import statistics
import string
import subprocess
import sys
import tempfile
import time

LINES = 200_000
PRINTS = 50_000
BLOCKS = 3000
STARTS = 60
LINE = "2026-11-30T03:33:35Z INFO worker[%d] handled request %d for /api/v1/items in %d ms"
FLOOD = """
import base64, os, random, sys
kind, count = sys.argv[1], int(sys.argv[2])
if kind == "lines":
    data = b"x" * 79 + b"\\n"
elif kind == "base64":
    data = base64.b64encode(random.Random(1).randbytes(49152))
else:
    text = "".join("%s\\n" % (sys.argv[3] % (i % 7, i * 7919, i % 93)) for i in range(2000))
    data = text.encode()[:65536]
for _ in range(count):
    left = data
    while left:
        left = left[os.write(1, left):]
"""


def values(count: int) -> list[str]:
    """Return secrets, the same ones each time."""
    chance = random.Random(1)
    letters = string.ascii_letters + string.digits
    return ["".join(chance.choices(letters, k=chance.randint(16, 40))) for _ in range(count)]


def prints() -> None:
    """Print lines."""
    for number in range(PRINTS):
        print(f"handled request {number:<63}")


def measure(folder: str, case: str, mask: list[str] | None) -> float:
    """Return the seconds of one case."""
    from runcast import Store

    if case in ("lines", "blocks", "base64"):
        return pumped(folder, case, mask)
    store = Store.open(folder)
    options = {} if mask is None else {"mask": mask}
    if case == "prints":
        began = time.process_time()
        run = store.start(prints, **options)
        run.wait()
        return time.process_time() - began
    found = []
    for _ in range(STARTS):
        store.start(["true"], **options).wait()  # now there is a supervisor
        began = time.perf_counter()
        run = store.start(["true"], **options)
        found.append(time.perf_counter() - began)
        run.wait()
    return min(found)


def pumped(folder: str, case: str, mask: list[str] | None) -> float:
    """Return the seconds of processor time that a supervisor's pump takes for the output of a program."""
    from runcast.log import FileLogWriter
    from runcast.model import Channel
    from runcast.store.run_files import RunFiles
    from runcast.supervisor.pump import Pipe, Pump

    os.makedirs(folder, exist_ok=True)
    files = RunFiles.create(f"{folder}/{time.monotonic_ns()}", {})
    files.acquire()
    pump = Pump(FileLogWriter(files, cap_bytes=64 << 20), lambda fd: None)
    reading, writing = os.pipe()
    pipe = Pipe(reading, Channel.STDOUT)
    pump.add(pipe)
    if mask is not None:
        from runcast.masking.masks import Masks
        from runcast.masking.stream import MaskedStream

        pipe.masked = MaskedStream(Masks(mask))
    count = LINES if case == "lines" else BLOCKS
    with subprocess.Popen([sys.executable, "-c", FLOOD, case, str(count), LINE], stdout=writing):
        os.close(writing)
        began = time.process_time()
        while pump.pipes:
            pump.take(pipe, time.monotonic())
        took = time.process_time() - began
    files.discard()
    return took


def child(source: str, folder: str, case: str, mask: list[str] | None) -> float:
    """Return what `measure` finds with the code of a source folder."""
    code = (
        f"import sys; sys.path[:0] = [{source!r}, {os.path.dirname(__file__)!r}]; import masking_costs as m; "
    )
    code += "import json; print(m.measure(*json.loads(sys.argv[1])))"
    command = [sys.executable, "-c", code, json.dumps([folder, case, mask])]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure, and print a table."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("folder", nargs="?", metavar="FOLDER")
    parser.add_argument("--before", metavar="SOURCE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--values", type=int, default=20)
    options = parser.parse_args()
    own = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")
    ways: dict[str, tuple[str, list[str] | None]] = (
        {"before": (options.before, None)} if options.before else {}
    )
    ways |= {"without": (own, None), "names": (own, []), "values": (own, values(options.values))}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for case in ("start", "lines", "blocks", "base64", "prints"):
            found: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(options.rounds):
                for way in list(ways) if turn % 2 else reversed(ways):
                    found[way].append(child(ways[way][0], f"{folder}/{way}", case, ways[way][1]))
            medians = {way: statistics.median(times) for way, times in found.items()}
            first = next(iter(medians.values()))
            shown = [f"{way} {took * 1000:.2f} ms ({first / took:.2f}x)" for way, took in medians.items()]
            print(case.ljust(8), *shown, flush=True)


if __name__ == "__main__":
    main()
