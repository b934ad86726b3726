"""Check what a wheel says of itself, and that it holds the package and nothing else. Argument: the wheel."""

import sys
import zipfile
from email.parser import BytesParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = {"server", "client", "flask", "django", "bottle", "cherrypy", "starlette"}


def faults(path: str) -> list[str]:
    """Return what is wrong with a wheel, one sentence each."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        said = BytesParser().parsebytes(wheel.read(metadata))
    found = []
    if said["Description-Content-Type"] != "text/markdown" or "# runcast" not in str(said.get_payload()):
        found.append("expected the README as its description")
    if not said["Summary"] or not said["License-Expression"]:
        found.append("expected a summary and a license")
    if (extras := set(said.get_all("Provides-Extra", []))) != EXTRAS:
        found.append(f"expected the extras {sorted(EXTRAS)}, got {sorted(extras)}")
    packed = {name for name in names if name.startswith("runcast/")}
    package = ROOT / "src"
    there = {
        str(file.relative_to(package))
        for file in (package / "runcast").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    found += [f"{name} is missing" for name in sorted(there - packed)]
    found += [f"{name} does not belong there" for name in sorted(packed - there)]
    return found


if __name__ == "__main__":
    for fault in (found := faults(sys.argv[1])):
        print(fault, file=sys.stderr)
    sys.exit(bool(found))
