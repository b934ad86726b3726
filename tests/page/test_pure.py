"""What the page computes without a page: places on a scrollbar, addresses of lines, times."""

from typing import Any

import pytest

from runcast.ids import time_of
from tests.page.node import node

pytestmark = pytest.mark.slow


def calls(*of: list[Any]) -> list[Any]:
    """Return what functions of the page's modules return."""
    made: list[Any] = node("pure.mjs", of)
    return made


def test_scrollbar():
    """A pixel is a pixel near both ends; in between the bar stands for all, in order, there and back."""
    whole, bar = 200_000_000, 10_000_000
    places = [0, 1, 99_999, 100_000, 5_000_000, 100_000_000, 199_900_000, 199_999_999, whole]
    to = calls(*(["scale", "toBar", place, whole, bar] for place in places))
    back = calls(*(["scale", "fromBar", at, whole, bar] for at in to))

    assert to[:4] == places[:4]
    assert to == sorted(to)
    assert [bar - at for at in to[-3:]] == [100_000, 1, 0]
    assert back == pytest.approx(places, abs=0.01)
    assert calls(["scale", "toBar", 70, 100, 100], ["scale", "toBar", 900, 500, 100]) == [70, 100]
    assert calls(["scale", "fromBar", 0, 0, 0]) == [0]


def test_unordered():
    """A row that came within 10 ms of the one above, by the other channel, may have come before it."""
    out, err = {"channel": "stdout", "time": 1000}, {"channel": "stderr", "time": 1009}
    pairs = [(err, out), ({**err, "time": 1010}, out), ({**out, "time": 1009}, out), (out, err)]
    pairs += [({**err, "time": None}, out), (err, {"note": "missing", "time": None})]

    found = calls(*(["blocks", "unordered", *pair] for pair in pairs), ["blocks", "unordered", err, None])

    assert found == [True, False, False, True, False, False, False]


def test_addresses():
    """A fragment names a line or a range of them, in any order; anything else names none."""
    names = [
        "#L120",
        "#L120-L140",
        "#L120-140",
        "#L140-L120",
        "#L0",
        "",
        "#end",
        "#L",
        "#L1x",
        "#L-5",
        "#L1-",
    ]
    names.append("#L" + "9" * 16)

    assert calls(*(["address", "linesOf", name] for name in names)) == [
        *([120, 120], [120, 140], [120, 140], [120, 140], [1, 1]),
        *[None] * 7,
    ]
    assert calls(["address", "hashOf", 7], ["address", "hashOf", 9, 7]) == ["#L7", "#L7-L9"]


def test_times():
    """Times are those of the clock, since the start, or the gap to the row before, where there is one."""
    row = {"time": 1_700_003_661_250, "gap": 7200}
    began = 1_700_000_000_000
    rows = [
        (row, "start", "1:01:01.3"),
        (row, "gap", "+7.2 s"),
        (row, "off", ""),
        ({**row, "gap": 49}, "gap", ""),
        ({**row, "gap": None}, "gap", ""),
        ({**row, "time": None}, "clock", ""),
        ({**row, "time": began - 5}, "start", "0:00.0"),
        ({**row, "time": began + 59_960}, "start", "1:00.0"),
    ]

    assert calls(*(["times", "timeOf", row, kind, began] for row, kind, _ in rows)) == [
        expected for _, _, expected in rows
    ]
    assert calls(["times", "isSlow", {"gap": 5001}], ["times", "isSlow", {"gap": 5000}]) == [True, False]


def run(code: int | None = 0, took: float | None = 1.0, name: str = "x") -> dict[str, Any]:
    """Return as much of a run as pictures and words need."""
    outcome = None if code is None else {"ok": code == 0, "reason": "exited", "code": code, "signal": None}
    ended = None if took is None else f"2026-11-30T10:00:{took:06.3f}Z"
    times = {"started_at": "2026-11-30T10:00:00.000Z", "ended_at": ended}
    return {"name": name, "command": [], "source": "command", "state": "running", "outcome": outcome, **times}


def test_trend():
    """Bars are as high as runs took long, lowest for those that go on, and words say the same."""
    runs = [run(took=1.0), run(code=3, took=4.0), run(took=2.0), run(code=None, took=None)]
    bars, words, one = calls(
        ["trend", "bars", runs], ["trend", "words", runs], ["trend", "words", [run(None, None)]]
    )

    assert [(x, y + height, height, kind) for x, y, _, height, kind in bars] == [
        *((0, 24, 6, "good"), (6, 24, 24, "bad"), (12, 24, 12, "good"), (18, 24, 3, "busy")),
    ]
    assert words == "4 runs: 2 done, 1 exit 3, 1 running. They took from 1.0 s to 4.0 s, mostly about 2.0 s."
    assert one == "1 run: 1 running."


def test_words_for_rows():
    """A command is not beside a name that says the same; progress is a bar with words; an id has its time."""
    same = {"source": "command", "name": "docker ps", "command": ["docker", "ps"]}
    assert calls(
        ["format", "beside", same],
        ["format", "beside", {**same, "name": "ps"}],
        ["format", "beside", {**same, "name": "it's", "command": ["it's"]}],
    ) == ["", "docker ps", ""]
    far = {"done": 3, "total": 8, "text": "", "status": None}
    assert calls(
        ["format", "far", far],
        ["format", "far", {**far, "status": "paused"}],
        ["format", "far", {**far, "total": None, "text": "a\u202eb"}],
        ["format", "timeOf", "01jd3v6r9vm2x0q8c5t7e4w1za"],
    ) == [
        {"value": 3, "max": 8, "words": "3 of 8"},
        {"value": 3, "max": 8, "words": "3 %, paused"},
        {"value": 3, "max": None, "words": "a\u2039U+202E\u203ab"},
        round(time_of("01jd3v6r9vm2x0q8c5t7e4w1za") * 1000),
    ]


def test_narrowed():
    """What an address leaves in the list is said in words, and is a state in the form."""
    asked = ["name=build&ok=0", "name=*b*&state=running", "ok=1&source=stream", "key=7", "before=1"]
    narrowed = calls(*(["query", "inAddress", "narrowed", one] for one in asked))
    states = calls(*(["query", "inAddress", "stateOf", one] for one in asked))

    assert narrowed == [
        "named “build”, that failed",
        "with a name like “*b*”, in state “running”",
        "from a stream, that went well",
        "with the key “7”",
        "",
    ]
    assert states == ["ok=0", "state=running", "ok=1", "", ""]


def test_addresses_of_lists():
    """A place in a list keeps its filters and its search; a form leaves out what is empty."""
    assert calls(
        ["query", "inAddress", "elsewhere", "name=a&q=x&before=1&at=2&junk=3", {"after": "9"}],
        ["query", "inAddress", "ofList", "name=a&q=x&key=7&before=1&junk=3"],
        ["query", "inAddress", "ofSearch", "name=a&before=1"],
        ["query", "inAddress", "ofSearch", "q=x&at=1&from=2&regex=1"],
        ["query", "text", {"q": "", "name": " a ", "key": "7", "state": "ok=0", "regex": True, "case": True}],
        ["query", "text", {"q": "x&y", "name": "", "state": "", "regex": True, "case": False}],
    ) == [
        "q=x&name=a&after=9",
        "name=a&key=7&before=1",
        None,
        "q=x&regex=1&at=1&from=2&case=0",
        "name=a&key=7&ok=0",
        "q=x%26y&regex=1",
    ]
