"""Damage to the files of a store, by seed, and what nobody may make of it.

`make_store` makes a store by hand, without a process: a whole run, a run that is to be damaged (it
has everything that a run may have) and two streams. `Damage.of(seed)` is one damage, always the same
for a seed. `faults` then tries the store from every side, library, command line, WSGI and pages, and
returns what was wrong: a traceback, a status 500, a hang, another run that is hidden, a log that
cannot be read, a damage of which nothing is said, a file outside that was touched.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from runcast import Store
from runcast.cli.app import call
from runcast.durable import FileStreams
from runcast.errors import FormatTooNew, RuncastError
from runcast.log import FileLogWriter
from runcast.model import Channel, Outcome, Reason, TerminalSize
from runcast.store.run_files import RunFiles
from runcast.store.servers import servers
from runcast.store.token import kept_token
from runcast.web.wsgi import RunsWSGI
from runcast.wire.durable import Appending, Creation, Producer
from runcast.wire.forms import FORMS
from tests.helpers.wait import MS

GOOD = "01jzzzzzzzzzzzzzzzzzzzzzz1"
BAD = "01jzzzzzzzzzzzzzzzzzzzzzz2"
KEY = "nightly"
TEXT = b"one\ntwo\r\nthree"
SECRET = "nobody in the store may read this"
HUGE = 1 << 31  # bytes, none of them on the disk
_SECONDS = 4000 * MS  # for one question to a store


class Hang(BaseException):
    """A question to the store was not answered in time."""


# -- a store to damage


def make_store(path: Path) -> None:
    """Make the store; nothing of it is damaged."""
    path.mkdir(mode=0o700)
    (path / "store.json").write_text('{"format": 1}')
    for run_id, key in ((GOOD, None), (BAD, KEY)):
        _make_run(path, run_id, key)
    _make_beside(path)
    streams = FileStreams(str(path))
    streams.create("good", Creation(content_type="text/plain"), TEXT)
    bad, _ = streams.create("bad", Creation(content_type="text/plain"), TEXT)
    bad.append(Appending("text/plain", Producer("p", 0, 0), "a"), b"!")
    streams.close()


def _make_run(path: Path, run_id: str, key: str | None) -> None:
    request = {
        **{"format": 1, "id": run_id, "name": "ls", "source": "command", "command": ["ls", "-l"]},
        **{"cwd": "/", "env": {"A": "b"}, "timeout": None, "idle_timeout": None, "cap": 1 << 30},
        **{"stop_unwatched": None, "lazy": False, "view": None, "key": key},
        **{"created_at": 1_700_000_000.0, "host": "here", "tty": True, "columns": 80, "rows": 24},
    }
    directory = RunFiles.create(str(path / run_id), request)
    assert directory.acquire()
    directory.write_state({"state": "running", "pid": 2**22 + 1, "supervisor": 2**22 + 2})
    writer = FileLogWriter(directory)
    writer.append(Channel.STDOUT, TEXT)
    directory.add_size(TerminalSize(len(TEXT), 100, 30, 1_700_000_001.0))
    directory.write_progress({"done": 1, "total": 2, "text": "half", "time": 1_700_000_001.0})
    (path / run_id / "input").write_text("input")
    writer.close(Outcome(Reason.EXITED, 0, value=[1, {"a": None}], ended_at=1_700_000_002.0))
    if key is not None:
        (path / "keys").mkdir(mode=0o700)
        from runcast.store.keys import _link

        os.link(path / run_id / "run.json", _link(str(path), key))
        (path / "keys" / ".lock").touch()


def _make_beside(path: Path) -> None:
    (path / f".position-{BAD}").write_text('{"reply": 1, "ends": {"1": 4}, "taken": 4}')
    (path / f".watched-{BAD}").touch()
    (path / f".outcome-{BAD}").touch()
    (path / f".progress-{BAD}").touch()
    (path / ".servers").mkdir(mode=0o700)
    (path / ".servers" / "1.json").write_text('{"url": "http://x/", "pid": 1, "started_at": 1.0}')
    (path / ".owners").mkdir(mode=0o700)
    (path / ".owners" / "dead").touch()
    (path / ".token").write_text("a" * 32 + "\n")
    for one in path.rglob("*"):
        if one.is_file():
            one.chmod(0o600)


# -- damages


class Damage(NamedTuple):
    """One damage: what is done to which file or folder of the store."""

    seed: int
    target: str
    what: str
    apply: Callable[[Path], object]

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.target}: {self.what}"

    @classmethod
    def of(cls, seed: int, store: Path) -> "Damage":
        """Return the damage of a seed, for a store made by `make_store`."""
        chance = random.Random(seed)
        names = sorted(_targets(store), key=lambda name: name.replace(_stream(store, "bad"), "S"))
        targets = [name for name in names for _ in range(_weight(name))]
        target = targets[seed % len(targets)]
        path = store / target
        kinds = _FOLDER_KINDS if path.is_dir() and not path.is_symlink() else _FILE_KINDS
        if target.endswith((".json", "lock", "sizes")) or target.startswith((".position", "keys/")):
            kinds = (*kinds, *_JSON_KINDS)
        kind = kinds[(seed // len(targets)) % len(kinds)] if chance.random() < 0.7 else chance.choice(kinds)
        what, apply = kind(chance, path)
        return cls(seed, target.replace(_stream(store, "bad"), "STREAM").replace(BAD, "RUN"), what, apply)


def _stream(store: Path, name: str) -> str:
    for one in (store / ".streams").iterdir():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads((one / "run.json").read_bytes())["name"] == name:
                return one.name
    raise LookupError(name)


def _targets(store: Path) -> Iterator[str]:
    """Yield the names that are damaged: all but those of the good run and the good stream."""
    good = {GOOD, _stream(store, "good"), "input"}
    bad = os.readlink(
        next(one for one in (store / ".streams/names").iterdir() if _stream(store, "bad") in os.readlink(one))
    )
    for one in store.rglob("*"):
        name = str(one.relative_to(store))
        if good.isdisjoint(one.relative_to(store).parts) and (
            not one.is_symlink() or os.readlink(one) == bad
        ):
            yield name
    yield ".supervisors"
    yield f"{BAD}/control"


def _weight(name: str) -> int:
    """Return how often a name comes: what is read most is damaged most."""
    base = os.path.basename(name)
    return {"run.json": 5, "outcome.json": 4, "lock": 3, "store.json": 3, "progress.json": 2, "sizes": 2}.get(
        base, 1
    )


Kind = Callable[[random.Random, Path], tuple[str, Callable[[Path], object]]]


def _cut(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    at = chance.randrange(max(_size(path), 1))
    return f"cut at {at}", lambda path: os.truncate(path, at) if _plain(path) else _replaced(path, b"")


def _emptied(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    return "empty", lambda path: _replaced(path, b"")


def _flipped(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    size = max(_size(path), 1)
    bits = [chance.randrange(size * 8) for _ in range(chance.randrange(1, 9))]

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes() if _plain(path) else b"{}")
        for bit in bits:
            if bit // 8 < len(data):
                data[bit // 8] ^= 1 << bit % 8
        _overwritten(path, bytes(data))

    return f"bits {bits} flipped", flip


def _zeroed(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    return "zeros", lambda path: _overwritten(path, bytes(max(_size(path), 1)))


def _noise(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    data = chance.randbytes(chance.randrange(1, 2000))
    return "noise", lambda path: _overwritten(path, data)


def _missing(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    return "missing", _removed


def _fifo(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    return "a FIFO", lambda path: (_removed(path), os.mkfifo(path, 0o600))


def _socket(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    def bind(path: Path) -> None:
        _removed(path)
        folder = os.open(path.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)

    return "a socket", bind


def _folder(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    def make(path: Path) -> None:
        _removed(path)
        path.mkdir(mode=0o700)
        (path / "in it").touch()

    return "a folder", make


def _file(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    return "a file", lambda path: _replaced(path, b"{}")


def _linked(to: str) -> Kind:
    def kind(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
        def link(path: Path) -> None:
            outside = _outside(path)
            if to == "its copy outside":
                shutil.rmtree(outside / "copy", ignore_errors=True)
                (outside / "copy").unlink(missing_ok=True)
                if path.is_symlink():
                    (outside / "copy").symlink_to(os.readlink(path))
                    path.unlink()
                elif path.exists():
                    path.rename(outside / "copy")
            else:
                _removed(path)
            path.symlink_to(
                {
                    "a file outside": outside / "secret.json",
                    "a folder outside": outside / "folder",
                    "itself": path,
                    "nothing": outside / "nothing",
                    "/dev/zero": Path("/dev/zero"),
                    "its copy outside": outside / "copy",
                }[to]
            )

        return f"a link to {to}", link

    return kind


def _outside(path: Path) -> Path:
    while path.name != "store":
        path = path.parent
    return path.parent / "outside"


def _sparse(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    # Bytes of a log are read, however many there are: that takes its time, and is none of our matter.
    size = 1 << 20 if path.name.isdigit() and path.parent.name == "log" else HUGE
    return "huge", lambda path: (_overwritten(path, b"{"), os.truncate(path, size))


def _others(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    def give(path: Path) -> None:
        if os.geteuid() == 0 and not path.is_symlink() and path.exists():
            os.chown(path, 65534, 65534)

    return "somebody else's", give


def _open_to_all(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    return "mode 777", lambda path: path.chmod(0o777) if path.exists() else None


def _newer(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    def write(path: Path) -> None:
        value = _value_in(path)
        _overwritten(path, json.dumps((value if isinstance(value, dict) else {}) | {"format": 99}).encode())

    return "a newer format", write


class _Raw(NamedTuple):
    """JSON that Python's encoder would not write."""

    text: str


_WRONG: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        "",
        "x",
        [],
        {},
        [None],
        {"a": 1},
        10**30,
        -(10**30),
        2**31,
        2**63,
        1e300,
    ),
    *("\ud800", "\udcff", "\0", "../../outside", "a\nb\x1b[31m", "<script>alert(1)</script>", "x" * 5000),
    *(_Raw("NaN"), _Raw("Infinity"), _Raw("-Infinity"), _Raw("1e999"), _Raw("9" * 5000)),
    *(
        _Raw("[" * 100_000 + "]" * 100_000),
        _Raw("[" * 900 + "]" * 900),
        _Raw('{"a":' * 900 + "1" + "}" * 900),
    ),
)
_MARK = "\0here\0"


def _wrong_type(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    """Put a value of a wrong type at some place of the JSON there is, the whole of it included."""
    value = _value_in(path)
    places = list(_places(value))
    place = chance.choice(places)
    wrong = chance.choice(_WRONG)

    def write(path: Path) -> None:
        changed = _put(value, place, _MARK if isinstance(wrong, _Raw) else wrong)
        text = json.dumps(changed)
        if isinstance(wrong, _Raw):
            text = text.replace(json.dumps(_MARK), wrong.text)
        _overwritten(path, text.encode())

    said = wrong.text if isinstance(wrong, _Raw) else repr(wrong)
    return f"{said[:40]} at {'/'.join(map(str, place)) or 'the top'}", write


def _key_missing(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    value = _value_in(path)
    names = sorted(value) if isinstance(value, dict) else []
    if not names:
        return _emptied(chance, path)
    name = chance.choice(names)
    return f"without {name}", lambda path: _overwritten(
        path, json.dumps({key: value[key] for key in names if key != name}).encode()
    )


def _twice(chance: random.Random, path: Path) -> tuple[str, Callable[[Path], object]]:
    value = _value_in(path)
    names = sorted(value) if isinstance(value, dict) else []
    name = chance.choice(names or ["format"])
    wrong = json.dumps(chance.choice([one for one in _WRONG if not isinstance(one, _Raw)]))

    def write(path: Path) -> None:
        text = json.dumps(value if isinstance(value, dict) else {})
        _overwritten(path, (text[:-1] + f', "{name}": {wrong}}}').encode())

    return f"{name} twice, then {wrong[:40]}", write


_FILE_KINDS: tuple[Kind, ...] = (
    *(_cut, _emptied, _flipped, _zeroed, _noise, _missing, _fifo, _socket, _folder, _sparse, _others),
    *(_open_to_all, _linked("a file outside"), _linked("itself"), _linked("nothing"), _linked("/dev/zero")),
    *(_linked("its copy outside"), _linked("a folder outside")),
)
_FOLDER_KINDS: tuple[Kind, ...] = (
    *(_missing, _fifo, _socket, _file, _others, _linked("a folder outside"), _linked("itself")),
    *(_linked("nothing"), _linked("its copy outside"), _linked("a file outside")),
)
_JSON_KINDS: tuple[Kind, ...] = (*[_wrong_type] * 10, _newer, _key_missing, _key_missing, _twice)


def _size(path: Path) -> int:
    return path.stat().st_size if _plain(path) else 1


def _plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _value_in(path: Path) -> Any:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    return {}


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield from _places(one, (*at, key))


def _put(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    copy = value.copy()
    copy[at[0]] = _put(copy[at[0]], at[1:], new)
    return copy


def _removed(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _replaced(path: Path, data: bytes) -> None:
    _removed(path)
    path.write_bytes(data)
    path.chmod(0o600)


def _overwritten(path: Path, data: bytes) -> None:
    """Write in place, so that what is linked to it (a key) is damaged as well."""
    if _plain(path):
        path.write_bytes(data)
    else:
        _replaced(path, data)


# -- what nobody may make of it


def make_outside(path: Path) -> None:
    """Make what lies outside of the store: links lead to it, and nothing of it may change or be shown."""
    path.mkdir()
    (path / "folder" / "log").mkdir(parents=True)
    (path / "folder" / "log" / ("0" * 20)).write_text(SECRET)
    (path / "folder" / ("0" * 20)).write_text(SECRET)
    request = {
        "format": 1,
        "id": BAD,
        "name": SECRET,
        "source": "command",
        "command": [SECRET],
        "created_at": 1.0,
    }
    for name in ("secret.json", "folder/run.json"):
        (path / name).write_text(json.dumps(request))


def _seen(path: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return all that can be changed of the files in a folder."""
    return {
        str(one.relative_to(path)): (
            one.lstat().st_mode,
            one.lstat().st_uid,
            one.lstat().st_nlink if one.is_file() else 0,
            one.read_bytes() if one.is_file() and one.lstat().st_size < 1 << 20 else b"",
        )
        for one in sorted(path.rglob("*"))
    }


def _on_alarm(*_: object) -> None:
    raise Hang


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Trial:
    """One damaged store, tried from every side."""

    def __init__(self, store: Path, damage: Damage) -> None:
        self.path, self.damage = store, damage
        self.faults: list[str] = []
        self.stream = _stream(store, "bad")
        self.outside = store.parent / "outside"
        self.before = _seen(self.outside)

    def ask(self, what: str, call: Callable[[], Any], default: Any = None) -> Any:
        """Do something; whatever it raises but an error of ours is a fault."""
        try:
            with _deadline(_SECONDS):
                return call()
        except RuncastError as error:
            if self.damage.what == "a newer format" and isinstance(error, FormatTooNew):
                self.expect("upgrade runcast" in str(error), f"{what}: {error}")
            return default
        except Hang:
            self.fault(f"{what}: hangs")
        except Exception as error:
            self.fault(f"{what}: {type(error).__name__}: {str(error)[:100]}")
        return default

    def fault(self, what: str) -> None:
        self.faults.append(what)

    def expect(self, good: bool, what: str) -> None:
        if not good:
            self.fault(what)

    @property
    def own_log(self) -> bool:
        """Whether the log of the bad run is what was damaged."""
        return self.damage.target.startswith("RUN/log") or self.damage.target == "RUN"

    @property
    def is_run(self) -> bool:
        """Whether the bad run is a run still."""
        return self.damage.target != "RUN"

    @property
    def whole(self) -> bool:
        """Whether there still is a store that everybody may open."""
        return self.damage.target != "store.json"

    # -- the sides

    def library(self) -> None:
        store = self.ask("Store.open", lambda: Store.open(str(self.path)))
        if store is None:
            self.expect(not self.whole, "Store.open refuses a store of which a run is damaged")
            return
        runs = self.ask("list", lambda: {run.id: run for run in store.list()}, {})
        self.expect(GOOD in runs, "the good run is not in the list")
        if self.is_run:
            self.expect(BAD in runs, "the damaged run is not in the list")
        for run_id in (GOOD, BAD):
            run = self.ask(f"get {run_id}", lambda run_id=run_id: store.get(run_id))
            if run is None:
                self.expect(run_id == BAD and not self.is_run, f"{run_id} is not to be had")
                continue
            self._run(run)
        for name in ("good", "bad"):
            self._stream(name)
        self.ask("servers", lambda: servers(str(self.path)))
        self.ask("token", lambda: kept_token(str(self.path)))

    def _run(self, run: Any) -> None:
        bad = run.id == BAD
        name = "bad" if bad else "good"
        for what in (
            *("name", "command", "created_at", "started_at", "state", "outcome", "progress", "closed"),
            *("tail_offset", "request"),
        ):
            self.ask(f"{name}.{what}", lambda what=what: getattr(run, what))
        self.ask(f"repr({name})", lambda: repr(run))
        self.ask(f"{name}.settle", run.settle)
        told = self.ask(f"{name}.to_json", lambda: json.dumps(run.to_json()))
        self.expect(told is not None, f"{name}.to_json is refused")
        self.ask(f"{name}.wait", lambda: run.wait(timeout=50 * MS))
        text = self.ask(f"{name}.output", lambda: run.output(encoding=None, timeout=50 * MS))
        self.expect(text == TEXT or (bad and self.own_log), f"{name}.output is {str(text)[:60]}")
        lines = self.ask(f"{name}.lines", lambda: list(run.lines()))
        self.expect(
            lines == ["one", "two", "three"] or (bad and self.own_log), f"{name}.lines are {str(lines)[:60]}"
        )
        log = run.log()
        self.ask(f"{name}.log.lines", lambda: log.lines)
        log.close()
        self._said(f"{name}.to_json", told or "", bad)

    def _said(self, where: str, text: str, bad: bool) -> None:
        self.expect(SECRET not in text, f"{where} shows what is outside")
        if not bad:
            self.expect('"damaged": "' not in text, f"{where} is said to be damaged")
        elif self.damage.target in ("RUN/run.json", "RUN/outcome.json") and self.damage.what in (
            *(
                "empty",
                "zeros",
                "noise",
                "a FIFO",
                "a socket",
                "a folder",
                "huge",
                "missing",
                "a newer format",
            ),
            *(
                "a link to a file outside",
                "a link to itself",
                "a link to nothing",
                "a link to its copy outside",
            ),
        ):
            if self.damage.what in ("missing", "a newer format") and "outcome" in self.damage.target:
                return  # then it is lost; and an outcome has no format of its own
            self.expect(
                '"damaged": "' in text or '"damaged":"' in text, f"{where} does not say that it is damaged"
            )

    def _stream(self, name: str) -> None:
        streams = FileStreams(str(self.path))
        stream = self.ask(f"stream {name}", lambda: streams.get(name))
        self.ask("streams.names", lambda: list(streams.names()))
        self.ask("streams.list", lambda: list(streams.list()))
        self.ask("streams.sweep", streams.sweep)
        if name == "good":
            expected = stream is not None or self.damage.target in (".streams", ".streams/names")
            self.expect(expected, "the good stream is not to be had")
        if stream is not None:
            log = stream.open_log()
            self.ask(f"stream {name} tail", lambda: log.tail_offset)
            self.ask(f"stream {name} read", lambda: log.read(0))
            log.close()
            self.ask(f"stream {name} append", lambda: stream.append(Appending("text/plain"), b"x"))
        self.ask("streams.close", streams.close)

    def command_line(self) -> None:
        for words in (
            *(["ls"], ["ls", "--json"], ["log", BAD], ["log", "--tail", "1", BAD], ["follow", BAD]),
            *(["wait", "--timeout", "0.05s", BAD], ["stop", BAD], ["kill", BAD], ["log", GOOD]),
            *(["log", "bad"], ["log", "good"]),
        ):
            self._call(words)

    def _call(self, words: list[str]) -> str:
        out, err = _Text(), _Text()
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = out, err
        said = f"runcast {' '.join(words)}".replace(BAD, "RUN")
        try:
            with _captured() as read:
                self.ask(said, lambda: call(["--store", str(self.path), *words]))
                text = out.text + err.text + read()
        finally:
            sys.stdout, sys.stderr = before
        self.expect("Traceback" not in text, f"{said}: a traceback")
        self.expect(SECRET not in text, f"{said} shows what is outside")
        if words == ["ls"] and self.whole:
            self.expect(GOOD in text, f"{said} hides the good run")
            self.expect(BAD in text or not self.is_run, f"{said} hides the damaged run")
        if words[0] == "log" and words[-1] == BAD and not self.own_log and self.whole:
            self.expect("three" in text, f"{said}: no log: {text[:80]!r}")
        return text

    def web(self) -> None:
        app = self.ask("RunsWSGI", lambda: RunsWSGI(Store(str(self.path)), allow_any_command=True))
        if app is None:
            return
        for run_id in (GOOD, BAD):
            for path in (
                *(f"/runs/{run_id}", f"/runs/{run_id}/log", f"/v1/stream/runs/{run_id}"),
                *(f"/runs/{run_id}/log?format={form}" for form in FORMS.values() if form.media_type),
                *(f"/runs/{run_id}/log?tail=1", f"/v1/stream/runs/{run_id}?offset=-1&live=sse"),
            ):
                status, body = self._get(app, "GET", path)
                if run_id == GOOD:
                    self.expect(status == 200, f"GET {path}: {status}")
                elif path.startswith("/runs") and self.is_run and not self.own_log:
                    self.expect(status == 200, f"GET {path}: {status} {body[:80]!r}")
        for path in (
            "/runs",
            "/runs?name=ls",
            "/runs?state=exited",
            "/runs?source=command",
            f"/runs?before={GOOD}",
        ):
            status, body = self._get(app, "GET", path)
            self.expect(status == 200, f"GET {path}: {status}")
            if path == "/runs":
                self.expect(GOOD in body, f"GET {path} hides the good run")
                self.expect(BAD in body or not self.is_run, f"GET {path} hides the damaged run")
        self._get(app, "GET", "/runs", accept="text/html")
        self._get(app, "GET", f"/runs/{BAD}", accept="text/html")
        for method, path, body in (
            *(
                ("GET", "/v1/stream/good", b""),
                ("GET", "/v1/stream/bad", b""),
                ("HEAD", "/v1/stream/bad", b""),
            ),
            *(("POST", "/v1/stream/bad", b"y"), ("GET", "/v1/stream/bad?offset=-1&live=sse", b"")),
            *(("GET", f"/runs/{self.stream}", b""), ("GET", f"/runs/{self.stream}/log?follow=0", b"")),
            *(("PUT", "/v1/stream/bad", b""), ("PUT", "/v1/stream/new", b"z")),
            *(("POST", f"/runs/{BAD}/{verb}", b'{"signal": 15}') for verb in ("stop", "signal", "stdin")),
        ):
            self._get(app, method, path, body)

    def _get(self, app: Any, method: str, path: str, body: bytes = b"", accept: str = "") -> tuple[int, str]:
        where, _, query = path.partition("?")
        if "/log" in path and "follow" not in query and method == "GET":
            query += "&follow=0"
        environ = {
            **{"REQUEST_METHOD": method, "PATH_INFO": where, "QUERY_STRING": query, "SCRIPT_NAME": ""},
            **{
                "wsgi.input": io.BytesIO(body),
                "CONTENT_LENGTH": str(len(body)),
                "CONTENT_TYPE": "text/plain",
            },
        }
        if accept:
            environ["HTTP_ACCEPT"] = accept
        if "signal" in str(body) or where.endswith("stop"):
            environ["CONTENT_TYPE"] = "application/json"
        told: list[int] = []

        def get() -> bytes:
            parts = app(environ, lambda status, headers: told.append(int(status[:3])))
            data = b""
            try:
                for part in parts:
                    data += part
                    if "live=sse" in query and b"upToDate" in data:
                        break
            finally:
                getattr(parts, "close", lambda: None)()
            return data

        text = (self.ask(f"{method} {path}".replace(BAD, "RUN"), get) or b"").decode(errors="replace")
        said = f"{method} {path}".replace(BAD, "RUN")
        status = told[0] if told else 0
        self.expect(status != 500, f"{said}: 500 {text[:150]}")
        self.expect(SECRET not in text, f"{said} shows what is outside")
        return status, text

    def writing(self) -> None:
        """Start into the store, in this process; remove the damaged run and the damaged stream."""
        store = self.ask("Store.open", lambda: Store.open(str(self.path)))
        if store is None:
            return
        for key in (None, "other", KEY):
            run = self.ask(f"start key={key}", lambda key=key: store.start(_say, key=key))
            if run is not None and run.id != BAD:
                self.ask(f"start key={key} output", lambda run=run: run.output(timeout=_SECONDS))
        app = RunsWSGI(Store(str(self.path)))
        for name in ("bad", "good"):
            status, body = self._get(app, "DELETE", f"/v1/stream/{name}")
            if self.damage.target.startswith(".streams/STREAM"):  # its name is whole
                self.expect(status == 204, f"DELETE of the {name} stream by name: {status} {body[:150]}")
        if self.is_run:
            done = (
                self._get(app, "DELETE", f"/runs/{BAD}") if self.damage.seed % 2 else self._call(["rm", BAD])
            )
            there = self.ask("list", lambda: [run.id for run in store.list()], [])
            self.expect(BAD not in there, f"the damaged run cannot be removed: {str(done)[:150]!r}")
        self.expect(
            GOOD in self.ask("list", lambda: [run.id for run in store.list()], []), "the good run is gone"
        )

    def outside_is_untouched(self) -> None:
        after = _seen(self.outside)
        changed = [
            name for name, value in self.before.items() if after.get(name) != value and name[:4] != "copy"
        ]
        changed += [name for name in after if name not in self.before and name[:4] != "copy"]
        self.expect(not changed, f"outside: {changed} changed")


def _say() -> None:
    print("said")


class _Text(io.TextIOWrapper):
    """A text stream whose bytes can be looked at."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="surrogateescape", write_through=True)

    @property
    def text(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(errors="replace")


@contextlib.contextmanager
def _captured() -> Iterator[Callable[[], str]]:
    """Capture what is written to the descriptors 1 and 2."""
    kept = os.dup(1), os.dup(2)
    fd = os.memfd_create("out")
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    try:
        yield lambda: os.pread(fd, 1 << 20, 0).decode(errors="replace")
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for one in (*kept, fd):
            os.close(one)


def faults(folder: Path, seed: int) -> tuple[Damage, list[str]]:
    """Damage a fresh store by a seed and try it; return the damage and all that was wrong."""
    trial = damaged_store(folder, seed)
    for side in (trial.library, trial.command_line, trial.web, trial.writing, trial.outside_is_untouched):
        side()
    return trial.damage, trial.faults


def damaged_store(folder: Path, seed: int) -> Trial:
    """Damage a fresh store by a seed; return what tries it. The store is `folder / "store"`."""
    folder.mkdir()
    make_outside(folder / "outside")
    store = folder / "store"
    shutil.copytree(_template(folder), store, symlinks=True)
    # Copies are no hard links: the key is one.
    from runcast.store.keys import _link

    link = _link(str(store), KEY)
    os.unlink(link)
    os.link(store / BAD / "run.json", link)
    damage = Damage.of(seed, store)
    trial = Trial(store, damage)
    damage.apply(store / damage.target.replace("STREAM", trial.stream).replace("RUN", BAD))
    trial.before = _seen(trial.outside)
    return trial


def _template(folder: Path) -> Path:
    path = folder.parent / "template"
    if not path.exists():
        make_store(path)
    return path
