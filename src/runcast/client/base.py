"""What is known of a run on a server: what the server sent last.

Owns the reading of these facts, and how the events of a log change them. Looking at one of them
sends nothing; the steps in remote.py bring them up to date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from runcast.client.following import parse_time
from runcast.client.server import Server
from runcast.model import Artifact, Host, LeftOut, Note, Outcome, State, TerminalSize, Usage, Waiting
from runcast.who import Who, who_in

__all__ = ["PATIENCE", "RemoteRunBase", "ShareLink"]

PATIENCE = 60.0  # seconds without a byte from the server


@dataclass(frozen=True)
class ShareLink:
    """A link by which its holder may read one run, and do nothing else.

    Attributes:
        url: of the run's page, with what lets read it.
        expires_at: until when, in seconds since the epoch.
    """

    url: str
    expires_at: float


class RemoteRunBase:
    """What is known of a run on a server. Use `RemoteRun` or `AsyncRemoteRun`."""

    def __init__(
        self, server: Server, facts: dict[str, Any], *, patience: float, check: bool = False
    ) -> None:
        self._server = server
        self._facts = facts
        self._patience = patience
        self._check = check

    @property
    def id(self) -> str:
        """The id: sortable by time, unguessable."""
        return str(self._facts["id"])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.outcome or self.state}>"

    @property
    def url(self) -> str:
        """Its page on the server; empty where that has no address for a browser (`unix://`, `ssh://`)."""
        return self._server.page(self.id)

    @property
    def name(self) -> str:
        """The name it was given; else that of its program."""
        return str(self._facts["name"])

    @property
    def command(self) -> list[str]:
        """The arguments, program first."""
        return list(self._facts["command"])

    @property
    def created_at(self) -> float:
        """When its start was requested, in seconds since the epoch."""
        return parse_time(self._facts["created_at"]) or 0.0

    @property
    def started_by(self) -> Who | None:
        """Who started it; None of a run of an earlier version."""
        return who_in(self._facts, "started_by")

    @property
    def started_at(self) -> float | None:
        """When the command started, in seconds since the epoch."""
        return parse_time(self._facts.get("started_at"))

    @property
    def pid(self) -> int | None:
        """The process id of the command, there; None if it has not started, or could not be."""
        return cast("int | None", self._facts.get("pid"))

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on, as far as is known."""
        outcome = self._facts.get("outcome")
        if outcome is None:
            return None
        times = {"ended_at": outcome.get("ended_at"), "started_at": self._facts.get("started_at")}
        return Outcome.from_json(outcome | {name: parse_time(time) or 0.0 for name, time in times.items()})

    @property
    def state(self) -> State:
        """Where it is in its life, as far as is known."""
        return State(self._facts["state"])

    @property
    def elsewhere(self) -> str | None:
        """The name of the host that it belongs to, where that is another one than the server's."""
        return cast("str | None", self._facts.get("elsewhere"))

    @property
    def host(self) -> Host | None:
        """Which of the hosts that share runs it is on, as the server knew; None for none."""
        host = self._facts.get("host")
        if host is None:
            return None
        times = (parse_time(host.get(name)) for name in ("silent_since", "unshared_since"))
        return Host(host["name"], host["here"], *times)

    @property
    def progress(self) -> dict[str, Any] | None:
        """The last progress: `done`, `total`, `text`, `time`; `status`, where it is that of its output."""
        return cast("dict[str, Any] | None", self._facts.get("progress"))

    @property
    def notes(self) -> list[Note]:
        """What was noted about it, as far as is known, in order: the last 100 at most."""
        return [_note(note) for note in self._facts.get("notes") or ()]

    @property
    def artifacts(self) -> list[Artifact]:
        """The files that are kept with it, as the server knew when it last sent the whole run."""
        return [Artifact(one["name"], one["bytes"]) for one in self._facts.get("artifacts") or ()]

    @property
    def left_out(self) -> list[LeftOut]:
        """What was to be kept with it and is not, as the server knew then."""
        return [LeftOut(one["name"], one["why"]) for one in self._facts.get("left_out") or ()]

    @property
    def waiting(self) -> Waiting | None:
        """What it may be waiting for, as far as is known; None for nothing."""
        waiting = self._facts.get("waiting")  # a server of an earlier version does not look
        return None if waiting is None or self.outcome is not None else Waiting.from_json(waiting)

    @property
    def params(self) -> dict[str, Any]:
        """The values of its parameters, where it was started as a named command that has some."""
        return dict(self._facts.get("params") or {})

    @property
    def trace_id(self) -> str | None:
        """The id of the trace that it is a step of, 32 hexadecimal digits; None for none."""
        return cast("str | None", self._facts.get("trace_id"))

    @property
    def queue(self) -> str | None:
        """The queue that it waits in, or waited in; None for none."""
        return cast("str | None", self._facts.get("queue"))

    @property
    def place(self) -> int | None:
        """Its place among those that wait in its queue, as far as is known; None once it has its turn."""
        return cast("int | None", self._facts.get("place")) if self.state is State.QUEUED else None

    @property
    def hint(self) -> str | None:
        """Why it may be silent, and what to do, as the server knew when it last sent the whole run."""
        return cast("str | None", self._facts.get("hint"))

    @property
    def disk_bytes(self) -> int | None:
        """How much disk it takes there, in bytes, as the server knew when it last sent the whole run."""
        return cast("int | None", self._facts.get("disk_bytes"))

    @property
    def usage(self) -> Usage | None:
        """What its processes used, so far or in all, as the server knew when it last sent the whole run."""
        if (outcome := self.outcome) is not None:
            return outcome.usage
        found = self._facts.get("used_so_far")
        return None if found is None else Usage(**found)

    @property
    def damaged(self) -> str | None:
        """What is wrong with its files there, in one sentence; None if nothing is."""
        return cast("str | None", self._facts.get("damaged"))

    @property
    def hooks(self) -> list[dict[str, Any]]:
        """What became of the hooks that it was started with, as far as is known; empty where it has none."""
        return list(self._facts.get("hooks") or [])

    @property
    def tty(self) -> bool | Literal["stdout"]:
        """Whether it has a terminal of its own, or `"stdout"` where only its stdout is one."""
        return cast('bool | Literal["stdout"]', self._facts.get("tty", False))

    @property
    def size(self) -> TerminalSize | None:
        """The size of its terminal, as far as is known; None where it has none."""
        if not self.tty:
            return None
        return TerminalSize(0, self._facts["columns"], self._facts["rows"])

    @property
    def pinned(self) -> bool:
        """Whether it is kept until somebody unpins it, as far as is known."""
        return bool(self._facts.get("pinned"))  # a server of an earlier version has no pins

    @property
    def closed(self) -> bool:
        """Whether no more output will ever come."""
        return bool(self._facts["closed"])

    @property
    def tail_offset(self) -> int:
        """How many bytes of output there are, as far as is known."""
        return int(self._facts["tail_offset"])

    def to_json(self) -> dict[str, Any]:
        """Return what the server sent last, as JSON values; times are RFC 3339, in UTC."""
        return dict(self._facts)

    def _update(self, event: Mapping[str, Any]) -> None:
        """Note what the server sent: the whole run, or an event of its log."""
        if "resize" in event:
            columns, rows = event["resize"]
            event = {"columns": columns, "rows": rows}
        news = {key: value for key, value in event.items() if key not in ("event", "offset")}
        if event.get("event") == "progress":
            news = {"progress": news}
        elif event.get("event") == "note":
            noted = {name: event[name] for name in Note._fields}
            known = self._facts.get("notes") or []  # an event of the whole run may have brought it
            news = {"notes": known if noted in known else [*known, noted]}
        elif event.get("event") == "exit":
            ended = event["outcome"] and event["outcome"].get("ended_at")
            news |= {"closed": True, "waiting": None, "tail_offset": event["offset"], "ended_at": ended}
        self._facts = {key: value for key, value in self._facts.items() if key != "hint"} | news


def _note(sent: Mapping[str, Any]) -> Note:
    return Note(int(sent["offset"]), sent["line"], parse_time(sent["time"]) or 0.0, sent["text"])
