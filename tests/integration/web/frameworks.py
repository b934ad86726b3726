"""Applications of each framework, to be served from a folder of their own.

In `apps/command` each has the same views: `/stream` runs a command that says `one`, waits until there is
a file `go-ID` in its folder, says the rest and exits with 3; `/silent` runs one that says nothing. In
`apps/full` each has what else an adapter offers: a decorated generator at `/count`, a function at `/job`, a
run that viewers share at `/shared`, a command that is started by POST to `/begin`; the API below `/tools`.
"""

import shutil
from pathlib import Path

from tests.helpers.examples import EXAMPLES

ADAPTERS = EXAMPLES / "for_aiohttp"  # an adapter that is not ours, but of the docs
APPS = Path(__file__).parent / "apps"
_FILES = {path.stem.removesuffix("_app") for path in (APPS / "full").glob("*_app.py")}
FULL = sorted(_FILES - {"django"} | {"django-asgi", "django-wsgi"})
STEPS = """
echo one
while [ ! -e "go-$RUNCAST_RUN_ID" ]; do sleep 0.02; done
echo two >&2; echo three; exit 3
"""


def app_code(framework: str, folder: Path) -> str:
    """Return the application with a command; what it needs is in the folder then."""
    (folder / "steps.sh").write_text(STEPS)
    return _code("command", framework, folder)


def full_code(framework: str, folder: Path) -> str:
    """Return the application with all that an adapter offers; what it needs is in the folder then."""
    shutil.copy(APPS / "full" / "common.py", folder)
    return _code("full", framework, folder)


def _code(kind: str, framework: str, folder: Path) -> str:
    if framework == "aiohttp":
        shutil.copy(ADAPTERS / "runcast_aiohttp.py", folder)
    name, _, protocol = framework.partition("-")
    code = (APPS / kind / f"{name}_app.py").read_text()
    return code.replace("asgi", protocol or "asgi")  # Django has one for each
