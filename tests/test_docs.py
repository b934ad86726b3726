"""The docs are true: examples run, links lead somewhere, signatures are the code's.

What an HTML comment right before a fenced block says of it:

    run        it is run by itself, in an empty folder and with a store of its own
    output     the block before prints this, `…` standing for the rest of a line
    file X     it is the file X of the project, word for word
    signature  inspect says the same of the object that the heading above names
    not run    nothing checks it; the reason follows
"""

import ast
import contextlib
import importlib
import inspect
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import click
import pytest

import runcast
import runcast.aio
import runcast.errors
import runcast.link.opening
import runcast.log
import runcast.model
import runcast.offsets
import runcast.run
import runcast.sources.command
import runcast.testing
from runcast import Store
from runcast.cli.app import app
from tests.helpers.children import run_python
from tests.helpers.pages import Block, anchors, parse
from tests.helpers.stores import end_store
from tests.helpers.wait import MS
from tests.test_imports import LEVEL

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
EXAMPLES = ROOT / "examples"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs" / "reference" / "python.md"
HOUSE = ROOT / "docs" / "explanation" / "house.md"
TUTORIAL = ROOT / "docs" / "tutorial" / "first-run.md"
BIN = os.path.dirname(sys.executable)
PATIENCE = 30000 * MS

MARKS = ("run", "output", "file ", "signature", "not run: ")
LINK = re.compile(r"\]\(([^()\s]+)\)")
FILES = re.compile(r"(?<![\w./-])((?:src|tests|scripts|examples|bench|docs)/[\w./-]*\w)")
DOTTED = re.compile(r"(?<![\w./@-])(runcast(?:\.[A-Za-z_]\w*)+)(?![\w/])")
MODULES = re.compile(r"(?<![\w./-])((?:\w+/)*(?!manage\.)[a-z_]+\.py)\b")
LOGGERS = {"runcast.audit", "runcast.threads"}  # of no room; `loggers` puts `runcast.` before the names
MISSING = object()
CODE = "".join(path.read_text(encoding="utf-8") for path in sorted(SRC.rglob("*.py")))
STANDARD_FOLDERS = {"/app", "/code", "/home", "/mnt", "/opt", "/src", "/srv", "/tmp", "/usr", "/var"}

PARSED = {path: parse(path) for path in PAGES}
BLOCKS = [block for page in PARSED.values() for block in page.blocks]
RUN = [block for block in BLOCKS if block.mark == "run"]
SHOWN = [block for block in BLOCKS if block.mark.startswith("file ")]
SIGNATURES = [block for block in BLOCKS if block.mark == "signature"]


def name_of(value: object) -> str | None:
    """Return what pytest calls a block or a page."""
    if isinstance(value, Block):
        return f"{value.page.relative_to(ROOT)}:{value.line}"
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else None


def output_of(block: Block) -> str | None:
    """Return what the page says that a block prints; None if it says nothing."""
    blocks = PARSED[block.page].blocks
    after = blocks[blocks.index(block) + 1 :][:1]
    return after[0].text if after and after[0].mark == "output" else None


def execute(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of an example to its end, with the tools of this project first in PATH."""
    env = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


# Pages


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links(page: Path):
    """Each relative link leads to a file of the project, and its fragment to a heading there."""
    broken = []
    for link in LINK.findall("\n".join(text for _, text in PARSED[page].sections)):
        target, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or not path.is_relative_to(ROOT):
            broken.append(link)
        elif fragment and path in PARSED and fragment not in anchors(PARSED[path]):
            broken.append(link)

    assert broken == []


def named(name: str) -> bool:
    """Return whether a dotted name is a module, an attribute of one, or a string in the code."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = SRC.joinpath(*parts[:length])
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            if length == len(parts):
                return True
            value: object = importlib.import_module(".".join(parts[:length]))
            for part in parts[length:]:
                value = getattr(value, part, MISSING)
            return value is not MISSING or name in LOGGERS or f'"{name}"' in CODE
    return False


def heads() -> Iterator[tuple[Path, str]]:
    """Yield the pages, except the changelog, and the docstrings of all modules."""
    for page in PAGES:
        if page.name != "CHANGELOG.md":
            yield page, page.read_text(encoding="utf-8")
    for folder in ("src", "scripts", "bench", "examples", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path, ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def test_named_modules():
    """Each file and each `runcast.x.y` that a page or the head of a module names exists."""
    gone = []
    for path, text in heads():
        where = path.relative_to(ROOT)
        gone += [f"{where}: {name}" for name in FILES.findall(text) if not (ROOT / name).exists()]
        gone += [f"{where}: {name}" for name in sorted(set(DOTTED.findall(text))) if not named(name)]
        if path.is_relative_to(SRC):
            near = (path.parent, SRC / "runcast", ROOT)
            gone += [
                f"{where}: {name}"
                for name in MODULES.findall(text)
                if not any((folder / name).exists() for folder in near)
            ]

    assert gone == []


def test_picture_of_the_house():
    """The picture of the rooms has all of them, each above the rows that it may import from."""
    text = HOUSE.read_text(encoding="utf-8")
    rows = [
        re.split(r" {3,}", line.strip())[0].split() for line in text.splitlines() if line.startswith("    ")
    ]

    assert {room for row in rows for room in row} == {room for room in LEVEL if not room.startswith("_")}
    for above, below in itertools.pairwise(rows):
        assert min(LEVEL[room] for room in above) >= max(LEVEL[room] for room in below), (above, below)


@pytest.mark.parametrize("page", [*PAGES, *sorted(EXAMPLES.rglob("*.py"))], ids=name_of)
def test_no_path_of_this_machine(page: Path):
    """No page and no example names a folder that only the machine of its writer has."""
    own = {str(path) for path in (ROOT, *ROOT.parents, Path.home())} - STANDARD_FOLDERS - {"/"}
    names = "|".join([*map(re.escape, sorted(own)), r"/(?:home|Users)/(?!you|user|alice|bob|app)\w+"])

    assert re.findall(rf"(?<![\w.-])(?:{names})(?![\w-])", page.read_text()) == []


def test_marks():
    """Every mark is one of those that are known, and a page that marks one block of Python marks all."""
    unknown = [block for block in BLOCKS if block.mark and not block.mark.startswith(MARKS)]
    marking = {block.page for block in BLOCKS if block.mark}
    unmarked = [block for block in BLOCKS if block.language == "python" and not block.mark]
    unmarked = [block for block in unmarked if block.page in marking]
    comments = [line for page in PAGES for line in page.read_text().splitlines() if line.startswith("<!-- ")]
    outputs = [block for block in RUN if output_of(block) is not None]

    assert [name_of(block) for block in unknown + unmarked] == []
    assert len([line for line in comments if line[5:].startswith(MARKS)]) == len(
        [block for block in BLOCKS if block.mark]
    )
    assert len(outputs) == len([block for block in BLOCKS if block.mark == "output"])


# Examples


@pytest.mark.slow
@pytest.mark.parametrize("block", RUN, ids=name_of)
def test_example(block: Block, store: Store, tmp_path: Path):
    """A block of the docs runs as it stands, and prints what the page says."""
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "example").write_text(block.text)
    interpreter = {"python": [sys.executable, "-W", "error"], "sh": ["bash", "-eu"]}[block.language]

    try:
        done = execute([*interpreter, "example"], folder)
    finally:
        for mark in folder.rglob("store.json"):  # a store that the example named itself
            end_store(mark.parent)

    assert done.returncode == 0, done.stdout + done.stderr
    if (expected := output_of(block)) is not None:
        assert re.fullmatch(re.escape(expected).replace("…", ".*"), done.stdout), done.stdout


@pytest.mark.parametrize("block", SHOWN, ids=name_of)
def test_shown_file(block: Block):
    """A block that shows a file of the project is that file, word for word."""
    assert block.text == (ROOT / block.mark.removeprefix("file ")).read_text()


@contextlib.contextmanager
def started(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """Start a command whose output is read here; it is dead, and waited for, at the end."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **options) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def tutorial_command(go: Path) -> str:
    """Return the command that the tutorial starts first, with pauses that end when there is a file."""
    line = next(
        line
        for block in PARSED[TUTORIAL].blocks
        for line in block.text.splitlines()
        if line.startswith("$ runcast run ")
    )
    return line.removeprefix("$ ").replace("sleep 1", f"until [ -e {go} ]; do sleep 0.1; done")


@pytest.mark.slow
@pytest.mark.fault
def test_tutorial_in_the_terminal(store: Store, tmp_path: Path):
    """The steps of the tutorial: start, follow from elsewhere, kill -9 the first, and nothing is missing."""
    path = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    command = f"exec {tutorial_command(tmp_path / 'go')}"
    with started(["bash", "-c", command], stdout=subprocess.PIPE, env=path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "step 1\n"
        first.kill()
        assert first.wait() == -signal.SIGKILL

    with started([f"{BIN}/runcast", "follow", "last"], stdout=subprocess.PIPE) as second:
        assert second.stdout is not None
        followed = second.stdout.readline()
        (tmp_path / "go").touch()
        followed += second.stdout.read()

    assert followed == "".join(f"step {number}\n" for number in range(1, 31))
    assert execute(["runcast", "wait", "last"], tmp_path).returncode == 3
    assert "exit 3" in execute(["runcast", "ls"], tmp_path).stdout


@pytest.mark.slow
@pytest.mark.fault
def test_tutorial_in_python(store: Store):
    """The two programs of the tutorial: the second tells all that the first, killed, had started."""
    code = (EXAMPLES / "first_run.py").read_text().replace("sleep 1", "sleep 0.1")
    with started([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        run_id = first.stdout.readline().split()[-1]
        assert first.stdout.readline() == "step 1\n"
        first.kill()

        told = run_python((EXAMPLES / "follow_run.py").read_text(), run_id)

    assert told.splitlines() == [*(f"step {number}" for number in range(1, 11)), "exit code 3"]


@pytest.mark.slow
@pytest.mark.fault
def test_several_workers(store: Store, tmp_path: Path):
    """What one worker of gunicorn started another one follows, even when the first was killed."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/runs"
    bind = ["--bind", f"fd://{listener.fileno()}", "--workers", "2", "--threads", "4"]
    command = [sys.executable, "-m", "gunicorn", *bind, "--graceful-timeout", "1", "several_workers:app"]
    with (
        listener,
        open(tmp_path / "log", "w") as log,
        started(command, cwd=EXAMPLES, stderr=log, pass_fds=[listener.fileno()]) as gunicorn,
    ):
        with urllib.request.urlopen(address, data=b"", timeout=PATIENCE) as reply:
            run_id, starter = reply.read().decode().strip(), int(reply.headers["X-Worker"])
        os.kill(starter, signal.SIGKILL)
        with urllib.request.urlopen(f"{address}/{run_id}", timeout=PATIENCE) as reply:
            lines, teller = reply.read().decode().splitlines(), int(reply.headers["X-Worker"])
        gunicorn.terminate()
        gunicorn.wait(PATIENCE)

    assert teller != starter
    assert lines == [*(f"step {number}" for number in range(1, 21)), "exit code 0"]


# The reference

HOMES = {
    "runcast": runcast,
    "runcast.aio": runcast.aio,
    "runcast.errors": runcast.errors,
    "runcast.model": runcast.model,
    "runcast.offsets": runcast.offsets,
}
TYPES = {"Place": runcast.run.Place, "Channels": None, "Command": None}  # of arguments
WHOLE = [runcast.Run, runcast.Store, runcast.log.Log]  # classes whose members have a heading each
SECTIONS = dict(PARSED[REFERENCE].sections) if REFERENCE in PARSED else {}


def members(kind: type) -> list[str]:
    """Return the public names that a class, or one of ours that it is made of, defines."""
    ours = [one for one in kind.__mro__ if one.__module__.startswith("runcast")]
    return sorted({name for one in ours for name in vars(one) if not name.startswith("_")})


def look_up(heading: str) -> object:
    """Return the object that a heading of the reference names; None if it names none."""
    value: object = None
    for at, part in enumerate(heading.split(".")):
        if at:
            value = getattr(value, part, None)
        elif part == "Log":
            value = runcast.log.Log
        else:
            value = runcast if part == "runcast" else getattr(runcast, part, None)
    return value


def test_every_public_name_has_a_heading():
    """The reference has a heading for each public name, and for each member of the large classes."""
    names = set(TYPES)
    for module, home in HOMES.items():
        for name in home.__all__:
            names.add(name if isinstance(getattr(home, name), type) else f"{module}.{name}")
    names |= {f"{kind.__name__}.{name}" for kind in WHOLE for name in members(kind)}

    assert sorted(names - set(SECTIONS)) == []


def test_every_value_is_told():
    """Each member of an enum, each field and each property of a value stands in its section."""
    values = [getattr(runcast.model, name) for name in runcast.model.__all__]
    kinds = [value for value in values if isinstance(value, type)]
    missing = []
    for kind in kinds:
        names = [one.name for one in kind] if issubclass(kind, Enum) else members(kind)
        names += list(kind.__annotations__)
        missing += [f"{kind.__name__}.{name}" for name in names if f"`{name}`" not in SECTIONS[kind.__name__]]

    assert len(kinds) >= 6
    assert missing == []


def test_every_error_is_told():
    """Each error's section tells its HTTP status and the attributes that it carries."""
    missing = []
    for name in runcast.errors.__all__:
        error = getattr(runcast.errors, name)
        if not issubclass(error, runcast.RuncastError):  # RunStopped stands apart
            continue
        tree = ast.parse(inspect.getsource(error))
        stored = [one.attr for one in ast.walk(tree) if isinstance(one, ast.Attribute)]
        carried = [attribute for attribute in stored if attribute in _assigned(tree)]
        wanted = [f"HTTP {error.http_status}", *(f"`{attribute}`" for attribute in carried)]
        missing += [f"{name}: {one}" for one in wanted if one not in SECTIONS[name]]

    assert missing == []


def _assigned(tree: ast.AST) -> set[str]:
    stores = (one for one in ast.walk(tree) if isinstance(one, ast.Attribute))
    return {one.attr for one in stores if isinstance(one.ctx, ast.Store)}


def test_every_option_of_the_server_is_told():
    """The reference of the server's configuration has a line for each option of `runcast serve`."""
    page = ROOT / "docs" / "reference" / "configuration.md"
    rows = [line.split(" | ")[0] for line in page.read_text().splitlines() if line.startswith("| `--")]
    serve = app.get_command(click.Context(app), "serve")
    assert serve is not None
    there = {one.opts[0] for one in serve.params if one.name != "help"}
    assert {option for row in rows for option in re.findall(r"--[a-z-]+", row)} == there


def test_every_function_has_its_signature():
    """Each heading that names a function or a method has a signature below it."""
    named = {heading: look_up(heading) for heading in SECTIONS}
    functions = [
        name for name, value in named.items() if inspect.isfunction(value) or inspect.ismethod(value)
    ]
    told = {block.heading for block in SIGNATURES}

    assert len(functions) > 30
    assert [heading for heading in functions if heading not in told] == []


def shape(signature: str) -> list[object]:
    """Return the parameters of a signature as `ast` sees them, `self` left out."""
    function = ast.parse(f"def f{signature}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, None, *arguments.kwonlyargs, arguments.kwarg]
    parameters = [(one and one.arg, one and one.annotation and ast.unparse(one.annotation)) for one in named]
    return [
        [one for one in parameters if one[0] not in ("self", "cls")],
        [one and ast.unparse(one) for one in (*arguments.defaults, *arguments.kw_defaults)],
        function.returns and ast.unparse(function.returns),
    ]


@pytest.mark.parametrize("block", SIGNATURES, ids=lambda block: block.heading)
def test_signature(block: Block):
    """A signature in the reference is that of the code, and each of its parameters is told."""
    value = look_up(block.heading)
    assert callable(value)
    written = block.text[block.text.index("(") :].replace("\n", " ")

    actual = inspect.signature(value)

    assert shape(written) == shape(_as_text(actual))
    told = SECTIONS[block.heading]
    names = [name for name in actual.parameters if name not in ("self", "cls")]
    assert [name for name in names if f"`{name}`" not in told] == []


class _Bare(str):
    """A text that is its own repr."""

    def __repr__(self) -> str:
        return str(self)


def _as_text(signature: inspect.Signature) -> str:
    """Return a signature as the reference writes it: sizes as powers of 2, signals by name."""
    names = {2**30: "2**30", 2**16: "2**16", signal.SIGTERM: "SIGTERM"}
    parameters = [
        one.replace(
            annotation=_Bare(one.annotation),
            default=_Bare(names[one.default]) if one.default in names else one.default,
        )
        for one in signature.parameters.values()
        if one.name not in ("self", "cls")
    ]
    return str(signature.replace(parameters=parameters, return_annotation=_Bare(signature.return_annotation)))


def test_twin():
    """`AsyncRun` has the names of `Run`, with the same parameters, as the reference says."""
    ours = {name: getattr(runcast.Run, name) for name in members(runcast.Run)}
    theirs = {name: getattr(runcast.AsyncRun, name) for name in members(runcast.AsyncRun)}

    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        if inspect.isfunction(method):
            assert inspect.signature(method).parameters == inspect.signature(theirs[name]).parameters


@pytest.mark.slow
def test_site(tmp_path: Path):
    """The pages build as a site, without one warning: no link leads nowhere, no docstring is unreadable."""
    words = ["--quiet", "--fail-on-warning", "--keep-going", "-c", "docs/site", "docs", str(tmp_path)]
    built = subprocess.run([sys.executable, "-m", "sphinx", *words], cwd=ROOT, capture_output=True, text=True)

    assert (built.returncode, built.stderr) == (0, "")
    assert 'id="runcast.Run.follow"' in (tmp_path / "site" / "api.html").read_text()
