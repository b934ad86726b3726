"""Groups and annotations, by the rules of GitHub's runner, of GitLab and of Buildkite's agent."""

import random
from typing import Any

import pytest

from tests.page.node import node

pytestmark = pytest.mark.slow

CLEAR = "\r\033[0K"


def groups_of(*outputs: str | list[list[Any]], **options: Any) -> list[dict[str, Any]]:
    """Return the groups of outputs: of stdout at no time, or of pieces [channel, text, time]."""
    pieces = [[["stdout", one]] if isinstance(one, str) else one for one in outputs]
    made: list[dict[str, Any]] = node("groups.mjs", [{"pieces": one, **options} for one in pieces])
    return made


def spans(made: dict[str, Any]) -> list[tuple[str, int, int | None]]:
    """Return the title, the first and the last line of each group."""
    return [(group["title"], group["line"], group["end"]) for group in made["groups"]]


# Lines, and the titles of the groups that they begin.
GITHUB: dict[str, list[str]] = {
    "::group::a": ["a"],
    "   \t::group::a": ["a"],
    "::GROUP::a": ["a"],
    "::group ::a": ["a"],
    "::group title=x::a": ["a"],
    "::group::": [""],
    "::group:: a b ": [" a b "],
    "::group::a::b": ["a::b"],
    "::group::100%25 %250A%0D": ["100% %0A\r"],
    "##[group]a": ["a"],
    "text ##[group]a": ["a"],
    "\033[32mtext\033[0m ##[Group]a": ["a"],
    "##[group]a%5D%3B%25": ["a];%"],
    "##[group x=1]a]b": ["a]b"],
    "10%\r::group::a": ["a"],
    "::group::a\r": ["a"],
    "x ::group::a": [],
    ":: group::a": [],
    "::grouped::a": [],
    "::group:a": [],
    "::std::vector": [],
    "##[grouped]a": [],
    "##[group": [],
    "# [group]a": [],
    "::endgroup::": [],
}


def test_github():
    """A group begins at `::group::` at a line's beginning, or at `##[group]` anywhere, in any case."""
    made = groups_of(*(f"{line}\n" for line in GITHUB))

    assert {
        line: [title for title, *_ in spans(one)] for line, one in zip(GITHUB, made, strict=True)
    } == GITHUB


def test_ends_of_github():
    """A group ends at the next endgroup or group, or is open to the end; else an endgroup is a line."""
    outputs = [
        "::group::a\n1\n::endgroup::\n2\n",
        "::group::a\n1\n::group::b\n2\n##[endgroup]text\n3\n",
        "::group::a\n1\n2",
        "::endgroup::\n1\n::endgroup::\n",
        "::group::a\n::endgroup::\n::endgroup::\n",
        "::group::a\n::endgroup::",
    ]

    made = groups_of(*outputs)
    assert [spans(one) for one in made] == [
        *([("a", 0, 2)], [("a", 0, 1), ("b", 2, 4)], [("a", 0, None)], [], [("a", 0, 1)], [("a", 0, 1)]),
    ]
    assert [one["marked"] for one in made] == [[[2, "end"]], [[4, "end"]], [], [], [[1, "end"]], [[1, "end"]]]


def test_stop_commands():
    """Between stop-commands and its token all commands are plain output, and so are both lines."""
    outputs = [
        "::stop-commands::tok\n::group::a\n##[error]no\n::TOK::\n::group::b\n",
        "::stop-commands::tok\n::other::\n::group::a\n##[tok]\n::group::b\n",
        "::stop-commands::\n::group::a\n",  # no token
        "::stop-commands::group\n::group::a\n",  # a command's name
        "::stop-commands::pause-logging\n::group::a\n",
        "::stop-commands::a\n::stop-commands::b\n::b::\n::group::a\n::a::\n::group::b\n",
    ]

    made = groups_of(*outputs)
    assert [[title for title, *_ in spans(one)] for one in made] == [["b"], ["b"], ["a"], ["a"], ["a"], ["b"]]
    assert made[0]["annotations"] == []


# The mark of an annotation, and what it says: file, line, last line, column, last column, title, text.
ANNOTATIONS: dict[str, tuple[Any, ...]] = {
    "::error::a": ("error", "", None, None, None, None, "", "a"),
    "::warning file=a.js,line=3,col=5::a": ("warning", "a.js", 3, None, 5, None, "", "a"),
    "::notice file=a.js,line=3,endLine=4,title=T::a": ("notice", "a.js", 3, 4, None, None, "T", "a"),
    "::error FILE=a.js,LINE=3::a": ("error", "a.js", 3, None, None, None, "", "a"),
    "::error file=a.js,endLine=3::a": ("error", "a.js", 3, 3, None, None, "", "a"),
    "::error file=a.js,line=3,endLine=4,col=1,endColumn=2::a": ("error", "a.js", 3, 4, None, None, "", "a"),
    "::error line=3,endLine=3,col=1,endColumn=2::a": ("error", "", 3, 3, 1, 2, "", "a"),
    "::error line=4,endLine=3::a": ("error", "", None, None, None, None, "", "a"),
    "::error line=3,col=5,endColumn=2::a": ("error", "", 3, None, None, None, "", "a"),
    "::error file=a.js, line=3::a": ("error", "a.js", None, None, None, None, "", "a"),
    "::error file=a%2Cb%3Ac,title=%250A::x%0Ay%25": (
        "error",
        "a,b:c",
        None,
        None,
        None,
        None,
        "%0A",
        "x\ny%",
    ),
    "::error file=a=b.js,title=::a": ("error", "a=b.js", None, None, None, None, "", "a"),
    "::error file=a.js,other=1,,line=x::a": ("error", "a.js", None, None, None, None, "", "a"),
    "##[error]a": ("error", "", None, None, None, None, "", "a"),
    "at 12:00 ##[warning file=a.js;line=3]a": ("warning", "a.js", 3, None, None, None, "", "a"),
}


def test_annotations():
    """Errors, warnings and notices have their place; a place that cannot be is left out."""
    made = groups_of(*(f"{line}\n" for line in ANNOTATIONS), "::debug::a\n::errors::b\n")
    keys = ("kind", "file", "line", "endLine", "column", "endColumn", "title", "text")

    found = [[tuple(each[key] for key in keys) for each in one["annotations"]] for one in made]
    assert dict(zip(ANNOTATIONS, found[:-1], strict=True)) == {
        line: [said] for line, said in ANNOTATIONS.items()
    }
    assert found[-1] == []


def test_many_annotations():
    """Some are kept, each with its line; all are counted."""
    (made,) = groups_of("x\n" + "::error::a\n" * 500 + "::warning::b\n" * 3)

    assert (len(made["annotations"]), made["annotations"][7]["at"]) == (50, 8)
    assert made["counted"] == {"error": 500, "warning": 3, "notice": 0}


def start(name: str, time: int = 1, title: str = "") -> str:
    """Return GitLab's mark of a section's start."""
    return f"section_start:{time}:{name}{CLEAR}{title}"


def end(name: str, time: int = 2) -> str:
    """Return GitLab's mark of a section's end."""
    return f"section_end:{time}:{name}{CLEAR}"


def test_gitlab():
    """Sections begin and end anywhere in a line, by their names; without return and erasing they are text."""
    outputs = {
        start("a", title="A") + "\n1\n" + end("a") + "\n2\n": [("A", 0, 2)],
        start("a") + "\n1\n" + end("a") + "2\n": [("a", 0, 1)],
        start("a") + "\n1\n" + end("a") + start("b", title="\033[36;1mB\033[0m") + "\n2\n": [
            *(("a", 0, 1), ("B", 2, None)),
        ],
        "text" + start("a") + "\n": [("a", 0, None)],
        "\033[0K" + start("a", title="A") + "\n" + end("a"): [("A", 0, 1)],
        start("A_b.c-") + "\n" + end("a-b-c_") + "\n": [("A_b.c-", 0, 1)],
        start("a") + "\n" + start("b") + "\n" + end("a") + "\n1\n" + end("b") + "\n": [
            *(("a", 0, 2), ("b", 1, 4)),
        ],
        start("a") + "\n" + start("a") + "\n" + end("a") + "\n": [("a", 0, 0), ("a", 1, 2)],
        end("a") + "\n1\n": [],
        "section_start:1:a\nsection_end:1:a\n": [],
        "section_start:1:a\r\n": [],
        "section_start:1:a b" + CLEAR + "\n": [],
        "section_start:x:a" + CLEAR + "\n": [],
    }

    assert dict(zip(outputs, map(spans, groups_of(*outputs)), strict=True)) == outputs


def test_nested():
    """A section is in the one that was opened last; its duration is what its own marks say."""
    (made,) = groups_of(
        start("a", 100) + "\n" + start("b[collapsed=true]", 101) + "\n" + end("b", 3701) + "\n" + end("a", 99)
    )

    assert [(one["parent"], one["took"], one["folded"]) for one in made["groups"]] == [
        *((None, 0, False), ("a", 3600, True)),
    ]


def test_duration():
    """A group of GitHub's took as long as its lines came apart, of any channel."""
    pieces = [
        ["stderr", "half", 1],
        ["stdout", "::group::a\n", 2],
        ["stderr", "\n", 3],
        ["stdout", "::end", 5],
    ]

    (made,) = groups_of([*pieces, ["stdout", "group::\n", 9]])
    assert [(one["line"], one["end"], one["took"]) for one in made["groups"]] == [(0, 2, 3)]


BUILDKITE = "--- a\n1\n+++ :rocket: b\n2\n\033[32m~~~ c\033[0m\n3\n"


def test_buildkite():
    """Headers of Buildkite's count only on request, since every diff has them."""
    assert groups_of(BUILDKITE)[0]["groups"] == []
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n-a\n"
    more = [
        "--- a\n+++ b\n^^^ +++\n--- c\n^^^ +++\n",
        "--- a\n--- b\n",
        "---\n----\n ---  x\n--- " + "x" * 500,
        diff,
    ]

    made = groups_of(BUILDKITE, *more, buildkite=True)
    assert [spans(one) for one in made] == [
        *([("a", 0, 1), (":rocket: b", 2, 3), ("c", 4, None)], [("a", 0, 0), ("b", 1, 2), ("c", 3, None)]),
        *([("a", 0, 0), ("b", 1, None)], [("", 0, None)], [("a/x", 1, 1), ("b/x", 2, None)]),
    ]
    folded = [[group["folded"] for group in one["groups"]] for one in made]
    assert folded[:3] == [[True, False, True], [True, False, False], [True, False]]


def test_failed():
    """A group with an error in it has failed, and all around it; of a failed run the last one has, too."""
    outputs = [
        "::group::a\nerror: no\n::endgroup::\n::group::b\nfine\n::endgroup::\n",
        start("a") + "\n" + start("b") + "\n::error::x\n" + end("b") + "\n" + end("a") + "\n",
        "error: no\n::group::errors: many\n0 errors\n",
        "::group::a\n\033[31merror\033[0m: no",
    ]

    def failed(*more: str, **options: Any) -> list[list[bool]]:
        return [[group["failed"] for group in one["groups"]] for one in groups_of(*more, **options)]

    assert failed(*outputs) == [[True, False], [True, True], [False], [True]]
    assert failed(outputs[2], "text\n", failed=True) == [[True], []]


PYTHON = 'Traceback (most recent call last):\n  File "a.py", line 1\n    x()\n\n    y()\nValueError: no\n'
JAVA = "java.lang.IllegalStateException: no\n\tat a.B.c(D.java:1)\n\tat a.B.c(D.java:2)\n"


def test_traces():
    """The trace of a stack below a line of a logger is a group; a short one is not folded."""
    outputs = [
        f"ERROR failed\n{PYTHON}more\n",
        PYTHON,
        f"plain\n{PYTHON}",
        f"ERROR x\n{JAVA}\tat e.F.g(H.java:3)\n\tat e.F.g(H:4)\nCaused by: {JAVA}\t... 3 more\nINFO on\n",
        f"[error] x\n\n{JAVA}INFO on\n",
        f"ERROR x\ntext\n{JAVA}",
        "\033[31mERROR\033[0m x\n    at f (/a.js:1:2)\n    at g\n    at h\n    at i\n    at j\nINFO on\n",
    ]

    made = groups_of(*outputs)
    assert [[(one["line"], one["end"], one["folded"]) for one in each["groups"]] for each in made] == [
        *([(1, 5, True)], [], [], [(2, 5, True), (7, 9, False)], [(3, 4, False)], [], [(1, 5, True)]),
    ]
    (around,) = groups_of(f"::group::a\nERROR x\n{PYTHON}::endgroup::\n")
    assert [(one["title"], one["failed"], one["parent"]) for one in around["groups"]] == [
        *(("a", True, None), ("Traceback (most recent call last):", False, "a")),
    ]


def test_traces_of_two_channels():
    """The lines of another channel between those of a trace do not end it."""
    trace = [["stderr", f"{line}\n"] for line in f"ERROR failed\n{PYTHON}".splitlines()]
    mixed = [piece for one in trace for piece in (one, ["stdout", "text\n"])]

    assert [(one["line"], one["end"]) for one in groups_of(mixed)[0]["groups"]] == [(2, 11)]


def test_masked_values():
    """A line that names a secret is known, so that it is not shown."""
    assert groups_of("::add-mask::secret\n::ADD-MASK::x\nadd-mask::y\n")[0]["marked"] == [
        *([0, "mask"], [1, "mask"]),
    ]


def test_any_pieces():
    """Output of two channels gives the same groups in whatever pieces it comes."""
    chosen = random.Random(11)
    lines = [
        *("::group::a\n", "::endgroup::\n", "##[error file=a.js;line=3]x\n", "text\n", "error: no\n", "\n"),
        *(start("a") + "\n", start("b", title="B") + "\n", end("a") + "\n", end("b") + start("c") + "\n"),
        *(
            "ERROR x\n",
            "Traceback (most recent call last):\n",
            '  File "a.py", line 3\n',
            "\tat a.b(C.java:3)\n",
            "::stop-commands::t\n",
            "::t::\n",
            "::add-mask::x\r\n",
            "\033[31mred\033[0m\n",
            "--- x\n",
            "+++ y\n",
        ),
    ]
    for _ in range(3):
        text = "".join(chosen.choice(lines) for _ in range(60)) + "the end"
        cuts = [sorted(chosen.sample(range(len(text)), 12)) for _ in range(30)]
        outputs = [[["stdout", text]], [["stdout", one] for one in text]]
        for cut in cuts:
            outputs.append([["stdout", text[a:b]] for a, b in zip([0, *cut], [*cut, len(text)], strict=True)])
        made = groups_of(*outputs, buildkite=True)

        assert all(one == made[0] for one in made)
        assert len(made[0]["groups"]) > 5


def test_bounds():
    """Marks without end make no more than so many groups, and a line without end is read up to a length."""
    opened = "".join(start(f"s{number}") + "\n" for number in range(20_000))
    many, closed, long, late = groups_of(
        *(
            opened,
            "::group::a\n::endgroup::\n" * 20_000,
            "x" * 5_000_000 + "::group::a\n",
            "x" * 9000 + "##[group]a\n",
        )
    )

    assert (len(many["groups"]), len(closed["groups"])) == (200, 10_000)
    assert (long["groups"], late["groups"]) == ([], [])
