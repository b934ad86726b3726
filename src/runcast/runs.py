"""A store: a folder of runs. Start them, list them, find them, remove them.

Owns what users see of a store, and when a run may be removed. What the files are is the business of
the room store.
"""

from __future__ import annotations

import atexit
import contextlib
import heapq
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Unpack, cast

from runcast.errors import (
    FileDamaged,
    RuncastError,
    RunMasked,
    RunNotFound,
    StoreUnusable,
    UploadGone,
    UsageError,
)
from runcast.ids import is_run_id
from runcast.options import OPTIONS
from runcast.options.queue_types import QUEUE, RUNNING
from runcast.options.types import KEEP
from runcast.run import Run
from runcast.run.base import files_of
from runcast.run.begun import set_begun
from runcast.sources.kinds import Source
from runcast.starting import Start
from runcast.store.audit import audited
from runcast.store.files import StoreFiles
from runcast.store.folder import check_store, make_store, unwritable
from runcast.store.given import read_payload
from runcast.store.link_urls import SLIPS, check_clients, is_link_url, parse_link
from runcast.store.links import LinkFile, read_link
from runcast.store.mirrors import ask_for
from runcast.store.queues import QueueBounds
from runcast.store.uploads import again as same_files
from runcast.supervisor.agents import await_list, see_to_agent
from runcast.supervisor.shared_keys import newest_of_key
from runcast.trace_context import without_trace

if TYPE_CHECKING:
    from runcast.keep import Keep
    from runcast.options.typed import StartOptions
    from runcast.sources.recording import Recording

__all__ = ["Store", "default_path", "masked_run", "store_path"]

_CLOSING_SECONDS = 0.5
_BRING_SECONDS, _BRING_PAUSE = 2.0, 0.05  # for a run of another host; between two looks for it
_NEAR = 2000  # newest runs among which a mistyped id is looked for


class Store:
    """A set of runs in a folder. Cheap to make; nothing is touched before the first start.

    Attributes:
        path: the folder.
        keep: what stays of all its finished runs; None for all.
        bounds: how many of the runs started through it may go on at once.
    """

    def __init__(self, path: str, *, keep: Keep | None = None, bounds: QueueBounds | None = None) -> None:
        self.path = os.path.abspath(path)
        self.keep = keep
        self.bounds = bounds or QueueBounds()
        self._files = StoreFiles(self.path)
        self._lifeline: int | None = None  # held open while this process lives, if the runs depend on it

    def __repr__(self) -> str:
        return f"<Store {self.path}>"

    @classmethod
    def open(
        cls,
        where: str | os.PathLike[str] | None = None,
        *,
        keep: int | str | Sequence[int | str] | None = None,
        max_running: int | None = None,
        queues: Mapping[str, int] | None = None,
    ) -> Store:
        """Return a store.

        Args:
            where: a folder (also as `file:…`); `memory:` for a store of this process alone, kept
                in memory and gone, its runs with it, when the process ends; or `redis://HOST:PORT/DB`
                or `postgresql://USER:PASSWORD@HOST:PORT/DB` for a folder whose runs are shared with other
                hosts through that: the one of `?store=FOLDER`, else one of its own, nothing being connected
                to here, since an agent does that; or `file:FOLDER?shelf=file:///mnt/runs?local_age=7d` for
                one whose output moves to another disk, here when it is 7 days old. By default
                `$RUNCAST_STORE`, else the user's state folder.
            keep: what stays of all its finished runs, as in `100`, `"7d"`, `"2G"` or a list of these. The
                rest is removed when a run is started through this store, at most once a minute.
            max_running: how many commands, and functions with `process=True`, started through this store
                may go on at once; the others wait, in order. By default any number.
            queues: the same of single queues, by name, where a start says nothing else.

        Raises:
            UsageError: `keep`, `max_running` or `queues` has no meaning.
            StoreUnusable: it is not a folder, somebody else's, or of a newer format; or what speaks to the
                engine of a link is not installed.
        """
        rule = KEEP.read("keep", keep)
        bounds = QueueBounds(
            RUNNING.read("max_running", max_running),
            {
                QUEUE.read("queues with the name", name): RUNNING.read(f"queues[{name!r}]", most)
                for name, most in (queues or {}).items()
            },
        )
        text = os.fspath(where if where is not None else os.environ.get("RUNCAST_STORE") or default_path())
        if text == "memory:":
            return _memory_store(rule, bounds)
        store = cls(store_path(text), keep=rule, bounds=bounds)
        check_store(store.path)
        if is_link_url(text):
            _link(store.path, text)
        return store

    def start(self, source: Source, *args: Any, **options: Unpack[StartOptions]) -> Run:
        """Start a command, a function or a generator, and return its run.

        A command runs under a supervisor of its own and goes on when this process ends. One that
        cannot be started is a run, too: its outcome says why. A function runs in a thread of this
        process (in a task, if it is `async def`), what it prints captured, and is lost with it. A
        generator is advanced as readers ask for more.

        Args:
            source: a list of arguments, or a string that is split as a shell splits words; a
                function; a generator, any other iterable, or a function that returns a generator.
            args: what a function is called with. Its arguments by name go into `kwargs={...}`.
            options: see `StartOptions` for their types and the reference for what they mean.

        Raises:
            CommandRefused: a string that only a shell would understand.
            UsageError: anything else about the arguments.
            RunExists: the key names a run with another request.
            StoreUnusable: the store cannot be written to.
            SupervisorLost: no supervisor could be started.
        """
        start = Start(source, args, options)
        make_store(self.path)
        try:
            path = start.run(self.path, self._lifeline, self.bounds)
            see_to_agent(self.path)
            self._sweep_for(start)
            run = Run(path, check=start.checks, lazy=False if start.argv else None)
            if start.begun is not None:
                set_begun(run, *start.begun)
            return run
        except FileDamaged:  # which says what is wrong, and where
            raise
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _record(self, start: Start) -> Recording:
        """Begin a run that this process records itself; see `runcast.attach`."""
        make_store(self.path)
        try:
            recording = start.record(self.path)
            see_to_agent(self.path)
            self._sweep_for(start)
            return recording
        except FileDamaged:
            raise
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _sweep_for(self, start: Start) -> None:
        """Have runs removed that the rule of a start, or of the store, leaves, if it is time for that."""
        if start.keep is not None or self.keep is not None:
            from runcast.retention.sweep import sweep_soon

            sweep_soon(self.path, self.keep)

    def rerun(self, run: Run) -> Run:
        """Start the same again: command, folder, variables, input and limits of another run.

        Raises:
            RunMasked: what was masked of it is missing in its record.
            UploadGone: a file that it was started with, or its input, is not here.
            UsageError: it was no command.
        """
        request = files_of(run).request()  # raises if damaged: a part of a command is another command
        if request["source"] != "command":
            raise UsageError(
                f"expected a run of a command, {run.name!r} was a {request['source']}: start it from "
                "the program that has it"
            )
        if request.get("masked"):
            raise masked_run(run)
        if request.get("given") and (host := files_of(run).mirror_of) is not None:
            raise UploadGone(
                f"expected a run of this host, what {run.id} was given as input or payload is on its own, "
                f"host {host}, alone: start it again there"
            )
        command, params = same_files(run.id, files_of(run).path, request)
        stdin = files_of(run).open_input() if files_of(run).has_input else None
        again = {one.name: request.get(one.name, one.default) for one in OPTIONS.values() if one.again}
        options = cast("StartOptions", again | {"stdin": stdin, "payload": read_payload(files_of(run))})
        options["params"], options["env"] = params, without_trace(again["env"])
        try:
            return self.start(command, **options)
        finally:
            if stdin is not None:
                os.close(stdin)

    def list(self, limit: int | None = None, *, key: str | None = None) -> Iterator[Run]:
        """Yield the runs, newest first; reads nothing of a run before it is looked at.

        Others may remove runs meanwhile: to look at one of those raises `RunNotFound`.

        Args:
            limit: how many at most.
            key: only those that were started or attached with this key. The newest is found at once, older
                ones by looking through all.
        """
        if key is None:
            return (Run(f"{self.path}/{run_id}") for run_id in self.ids(limit))
        return islice(self._with_key(key), limit)

    def _with_key(self, key: str) -> Iterator[Run]:
        newest = newest_of_key(self.path, key)
        if newest is not None:
            yield Run(f"{self.path}/{newest}")
        for run in map(Run, (f"{self.path}/{run_id}" for run_id in self.ids(before=newest))):
            with contextlib.suppress(RunNotFound):
                if run.request.get("key") == key:
                    yield run

    def ids(self, limit: int | None = None, before: str | None = None) -> Sequence[str]:
        """Return the ids of the runs, newest first, or of those before one; reads nothing of any run."""
        if see_to_agent(self.path) and not _in_event_loop():
            await_list(self.path)
        names = self._files.ids()
        if before is not None:
            names = (name for name in names if name < before)
        return sorted(names, reverse=True) if limit is None else heapq.nlargest(limit, names)

    def get(self, run_id: str) -> Run:
        """Return the run with this id, or whose id begins or ends so and no other's does.

        Raises:
            RunNotFound: there is none, or more than one; `near` has ids that look alike.
        """
        wanted = run_id.lower()
        linked = see_to_agent(self.path)
        if is_run_id(wanted) and (self._files.has(wanted) or (linked and self._brought(wanted))):
            return Run(f"{self.path}/{wanted}")
        names = list(self._files.ids())
        matches = [
            name for name in names if len(wanted) >= 4 and (name.startswith(wanted) or name.endswith(wanted))
        ]
        if len(matches) == 1:
            return Run(f"{self.path}/{matches[0]}")
        import difflib  # like others here: it costs a millisecond, and few need it

        near = sorted(matches)[:3] or difflib.get_close_matches(wanted, heapq.nlargest(_NEAR, names), 3, 0.7)
        raise RunNotFound(run_id, f"the store {self.path}", tuple(near))

    def _brought(self, run_id: str) -> bool:
        """Ask the agent for a run that may be another host's, and wait for it; return whether it came.

        An event loop does not wait: the next request may find it.
        """
        deadline = time.monotonic() + _BRING_SECONDS
        while not self._files.has(run_id):
            ask_for(f"{self.path}/{run_id}", 0)
            if _in_event_loop() or time.monotonic() > deadline:
                return False
            time.sleep(_BRING_PAUSE)
        return True

    def remove(self, run: Run | str) -> None:
        """Remove a finished run and its log.

        Raises:
            RunNotFound: there is no such run.
            RunActive, RunElsewhere: it still goes on; it is another host's.
            RunPinned: it is pinned.
            StoreUnusable: the store cannot be written to.
        """
        from runcast.retention.removal import remove  # few processes remove anything

        found = self.get(run if isinstance(run, str) else run.id)
        with audited(self.path, "delete", found.id, found.request["name"]):
            remove(self.path, found)


def _in_event_loop() -> bool:
    from runcast.own_thread import in_event_loop  # only where there is a link

    return in_event_loop()


def masked_run(run: Run) -> RunMasked:
    """Return the error for a run that cannot be started again."""
    return RunMasked(
        f"expected a run whose record is whole, {run.id} was started with secrets, and they were not kept: "
        "start it as a new one, and give them again"
    )


def store_path(where: str | None) -> str:
    """Return the folder of a store, by what names it, as `Store.open` does. Looks at nothing.

    Raises:
        StoreUnusable: it names no folder.
    """
    text = where if where is not None else os.environ.get("RUNCAST_STORE") or default_path()
    if is_link_url(text):
        link = parse_link(text)
        return link.folder or link.default_folder(default_path())
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "file":
        text = rest.removeprefix("//")
        word, equals, _ = text.partition("?")[2].partition("=")
        if equals and word.isidentifier():  # else a slip would make a folder of that name
            raise StoreUnusable(
                f"expected file:FOLDER or file:FOLDER?shelf=URL?local_age=7d, got ?{word:.40}="
            )
    elif colon and "/" not in scheme and scheme.isalnum() and len(scheme) > 1:
        raise StoreUnusable(
            "expected a folder, file:FOLDER, memory:, redis://HOST or postgresql://HOST as the store, "
            f"got '{scheme}:…'{SLIPS.get(scheme, '')}"
        )
    if not text:  # which would be the folder we happen to be in
        raise StoreUnusable("expected the name of a folder as the store, got an empty one")
    return os.path.abspath(os.path.expanduser(text))


def _link(path: str, url: str) -> None:
    """Have a store shared with other hosts from now on.

    Raises:
        StoreUnusable: the store cannot be written to, or what speaks to the engine is not installed.
    """
    settings = parse_link(url).settings
    check_clients(settings)
    make_store(path)
    _check_host(path, settings)
    try:
        settings.write(path)
    except OSError as error:
        raise unwritable(path, error) from None


def _check_host(path: str, settings: LinkFile) -> None:
    """Refuse another name at the link while runs go on, which are there under the first one.

    Raises:
        StoreUnusable: some do.
    """
    known = read_link(path)
    if known is None or not settings.host or known.host in ("", settings.host) or not known.url:
        return
    files = StoreFiles(path)
    for run_id in heapq.nlargest(_NEAR, files.ids()):
        run = files.run(run_id)
        if not (run.ended or run.is_mirror or run.is_from_elsewhere):
            raise StoreUnusable(
                f"expected host={known.host} in the URL of the store {path}, whose run {run_id} goes on "
                f"under that name, got {settings.host}: keep it until no run goes on"
            )


def default_path() -> str:
    """Return the folder of the store that is used where nobody names one."""
    import platformdirs

    return platformdirs.user_state_dir("runcast", appauthor=False)


def _memory_store(keep: Keep | None, bounds: QueueBounds) -> Store:
    """Return a store in a private folder of a memory file system, which ends with this process."""
    from runcast.store.memory import make_memory_folder  # few stores are

    folder = make_memory_folder()
    store = Store(folder, keep=keep, bounds=bounds)
    store._lifeline, _kept_open = os.pipe2(os.O_CLOEXEC)  # its writing end closes when this process ends
    atexit.register(_remove_memory, folder, os.getpid())
    return store


def _remove_memory(folder: str, owner: int) -> None:
    if os.getpid() != owner:  # a forked child
        return
    runs = list(Store(folder).list())
    for act in (Run.kill, lambda run: run.wait(timeout=_CLOSING_SECONDS)):
        for run in runs:
            with contextlib.suppress(RuncastError):
                act(run)
    StoreFiles(folder).remove_all()
