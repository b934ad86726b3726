"""Lines of JSON as records, and the levels of lines of text, for what real loggers print."""

import json
from typing import Any

import pytest

from tests.page.node import call, printed

pytestmark = pytest.mark.slow


def records(*lines: str | dict[str, Any]) -> list[dict[str, Any] | None]:
    """Return the record of each line."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return call("records.js", "record", *([text] for text in texts))


# Of each logger, line by line: whether there is a time, the level, the message, and the end of a stack.
LOGGERS: dict[str, list[tuple[bool, str | None, str, str]]] = {
    "pino": [
        (True, "info", "listening", ""),
        *[(True, "warn", "timed", "")] * 3,
        (True, "info", "labelled", ""),
        (True, "error", "failed", "node:internal/main/run_main_module:28:49"),
    ],
    "bunyan": [
        (True, "info", "listening", ""),
        (True, "error", "failed", "node:internal/main/run_main_module:28:49"),
        (True, "fatal", "out", ""),
    ],
    "winston": [
        (False, "info", "listening", ""),
        (False, "error", "", ""),  # it prints nothing else of an error
        (False, "trace", "deep", ""),
        (True, "warn", "timed", ""),
        (True, "error", "boom", "node:internal/main/run_main_module:28:49"),
    ],
    "structlog": [
        (True, "info", "listening", ""),
        (True, "error", "failed", "ZeroDivisionError: division by zero"),
        (True, None, "plain", ""),
        (True, None, "failed", "ZeroDivisionError: division by zero"),
    ],
    "loguru": [
        (True, "info", "done 3", ""),
        (True, "error", "failed", "ZeroDivisionError: division by zero"),
    ],
    "python-json-logger": [
        (False, None, "bare", ""),
        (True, "warn", "full", ""),
        (True, "error", "failed", "ZeroDivisionError: division by zero"),
    ],
}


def test_loggers():
    """Time, level, message and stack are found in what six loggers print."""
    found = {}
    for name in LOGGERS:
        made = records(*printed(f"json-{name}").splitlines())
        found[name] = [
            (bool(one["time"]), one["level"], one["message"], (one["stack"] or "").split(" ", 5)[-1].strip())
            if one
            else None
            for one in made
        ]
        for one, (*_, expected) in zip(made, LOGGERS[name], strict=True):
            assert one is not None
            assert (one["stack"] or "").rstrip().endswith(expected)

    assert {name: [one[:3] for one in each if one] for name, each in found.items()} == {
        name: [one[:3] for one in each] for name, each in LOGGERS.items()
    }


TIME = "2026-11-28T23:08:12.046"
# Other shapes: the time in milliseconds, the level, the message.
SHAPES: list[tuple[dict[str, Any], tuple[int | None, str | None, str]]] = [
    ({"@t": f"{TIME}Z", "@mt": "Hi {Name}", "Name": "Ada"}, (1795907292046, "info", "Hi {Name}")),
    ({"@t": f"{TIME}Z", "@mt": "x", "@l": "Warning"}, (1795907292046, "warn", "x")),
    ({"ts": 1795907292.046, "level": "error", "msg": "zap"}, (1795907292046, "error", "zap")),
    ({"ts": 1795907292046123, "lvl": "dbg", "msg": "micro"}, (1795907292046, "debug", "micro")),
    (
        {"time": 1795907292046123456, "severity": "CRITICAL", "message": "nano"},
        (1795907292046, "fatal", "nano"),
    ),
    (
        {"@timestamp": f"{TIME}+00:00", "level": "WARN", "message": "logstash"},
        (1795907292046, "warn", "logstash"),
    ),
    ({"timestamp": TIME, "severity_text": "INFO", "body": "otel"}, (None, "info", "otel")),
    ({"asctime": "2026-11-28 23:08:12,046", "levelname": "INFO", "message": "p"}, (None, "info", "p")),
    ({"log": "line\n", "stream": "stderr", "time": f"{TIME}000123Z"}, (1795907292046, None, "line")),
    ({"level": 35, "msg": "custom"}, (None, "info", "custom")),
    ({"level": 6, "msg": "syslog"}, (None, None, "syslog")),
    ({"level": "notice", "msg": "n", "time": "soon"}, (None, "info", "n")),
    ({"time": "1795907292046", "msg": "text"}, (1795907292046, None, "text")),
    ({"time": 1e300, "msg": "far"}, (None, None, "far")),
]


def test_shapes():
    """Other loggers' keys, numbers of seconds to nanoseconds, times without a zone."""
    made = records(*(shape for shape, _ in SHAPES))

    found = [one and (one["at"], one["level"], one["message"]) for one in made]
    assert found == [expected for _, expected in SHAPES]


def test_fields():
    """All other keys are fields in their order, as text; those without a value are left out."""
    (made,) = records(
        {"msg": "m", "b": 1, "a": "x y", "nil": None, "deep": {"k": [1, 2]}, "time": "soon", "t": True}
    )

    assert made is not None
    assert made["fields"] == [
        ["b", "1"],
        ["a", "x y"],
        ["deep", '{"k":[1,2]}'],
        ["time", "soon"],
        ["t", "true"],
    ]


def test_no_records():
    """JSON that is no record, and what only looks like JSON, stays as it is."""
    lines: list[str | dict[str, Any]] = [
        *("", "{", "{}", "[1]", '{"n": 1}', "{level: info}", '{"level": "info"', "null", '"msg"', "{msg}"),
        *('{"level": "odd"}', '{"msg": {"a": 1}}', '{"a": {"msg": "x"}}', '{"msg": "x"} trailing'),
        '{"msg": "' + "x" * 300_000 + '"}',
    ]

    assert records(*lines) == [None] * len(lines)


def test_hostile_keys():
    """Keys that objects have by themselves are keys as others; many and long ones are cut."""
    made = records(
        '{"msg": "m", "__proto__": {"level": "error"}, "constructor": 1, "toString": "x"}',
        {"msg": "m", **{f"k{number}": "v" * 1000 for number in range(200)}},
        '{"__proto__": {"msg": "m"}}',
        '{"msg": "a\\u001b[31mb\\u0007c\\u009b1md\\ne\\tf", "\\u001b]0;x\\u0007k": "\\u0000v"}',
        "{" * 200_000 + "}" * 200_000,
    )

    assert made[0] is not None
    assert made[1] is not None
    assert made[0]["level"] is None
    assert made[0]["fields"] == [["__proto__", '{"level":"error"}'], ["constructor", "1"], ["toString", "x"]]
    assert (len(made[1]["fields"]), max(len(value) for _, value in made[1]["fields"])) == (50, 502)
    assert (made[2], made[4]) == (None, None)
    assert made[3] is not None
    assert (made[3]["message"], made[3]["fields"]) == ("abc1md\ne\tf", [["k", "v"]])


LEVELS = {
    "2026-11-29 23:10:16,109 DEBUG root: one": "debug",
    "2026-11-29 INFO two": "info",
    "[WARN] three": "warn",
    "WARNING: four": "warn",
    "ERROR five": "error",
    "CRITICAL six": "fatal",
    "[info] seven": "info",
    "[ error ] eight": "error",
    "level=warn msg=nine": "warn",
    'time="x" level="error"': "error",
    "error: ten": "error",
    "warning: eleven": "warn",
    "error[E0425]: twelve": "error",
    "npm warn deprecated": "warn",
    "npm error code": "error",
    "E1129 23:10:16.109 klog": "error",
    "INFO:     Started server": "info",
    "\tINFO tabbed": "info",
    "plain text": None,
    "an error in words": None,
    "/var/log/ERROR.log": None,
    "MY_ERROR_CODE": None,
    "information: x": "info",
    "name: x": None,
    "x" * 200 + " ERROR": None,
    "": None,
}


def test_levels_of_text():
    """Levels are found where loggers put them, and not in words and names."""
    found = call("levels.js", "levelOfLine", *([line] for line in LEVELS))

    assert dict(zip(LEVELS, found, strict=True)) == LEVELS
