"""Which lines say that something failed, and the place that they mean, for what real tools print.

`printed/` has what each tool wrote when it failed, with folders of a home in place of others.
"""

from typing import Any

import pytest

from tests.page.node import HERE, node, printed

pytestmark = pytest.mark.slow

# Of each output: the lines to go to, counted from 0, and the places that they name.
ERRORS: dict[str, list[tuple[int, str]]] = {
    "bash": [(1, "s.sh:3"), (2, "s.sh:4")],
    "cargo": [(2, "src/main.rs:2:5")],
    "cargo-test": [(11, "src/main.rs:4:5"), (40, "")],
    "dash": [(1, "d.sh:2")],
    "eslint": [(2, "/home/ada/demo/l.js:1:5"), (3, "/home/ada/demo/l.js:2:1")],
    "gawk": [(0, ""), (1, "")],
    "gcc": [(1, "main.c:4:18"), (5, "main.c:5:11")],
    "gcc-colour": [(1, "main.c:4:18"), (5, "main.c:5:11")],
    "gxx": [(1, "v.cpp:4:5")],
    "java": [(1, "Boom.java:4"), (3, "Boom.java:2")],
    "javac": [(0, "Main.java:3")],
    "ld": [(1, ""), (2, "")],
    "logging": [(3, ""), (6, "/home/ada/demo/log.py:8")],
    "make": [(1, "Makefile:5")],
    "make-missing": [(0, "")],
    "mawk": [(0, "")],
    "mypy": [(0, "t.py:2")],
    "node": [(5, "/home/ada/demo/boom.js:3:14")],
    "node-async": [(5, "/home/ada/demo/async.js:2:9")],
    "npm": [(9, "/home/ada/demo/boom.js:3:14")],
    "npm-ok": [],
    "perl": [(0, "p.pl:3")],
    "pytest": [(15, "test_demo.py:10"), (22, "test_demo.py:14"), (24, "test_demo.py"), (25, "test_demo.py")],
    "pytest-short": [
        *((3, "test_demo.py:10"), (8, "test_demo.py:14"), (12, "test_demo.py"), (13, "test_demo.py")),
    ],
    "python": [(4, "/home/ada/demo/app.py:5")],
    "python-chained": [(1, "/home/ada/demo/chained.py:2"), (9, "/home/ada/demo/chained.py:4")],
    "python-syntax": [(0, "/home/ada/demo/syntax.py:1")],
    "ruby": [(0, "r.rb:2")],
    "rust-panic": [(1, "p.rs:3:21")],
    "rustc": [(1, "m.rs:3:20"), (13, "m.rs:2:18"), (20, "")],
    "tsc": [(0, "a.ts:1:7")],
    "tsc-pretty": [(0, "a.ts:1:7")],
}


def errors_of(*outputs: str) -> list[list[tuple[int, str]]]:
    """Return the errors of outputs, which going back must find as well."""
    made: list[dict[str, Any]] = node("errors.mjs", outputs)
    assert all(one["same"] for one in made)
    return [[(error["to"], named(error["place"])) for error in one["errors"]] for one in made]


def named(place: dict[str, Any] | None) -> str:
    """Return a place as compilers print it."""
    if place is None:
        return ""
    return ":".join(str(place[key]) for key in ("file", "line", "column") if place[key] is not None)


def test_tools():
    """The next and the previous error of real tools are where they say, not at sums or at lines of source."""
    names = sorted(
        path.stem for path in (HERE / "printed").glob("*.txt") if not path.stem.startswith("json-")
    )

    assert names == sorted(ERRORS)
    assert dict(zip(names, errors_of(*map(printed, names)), strict=True)) == ERRORS


NONE = [
    *("0 errors, 0 warnings", "no errors found", "errors: 0", "finished without error", "2 failed, 1 passed"),
    *("GET /error 200 12ms", "12:30:01 worker:8080 ok", "http://a.example/error: fine", "localhost:8000"),
    *("python:3.11 pulled", " src/errors.py | 3 +-", "--error-limit 3", "PASSED test_error.py::test_error"),
    *("on error resume next", "    raise ValueError(1)", "    throw new Error(1);", "error_log=/var/log/x"),
    *("stderr is not closed", "src/error.rs:3 ok", "10.0.0.1:443 open", "during this error, try that"),
]
SOME = [
    *("ERROR in x", "2026-11-29 23:10:16,109 ERROR root: four", "[error] no", "error[E1]: x"),
    *("fatal: not a git repository", "panic: nil", "FATAL:  password", "npm ERR! code 1", "npm error code 1"),
    *("\u2717 broken", "not ok 3 - sums", "E   assert 1 == 2", "Segmentation fault (core dumped)"),
    *(
        "./main.go:3:5: undefined: x",
        "sh: 1: nope: not found",
        "::error file=a.js::b",
        "ld: cannot open output",
    ),
    *("java.lang.IllegalStateException: no", "KeyError: 'a'", "CRITICAL something", "level=error msg=x"),
]


def test_words():
    """Words of severity at the usual places are errors; sums, names, paths, times and ports are not."""
    lines = NONE + SOME

    assert [line for line, found in zip(lines, errors_of(*lines), strict=True) if found] == SOME


def test_own_frames():
    """A traceback through libraries means the last frame of the program's own files, or else the last."""
    foreign = '  File "/v/lib/python3.11/site-packages/web/app.py", line 9, in call\n    x()\n'
    own = '  File "/srv/app/views.py", line 30, in show\n    y()\n'
    head, end = "Traceback (most recent call last):\n", "ValueError: no\n"

    assert errors_of(head + own + foreign * 3 + end, head + foreign * 2 + end, head + end) == [
        [(1, "/srv/app/views.py:30")],
        [(3, "/v/lib/python3.11/site-packages/web/app.py:9")],
        [(0, "")],
    ]


def test_distance():
    """A place counts up to 60 lines behind the error and up to 6 before it."""
    place = "  --> a.rs:1:2\n"

    assert errors_of("error: x\n" + "\n" * 59 + place, "error: x\n" + "\n" * 60 + place) == [
        [(60, "a.rs:1:2")],
        [(0, "")],
    ]
    assert errors_of(place + "\n" * 5 + "error: x", place + "\n" * 6 + "error: x") == [
        [(0, "a.rs:1:2")],
        [(7, "")],
    ]


def test_long_lines():
    """A line of a million characters, or a million errors around each other, is looked at in no time."""
    assert errors_of("x " * 500_000 + "error: y", ("error " * 300 + "\n") * 300)[0] == []
