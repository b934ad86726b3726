"""What a model reads of the tools: names, descriptions, the schemas of their arguments.

Owns these texts, the tools that start the named commands, and the check of arguments against a schema. Knows
neither requests nor the protocol's library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from runcast.errors import UsageError

__all__ = ["INSTRUCTIONS", "MOST_WAIT", "Tool", "checked", "starters", "tools"]

MOST_WAIT = 300  # seconds: clients give up on a call after some minutes, and a call costs nothing
_USUAL_BYTES, _MOST_BYTES = 20_000, 200_000

INSTRUCTIONS = (
    "Runs are commands that go on when this session ends. Their output is one log each, a place in it an "
    "offset. To read on, give `next` of a result as `offset`: nothing is lost and nothing comes twice. "
    "Results begin with a line of JSON; output follows in a second block."
)

_ID = {"type": "string", "description": "The id of a run, as start and list return it."}
_PLACE = {
    "offset": {
        "type": "integer",
        "minimum": 0,
        "default": 0,
        "description": "Where to begin: `next` of an earlier result, or 0 for the start.",
    },
    "tail": {
        "type": "integer",
        "minimum": 0,
        "maximum": 100_000,
        "description": "Instead of offset: begin so many lines before the end.",
    },
}
_WAIT = {
    "type": "number",
    "minimum": 0,
    "maximum": MOST_WAIT,
    "description": "Seconds to wait at most; 0 returns at once.",
}
_BYTES = {
    "type": "integer",
    "minimum": 100,
    "maximum": _MOST_BYTES,
    "default": _USUAL_BYTES,
    "description": "How much output to return at most.",
}
_CHANNEL = {
    "type": "string",
    "enum": ["stdout", "stderr", "data"],
    "description": "Only this channel; by default all, in the order in which they came.",
}
_REGEX = {"type": "boolean", "default": False, "description": "`text` is a regular expression (Python)."}
_STARTED = {"wait": {**_WAIT, "default": 10}, "max_bytes": _BYTES}
_STARTED_TEXT = "Returns its id, and its output within `wait` seconds or up to its end; follow reads on."


class Tool(NamedTuple):
    """A tool as a model sees it.

    Attributes:
        name: by which it is called.
        description: what it does, and what it returns.
        schema: of its arguments, a JSON Schema.
        reads: it changes nothing.
        destroys: it may end or overwrite something.
        command: the named command that it starts; None for any other.
    """

    name: str
    description: str
    schema: dict[str, Any]
    reads: bool = False
    destroys: bool = False
    command: str | None = None


def _schema(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": list(required)} if required else {})


_ANY = Tool(
    "start",
    f"Start a command. {_STARTED_TEXT}",
    _schema(
        ("command",),
        command={
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": 'The program and its arguments; for shell syntax ["bash", "-c", "…"].',
        },
        cwd={"type": "string", "description": "The folder to run in."},
        title={"type": "string", "description": "What people call the run."},
        stdin={"type": "boolean", "default": False, "description": "It reads what send writes."},
        timeout={
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "Seconds after which it is stopped.",
        },
        **_STARTED,
    ),
    destroys=True,
)
_FIXED = (
    Tool(
        "follow",
        "Read the output of a run from an offset on. Returns when the run has ended, `max_bytes` have come, "
        "or `wait` seconds have passed; `closed` says that there will be no more.",
        _schema(
            ("id",),
            id=_ID,
            **_PLACE,
            wait={**_WAIT, "default": 20},
            max_bytes=_BYTES,
            channel=_CHANNEL,
        ),
        reads=True,
    ),
    Tool(
        "wait_for",
        "Wait until a run prints a line that has a text, such as an address or a prompt. Returns the line, "
        "its `offset`, and `next`, behind it; `found` is false if the run or the time is over first.",
        _schema(
            ("id", "text"),
            id=_ID,
            text={"type": "string", "minLength": 1, "description": "What the line must have."},
            regex=_REGEX,
            **_PLACE,
            wait={**_WAIT, "default": 60},
        ),
        reads=True,
    ),
    Tool(
        "search",
        "Find lines in the output of a run, or of all runs where no id is given. Each line of the result is "
        "NUMBER@OFFSET: LINE, behind the id of its run where it may be any.",
        _schema(
            ("text",),
            text={"type": "string", "minLength": 1, "description": "What a line must have."},
            id=_ID,
            regex=_REGEX,
            ignore_case={"type": "boolean", "default": False},
            max_lines={"type": "integer", "minimum": 1, "maximum": 1000, "default": 50},
        ),
        reads=True,
    ),
    Tool(
        "list",
        "List runs, the newest first: id, name, state, outcome, size of the output. A line of JSON for each.",
        _schema(
            (),
            limit={"type": "integer", "minimum": 1, "maximum": 200, "default": 20},
            before={"type": "string", "description": "Only runs older than the one with this id."},
        ),
        reads=True,
    ),
    Tool("get", "Return all that is known of a run, as JSON.", _schema(("id",), id=_ID), reads=True),
    Tool(
        "stop",
        "Stop a run and all that it started: SIGTERM, and SIGKILL after `grace` seconds; 0 kills at once. "
        "Returns when it has ended, or soon after.",
        _schema(("id",), id=_ID, grace={"type": "number", "minimum": 0, "maximum": 3600, "default": 5}),
        destroys=True,
    ),
    Tool(
        "send",
        "Write to the stdin of a run that reads it, or type into its terminal. A line needs its line feed.",
        _schema(
            ("id", "text"),
            id=_ID,
            text={"type": "string"},
            eof={"type": "boolean", "default": False, "description": "The input ends behind the text."},
        ),
        destroys=True,
    ),
)


def tools(offered: Mapping[str, Any]) -> list[Tool]:
    """Return the tools of a client.

    Args:
        offered: what it may start, as `GET /commands` says.
    """
    return [*([_ANY] if offered["any"] else []), *starters(offered["commands"]), *_FIXED]


def starters(commands: list[dict[str, Any]]) -> list[Tool]:
    """Return the tools that start named commands, one for each."""
    found: dict[str, Tool] = {}
    for command in commands:
        name = f"start_{re.sub(r'[^A-Za-z0-9_-]', '_', command['name'])}"[:60]  # some clients take 64
        while name in found:
            name += "_"
        title = command.get("title") or command["name"]
        about = ". ".join(filter(None, (title, (command.get("description") or "").rstrip("."))))
        params = {one: _of_param(one, of) for one, of in (command.get("params") or {}).items()}
        needed = tuple(one for one, of in (command.get("params") or {}).items() if of.get("required"))
        schema = _schema(
            ("params",) if needed else (),
            **({"params": _schema(needed, **params)} if params else {}),
            **_STARTED,
        )
        found[name] = Tool(
            name, f"Start {about}. {_STARTED_TEXT}", schema, destroys=True, command=command["name"]
        )
    return list(found.values())


def _of_param(name: str, of: Mapping[str, Any]) -> dict[str, Any]:
    about = ": ".join(filter(None, (of.get("title"), of.get("help")))) or name
    schema: dict[str, Any] = {"type": "string", "description": about}
    match of.get("type", "text"):
        case "int":
            schema["type"] = "integer"
            limits = {"minimum": of.get("min"), "maximum": of.get("max")}
        case "flag":
            schema["type"] = "boolean"
            limits = {}
        case "choice":
            limits = {"enum": of.get("choices")}
        case "secret":
            limits = {"writeOnly": True}
        case "file":
            schema["description"] += " (the text of the file)"
            limits = {"contentMediaType": "text/plain"}
        case _:
            pattern = of.get("pattern")
            limits = {"minLength": of.get("min"), "maxLength": of.get("max")}
            limits["pattern"] = f"^(?:{pattern})$" if pattern else None
    if "default" in of:
        schema["default"] = of["default"]
    return schema | {key: value for key, value in limits.items() if value is not None}


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a text"),
    "integer": ((int,), "a whole number"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "true or false"),
    "array": ((list,), "a list"),
    "object": ((dict,), "an object"),
}


def checked(schema: Mapping[str, Any], given: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Return arguments with the defaults of those that were not given.

    Those of a command's own parameters are checked where it is started.

    Raises:
        UsageError: one is unknown, missing or does not fit.
    """
    properties = schema["properties"]
    for name in given:
        if name not in properties:
            known = ", ".join(properties) or "none"
            raise UsageError(f"expected as an argument {known}, got {where}{name!r:.80}")
    for name in schema.get("required", ()):
        if given.get(name) is None:
            raise UsageError(f"expected the argument {where}{name}, got none")
    found = {}
    for name, of in properties.items():
        value = given.get(name)
        if value is None:
            value = of.get("default")
        else:
            _check(f"{where}{name}", of, value)
        if value is not None:
            found[name] = value
    return found


def _check(name: str, of: Mapping[str, Any], value: Any) -> None:
    kinds, words = _KINDS[of["type"]]
    fits = isinstance(value, kinds) and (of["type"] == "boolean" or not isinstance(value, bool))
    if fits and of["type"] in ("integer", "number"):
        least, most = of.get("minimum"), of.get("maximum")
        words += "".join(
            f" {word} {limit}" for word, limit in (("from", least), ("to", most)) if limit is not None
        )
        fits = (least is None or value >= least) and (most is None or value <= most)
        fits = fits and value > of.get("exclusiveMinimum", float("-inf"))
    if fits and of["type"] == "array":
        words = "a list of texts, one at least"
        fits = bool(value) and all(isinstance(one, str) for one in value)
    if fits and "enum" in of:
        words = f"one of {', '.join(map(str, of['enum']))}"
        fits = value in of["enum"]
    if not fits:
        raise UsageError(f"expected {name} as {words}, got {value!r:.80}")
