"""Check what a wheel says of itself, and that it holds the package and nothing else.

Argument: the wheel; with `--extras` before it, only print the names of its extras.
"""

import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = set(PROJECT["optional-dependencies"])
UNSET = "example.org"


def said_by(path: str) -> Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(path) as wheel:
        [metadata] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(wheel.read(metadata))


def faults(path: str) -> list[str]:
    """Return what is wrong with a wheel, one sentence each."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    said, found = said_by(path), []
    if said["Description-Content-Type"] != "text/markdown" or "# runcast" not in str(said.get_payload()):
        found.append("expected the README as its description")
    if not said["Summary"] or not said["License-Expression"]:
        found.append("expected a summary and a license")
    if any(UNSET in url for url in said.get_all("Project-URL", [UNSET])):
        found.append("expected the project's own URLs: set [project.urls] in pyproject.toml")
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        found.append("expected the LICENSE in it")
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
    if sys.argv[1] == "--extras":
        print(*sorted(said_by(sys.argv[2]).get_all("Provides-Extra", [])), sep="\n")
        sys.exit()
    for fault in (found := faults(sys.argv[1])):
        print(fault, file=sys.stderr)
    sys.exit(bool(found))
