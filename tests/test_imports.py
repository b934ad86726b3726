"""The house of runcast: which room may import which.

`check()` reads the imports with `ast`, so nothing is run. Imports inside functions count. Those under
`if TYPE_CHECKING:` count only where modules import each other in a circle. A room is the first name
below `runcast`; the package's own `__init__.py` is the room `__init__`.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "runcast"

# From the bottom. A module imports from its own room and from lower layers only.
LAYERS = (
    {"errors", "escapes", "ids", "loaded", "loggers", "quantities", "shortages"}
    | {"signatures", "trace_context", "utf8", "who", "_version"},
    {"acting", "installed", "keep", "masking", "model", "offsets", "own_thread", "rights", "sysio"},
    {"hints", "json_objects", "known_proxies", "options"},
    {"store"},
    {"log", "wire"},
    {"link", "shelf", "supervisor", "readers", "search"},
    {"agent", "sources"},
    {"run"},
    {"client", "starting", "durable", "retention"},
    {"runs"},
    {"attached", "doctor", "hooks", "otel"},
    {"api"},
    {"aio"},
    {"__init__"},
    {"testing"},
    {"web"},
    {"server"},
    {"cli"},
    {"__main__"},
)
# The same inside a room: of `web`, what users import comes last, and each adapter stands alone.
INSIDE = {
    "web": (
        {"page", "servers"},
        {"http"},
        {"live"},
        {"api"},
        {"responder"},
        {"adapters"},
        {"asgi", "wsgi"},
        {"bottle", "cherrypy", "django", "flask", "starlette"},
    ),
}
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# Stricter than the layers: the only rooms that these may import, and those that they never may.
ONLY = {"wire": {"errors", "model", "offsets", "quantities", "utf8"}}
LINKING = {"agent", "link", "shelf"}  # what is between hosts: slow to load and to answer, at times not there
NEVER = {
    "supervisor": {"readers", "wire", "web", "run", "runs"} | LINKING,
    "sources": {"readers"} | LINKING,
    "readers": {"sources"} | LINKING,
    "client": {"store", "runs"} | LINKING,
    **dict.fromkeys(("run", "runs", "starting", "web", "server", "cli"), LINKING),
}
# Rooms that know files, and what only they may name.
FILES = {"store", "log", "durable", "shelf", "supervisor", "sysio"}
ONLY_IN = {
    r"\b(fcntl|flock|lockf|register_at_fork)\b": {"sysio"},
    r"\bos\.(rename|renames|replace|link|symlink|scandir|listdir)\b": FILES,
    r"\bsysio\.locks\b": FILES,
    r"\bos\.open\b": FILES,
}
# What is named elsewhere all the same, and why: none of it is a file of a store.
SPOOL = "a spool, a file without a name that two processes share"
NAMED = {
    ("runcast.sources.drain", "sysio.locks"): SPOOL,
    ("runcast.sources.spool", "sysio.locks"): SPOOL,
    ("runcast.sources.spool", "os.open"): SPOOL,
    ("runcast.sources.numbers", "os.open"): "the null device, for a real stream that is closed",
    ("runcast.cli.terminal", "os.open"): "the null device, for a real stream that is closed",
    ("runcast.cli.app", "os.open"): "the null device, for a pipe that nobody reads any more",
}
MAX_LINES = 400
HEAVY = {
    *("asyncio", "botocore", "bottle", "cherrypy", "click", "django", "flask"),
    *("msgspec", "opentelemetry", "psycopg", "redis", "sentry_sdk", "starlette", "uvicorn"),
}
TYPE_CHECKING = {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def check(root: Path) -> list[str]:
    """Return what is wrong in the package at `root`, one sentence per fault."""
    files = {module_name(path, root): path for path in sorted(root.rglob("*.py"))}
    graph: dict[str, set[str]] = {}
    typed: dict[str, set[str]] = {}
    faults = []
    for module, path in files.items():
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > MAX_LINES:
            faults.append(f"{module} has {lines} lines, expected at most {MAX_LINES}")
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        tree = ast.parse(text)
        faults += [
            f"{module} names {name}: only {', '.join(sorted(rooms))} may"
            for name, rooms in names_in(text)
            if room_of(module) not in rooms and (module, name) not in NAMED
        ]
        graph[module] = {nearest(name, files) for name in imports(tree, package)} - {module}
        typed[module] = {nearest(name, files) for name in imports(tree, package, typed=True)} - {module}
        faults += [
            f"{module} imports {other}: {reason}"
            for other in sorted(graph[module])
            if (reason := forbidden(room_of(module), room_of(other)) or forbidden_inside(module, other))
        ]
    for kind, edges in (("import cycle", graph), ("cycle of types", typed)):
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            return [*faults, f"{kind}: " + " <- ".join(error.args[1])]
    return faults


def names_in(text: str) -> list[tuple[str, set[str]]]:
    """Return which names of `ONLY_IN` stand in a module, and which rooms may name them."""
    return [
        (found, rooms)
        for pattern, rooms in ONLY_IN.items()
        for found in sorted({match[0] for match in re.finditer(pattern, text)})
    ]


def forbidden(room: str, other: str) -> str | None:
    """Say why `room` may not import `other`, or None where it may."""
    if unknown := {room, other} - LEVEL.keys():
        return f"{unknown.pop()} is no room of the house"
    if room == other:
        return None
    if LEVEL[other] >= LEVEL[room]:
        return f"{other} is not below {room}"
    if other in NEVER.get(room, ()) or other not in ONLY.get(room, LEVEL):
        return f"{room} must not know {other}"
    return None


def forbidden_inside(module: str, other: str) -> str | None:
    """Say why a module may not import another of its room, or None where it may."""
    layers = INSIDE.get(room_of(module))
    if layers is None or room_of(other) != room_of(module):
        return None
    mine, its = (name.split(".")[2:3] or ["__init__"] for name in (module, other))
    if mine == its:
        return None
    level = {part: number for number, parts in enumerate(layers) for part in parts}
    if unknown := {*mine, *its} - level.keys() - {"__init__"}:
        return f"{unknown.pop()} is no part of {room_of(module)}"
    if level.get(its[0], -1) < level.get(mine[0], len(layers)):
        return None
    return f"{its[0]} is not below {mine[0]} in {room_of(module)}"


def imports(node: ast.AST, package: str, *, typed: bool = False) -> Iterator[str]:
    """Yield the full names of ours that `node` imports: `runcast.a.b`, or `runcast.a.b.Name`.

    With `typed`, those for the type checker as well.
    """
    match node:
        case ast.Import(names):
            yield from (alias.name for alias in names if is_ours(alias.name))
        case ast.ImportFrom(module, names, level):
            parts = package.split(".")[: -(level - 1) or None] if level else []
            base = ".".join([*parts, *filter(None, [module])])
            yield from (f"{base}.{alias.name}" for alias in names if is_ours(base))
        case ast.If(test, orelse=orelse) if not typed and ast.unparse(test) in TYPE_CHECKING:
            for child in orelse:
                yield from imports(child, package)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from imports(child, package, typed=typed)


def is_ours(name: str) -> bool:
    return name.split(".")[0] == "runcast"


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(["runcast", *(part for part in parts if part != "__init__")])


def nearest(name: str, files: dict[str, Path]) -> str:
    """Return the module that `name` is, or the one that it is a name in."""
    parent = name.rpartition(".")[0]
    return name if name in files or not parent or parent not in files else parent


def room_of(module: str) -> str:
    _, room, *_ = [*module.split("."), "__init__"]
    return room


def loaded_by(statement: str) -> set[str]:
    """Return the names of all modules that `statement` loads in a fresh interpreter."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_house():
    """Every import in runcast goes down, no rule is broken, and no module is too long."""
    faults = check(SOURCE)

    assert not faults, "\n".join(faults)


def test_named_are_there():
    """Each name that a module has with a reason is there: one that was taken out may not come back."""
    files = {module_name(path, SOURCE): path for path in SOURCE.rglob("*.py")}

    for module, name in NAMED:
        assert name in {found for found, _ in names_in(files[module].read_text(encoding="utf-8"))}


def test_import_is_light():
    """`import runcast` loads no framework, no server, no redis and no event loop."""
    loaded = loaded_by("import runcast")

    assert "runcast" in loaded
    assert loaded & HEAVY == set()


def test_forkserver_is_light():
    """A forkserver loads no `threading`, whose hooks make each supervisor copy memory, and no OpenSSL.

    Nor `weakref`: a set of weak references that is looked through at each fork was 0.3 MiB of each.
    """
    loaded = loaded_by("import runcast.supervisor.forkserver")

    assert "runcast.supervisor.forkserver" in loaded
    assert not loaded & {"threading", "hashlib", "random", "secrets", "weakref"}


def test_link_is_light():
    """The interface of links, their errors and their checks load no client of any engine."""
    loaded = loaded_by("import runcast.link, runcast.link.memory, runcast.testing")

    assert "runcast.link.base" in loaded
    assert not loaded & {"redis", "ssl", "asyncio"}


def test_agent_is_light():
    """An agent, with a link through Redis, loads no client, no event loop, no TLS: it has 45 MB in all."""
    loaded = loaded_by("import runcast.agent.process, runcast.link.redis_link")

    assert "runcast.link.redis_wire" in loaded
    assert not loaded & {"redis", "ssl", "hashlib", "asyncio", "email", "importlib.metadata", "opentelemetry"}
    assert len(loaded) <= 230


def test_heavy_import_is_seen():
    """The check for light imports finds a module that is loaded indirectly."""
    assert "asyncio" in loaded_by("import asyncio.subprocess") & HEAVY


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a package with these files and return its folder."""
    for name, text in files.items():
        path = root / "runcast" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "runcast"


FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n "
GROUND = {
    f"{name}.py": "" for name in ("__init__", "errors", "model", "ids", "log/__init__", "link/__init__")
}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"errors.py": "import runcast.log"}, "errors imports runcast.log: log is not below"),
        ({"errors.py": "from . import log"}, "errors imports runcast.log: log is not below"),
        ({"errors.py": "from runcast.model import X"}, "model is not below errors"),
        ({"log/a.py": "from .. import start"}, "log.a imports runcast: __init__ is not below log"),
        ({"log/a.py": "def f():\n from ..web.flask import X"}, "web is not below log"),
        ({"wire/a.py": "from ..ids import X"}, "wire must not know ids"),
        ({"supervisor/a.py": "import runcast.wire.sse"}, "supervisor must not know wire"),
        ({"sources/a.py": "from runcast.readers import X"}, "sources must not know readers"),
        ({"readers/a.py": "from ..sources.b import X"}, "sources is not below readers"),
        ({"client.py": "from .runs import Store"}, "runs is not below client"),
        ({"readers/a.py": "from ..link import X"}, "link is not below readers"),
        ({"web/a.py": "from ..link import X"}, "web must not know link"),
        ({"attic.py": "from . import model"}, "attic is no room of the house"),
        ({"log/a.py": "from . import b", "log/b.py": "from .a import X"}, "import cycle: "),
        ({"log/a.py": "from . import b", "log/b.py": f"{FOR_TYPES}from .a import X"}, "cycle of types: "),
        ({"log/a.py": "import fcntl"}, "log.a names fcntl: only sysio may"),
        ({"web/a.py": "import os\nos.rename"}, "web.a names os.rename: only durable, log, shelf, "),
        ({"web/a.py": "import os\nos.open"}, "web.a names os.open: only durable, log, shelf, "),
        ({"web/http/a.py": "from runcast.web.api.b import X"}, "api is not below http in web"),
        ({"web/flask.py": "from runcast.web.bottle import X"}, "bottle is not below flask in web"),
        ({"web/attic.py": "from runcast.web.http.a import X"}, "attic is no part of web"),
        ({"model.py": "x = 1\n" * 401}, "model has 401 lines, expected at most 400"),
    ],
)
def test_fault_is_found(tmp_path: Path, files: dict[str, str], fault: str):
    """The checker tells each kind of fault, and nothing else."""
    faults = check(plant(tmp_path, GROUND | files))

    assert len(faults) == 1
    assert fault in faults[0]


def test_good_house(tmp_path: Path):
    """Imports that go down, stay in the room or serve only the type checker are no fault."""
    files = {
        "__init__.py": "from .log import a as log_a\nfrom .log.b import X\nimport json",
        "log/__init__.py": "from .a import X\nfrom runcast import errors",
        "log/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n from ..web import X",
        "log/b.py": "from . import a\nfrom ..model import X\nx = 1\n" * 100,
        "web/flask.py": "import flask\nimport runcast\nfrom ..wire.sse import X",
        "__main__.py": "from runcast.cli import main",
    }

    assert check(plant(tmp_path, GROUND | files)) == []
