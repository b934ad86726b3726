"""Starting a run: from what a caller passes to a folder in the store that a process owns.

Owns the order of a start: the request is checked, the folder is made under a hidden name, its key is
taken, and only then a process takes over the run: a supervisor of its own for a command or a function with
`process=True`, this process for other functions and generators. A start that fails before that leaves
nothing behind. Which options there are is the table's (`options/table.py`); here stands what they do.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runcast import loggers
from runcast.acting import acting_who
from runcast.errors import UsageError
from runcast.ids import new_run_id
from runcast.model import Outcome, Reason
from runcast.options import COMMAND, FUNCTION, GENERATOR, OPTIONS, PROCESS, check_together, read
from runcast.sources.command import current_folder, descriptor, environment, to_argv
from runcast.sources.kinds import Kind, Source, check_arguments, kind_of, name_of, take, unknown_option
from runcast.store.audit import audit_line
from runcast.store.contents import FORMAT
from runcast.store.files import StoreFiles
from runcast.store.keys import ATTEMPT, compared, free_key
from runcast.store.origin import origin_of
from runcast.store.queues import STORE_QUEUE, QueueBounds, QueueFiles, hold
from runcast.store.run_files import RESULT, RunFiles
from runcast.store.uploads import copy_in, placed, uploads_in
from runcast.supervisor.launch import launch
from runcast.supervisor.recover import is_over
from runcast.supervisor.shared_keys import await_secret, shared_holder, take_shared_key
from runcast.sysio.descriptors import in_memory
from runcast.trace_context import RunTrace
from runcast.who import Who

if TYPE_CHECKING:
    from runcast.keep import Keep
    from runcast.masking.masks import Masks
    from runcast.sources.recording import Recording

__all__ = ["Start", "masks_of"]

_IDLE_GENERATOR = 3600.0  # seconds after which a generator that nobody reads is closed, unless given


class Start:
    """A start that was requested and checked: its source and its options; see `Store.start`.

    Attributes:
        kind: of the source.
        argv: the arguments of a command, program first; None of anything else.

    Raises:
        UsageError, CommandRefused: it has no meaning. Nothing was touched.
    """

    def __init__(self, source: Source, args: Sequence[Any], options: Mapping[str, Any]) -> None:
        if wrong := options.keys() - OPTIONS.keys():
            raise unknown_option(source, {name: options[name] for name in options if name in wrong})
        self.kind = kind_of(source)
        self._source, self._args = source, args
        self._options = read(options)
        self.argv = to_argv(source, shell=self._options["shell"]) if self.kind is Kind.COMMAND else None  # type: ignore[arg-type]
        taker, what = self._taker()
        for name, value in options.items():
            OPTIONS[name].refuse_for(taker, value, what)
        self._check()
        mask = self._options["mask"]
        self._masks = None if mask is None else masks_of(mask, self._options["env"])
        self.begun: tuple[bytes, dict[str, Any]] | None = None  # `run.json`, and the first state

    def _taker(self) -> tuple[int, str]:
        """Return what the source is to an option, and in a message."""
        if self.kind is Kind.COMMAND:
            return COMMAND, "command"
        if self.kind.is_generator:
            return GENERATOR, self.kind.value
        return (
            (PROCESS, "function with process=True")
            if self._options["process"]
            else (FUNCTION, self.kind.value)
        )

    def _check(self) -> None:
        """Refuse what no option by itself is wrong about."""
        stdin, kwargs = self._options["stdin"], self._options["kwargs"]
        if self.kind is not Kind.COMMAND or self._args or kwargs:
            check_arguments(self._source, self._args, kwargs or {})
        check_together(self._options)
        if self._options["payload"] is not None and self._options["mask"] is not None:
            raise UsageError("expected no payload with mask, since its file lies in the store: use input")
        if stdin is not None and stdin != "pipe":
            descriptor(stdin)

    @property
    def checks(self) -> bool:
        """Whether waiting for the run is to raise unless its outcome is ok."""
        return bool(self._options["check"])

    @property
    def keep(self) -> Keep | None:
        """What is to stay of the finished runs of its name, or of its view."""
        rule: Keep | None = self._options["keep"]
        return rule

    def run(self, store: str, lifeline: int | None, bounds: QueueBounds) -> str:
        """Start it, and return the folder of the run, or of the run that has the key already.

        Args:
            store: its folder.
            lifeline: a pipe whose end ends the run.
            bounds: how many runs may go on at once.

        Raises:
            UsageError, RunExists, SupervisorLost: see `Store.start`.
            OSError: the store cannot be written to.
        """
        key, call = self._options["key"], self._call()
        run_id = new_run_id()
        uploads = uploads_in(self._options["params"])
        self.argv, paths = placed(self.argv, uploads, StoreFiles(store).run(run_id).path)
        request = self._request(run_id) | paths  # as it is written nowhere, if it is masked
        files = StoreFiles(store)
        draft, path = files.draft(run_id), files.run(run_id).path
        taken: int | None = None  # the lock of its request, while it has a key or a place but no supervisor
        if key is not None and (other := shared_holder(store, key, request, is_over)) is not None:
            return other
        try:
            record = self._record(store, request)
            written = RunFiles.create(draft.path, record, origin_of).written
            copy_in(draft.path, uploads)
            if key is not None:
                taken, other = take_shared_key(store, key, draft.path, request, is_over)
                if other is not None:
                    draft.discard()
                    return other
            queues = self._queues(bounds)
            if queues:
                taken = hold(draft.path) if taken is None else taken
                QueueFiles(store, queues[0][0]).enter(run_id, draft.path)
            if self.argv is None and call is None:
                self._take_here(draft.path, path, record)
            else:
                self.begun = written, self._launch(store, lifeline, draft, path, request, call, queues)
                if "logging" in sys.modules:  # else nothing would read a message about its end
                    from runcast.sources.supervised import look_after

                    look_after(path, record["name"], is_call=call is not None)
            self._note(store, record)
            self._trace.started(path)
            audit_line(store, "start", run_id, record["name"], who=Who.from_json(record["started_by"]))
            loggers.debug("runs", "run %s of %s started", run_id, record["name"])
        except BaseException as error:
            self._trace.failed(error)
            if key is not None and taken is not None and not files.has(run_id):
                free_key(store, key, run_id)
            draft.discard()
            raise
        finally:
            if taken is not None:
                os.close(taken)
        return path

    def record(self, store: str) -> Recording:
        """Begin a run of what the caller goes on to do, and return what records it; raises as `run` does."""
        key, run_id = self._options["key"], new_run_id()
        files = StoreFiles(store)
        draft, path = files.draft(run_id), files.run(run_id).path
        request = self._request(run_id) | ({} if key is None else {ATTEMPT: True})
        record = self._record(store, request)
        taken: int | None = None
        try:
            RunFiles.create(draft.path, record, origin_of)
            if key is not None:
                taken, _ = take_shared_key(store, key, draft.path, request, is_over)
            recording = self._recording(draft.path, path, record)
            audit_line(store, "start", run_id, record["name"], who=Who.from_json(record["started_by"]))
            self._note(store, record)
            self._trace.started(path)
            return recording
        except BaseException as error:
            self._trace.failed(error)
            if key is not None and taken is not None and not files.has(run_id):
                free_key(store, key, run_id)
            draft.discard()
            raise
        finally:
            if taken is not None:
                os.close(taken)

    def _recording(self, new: str, path: str, record: Mapping[str, Any]) -> Recording:
        from runcast.sources.recording import Recording

        whole = {name: self._options[name] for name in ("tee", "on_end")}  # the record may be masked
        return Recording(new, path, {**record, **whole}, self._masks)

    def _record(self, store: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return a request as `run.json` may have it."""
        if self._masks is None:
            return request
        from runcast.store.masked import fingerprint, masked_request

        record = masked_request(self._masks, request)
        record["masked"] |= self._options["input"] is not None  # which is kept nowhere
        if request["key"] is not None:
            await_secret(store)
            record["fingerprint"] = fingerprint(store, request, compared(request))
        return record

    def _note(self, store: str, request: Mapping[str, Any]) -> None:
        """Note what is to stay of such runs."""
        if self.keep is None:
            return
        from runcast.store.kept import NAME, VIEW, KeptFiles

        view = request["view"]
        kind, name = (NAME, request["name"]) if view is None else (VIEW, view)
        try:
            KeptFiles(store).note(kind, name, request["id"], self.keep)
        except OSError as error:  # a full disk: then it stays
            loggers.warning("store", "run %s stays until it is removed: %s", request["id"], error)

    def _request(self, run_id: str) -> dict[str, Any]:
        """Return what `run.json` has: the options that are kept, and what the start adds to them."""
        kind, options = self.kind, self._options
        lazy = kind.is_generator and options["ahead"] is not None
        kept = {one.name: one.type.keep(options[one.name]) for one in OPTIONS.values() if one.kept}
        if not options["tty"]:
            del kept["columns"], kept["rows"]
        if options["input"] is not None or options["payload"] is not None:
            kept["given"] = True  # which is in its folder, on its own host alone
        if options["idle_timeout"] is None and lazy:
            kept["idle_timeout"] = _IDLE_GENERATOR
        if kind is Kind.COMMAND:
            del kept["traceback"]
        else:
            kept["traceback"] = options["traceback"] is not False
        name = options["name"] or (os.path.basename(self.argv[0]) if self.argv else name_of(self._source))
        self._trace = RunTrace(name if self._masks is None else self._masks.text(name), options["env"])
        if self._trace.context is not None:
            kept["trace"] = self._trace.context.to_json()
        return kept | {
            "format": FORMAT,
            "id": run_id,
            "name": name,
            "source": "command" if kind is Kind.COMMAND else "function" if kind.is_function else "generator",
            "command": self.argv or [],
            "cwd": current_folder() if options["cwd"] is None else os.path.abspath(options["cwd"]),
            "lazy": lazy,
            "created_at": time.time(),
            "host": socket.gethostname(),
            "started_by": acting_who().to_json(),
        }

    def _call(self) -> bytes | None:
        """Return the call that a process of its own makes; None where there is no such process."""
        if not self._options["process"]:
            return None
        from runcast.sources import process

        return process.pack(self._source, self._args, self._options["kwargs"] or {})  # type: ignore[arg-type]

    def _queues(self, bounds: QueueBounds) -> list[tuple[str, int]]:
        """Return the queues that it needs a slot of, one after the other, and how many runs may have one."""
        name, queues = self._options["queue"], []
        if name is not None:
            queues.append((name, self._options["max_running"] or bounds.of_queues.get(name, 1)))
        if bounds.of_all is not None and (self.argv is not None or self._options["process"]):
            queues.append((STORE_QUEUE, bounds.of_all))
        return queues

    def _launch(
        self,
        store: str,
        lifeline: int | None,
        draft: RunFiles,
        path: str,
        request: Mapping[str, Any],
        call: bytes | None,
        queues: Sequence[tuple[str, int]],
    ) -> dict[str, Any]:
        message: dict[str, Any] = {
            one.name: request.get(one.name) for one in OPTIONS.values() if one.supervised
        } | {"answer_state": self._options["view"] is not None}  # a view answers when it has begun
        color, tty = self._options["color"], bool(self._options["tty"])
        env = environment(self._options["env"], request["id"], color, tty=tty, folder=path)
        self._trace.set_variables(env)
        if self._masks is not None:
            message["secrets"] = self._masks.values
        if self._options["user"] is not None:
            from runcast.sources.users import home_of

            given = self._options["env"] or {}
            env |= {name: one for name, one in home_of(self._options["user"]).items() if name not in given}
        message |= {"id": request["id"], "argv": self.argv, "env": env, "new": draft.path, "path": path}
        if queues:
            message |= {"queues": queues, "replace": self._options["replace"]}
        stdin, data = self._options["stdin"], self._options["input"]
        fds: dict[str, int] = {}
        opened: list[int] = []
        try:
            data = data.encode() if isinstance(data, str) else data
            if (payload := self._options["payload"]) is not None:
                from runcast.store.given import payload_path, write_payload  # few runs have any

                write_payload(draft, payload.encode() if isinstance(payload, str) else payload)
                env["RUNCAST_PAYLOAD"] = payload_path(RunFiles(path))
            if call is not None:
                from runcast.sources import process

                message |= {"argv": [*process.argv(), path], "result": RESULT}
                if self._masks is None:
                    draft.write_call(call)
                else:
                    data = process.with_masks(call, self._masks.values)
            if data is not None and self._masks is not None:  # it never lies on a disk
                fds["stdin"] = in_memory(data)
                opened.append(fds["stdin"])
            elif data is not None:
                draft.write_input(data)
                fds["stdin"] = draft.open_input()
                opened.append(fds["stdin"])
            elif stdin == "pipe":
                message["stdin"] = "pipe"
            elif stdin is not None:
                fds["stdin"] = descriptor(stdin)
            if lifeline is not None:
                fds["lifeline"] = lifeline
            if self._options["line_buffered"]:
                from runcast.sources.line_buffering import set_line_buffered

                program = message["argv"][0]
                if unfit := set_line_buffered(env, program, request["cwd"]):
                    loggers.warning("starting", "line_buffered %s", unfit)
            return launch(store, message, fds)
        finally:
            for fd in opened:
                os.close(fd)

    def _take_here(self, new: str, path: str, request: dict[str, Any]) -> None:
        """Make the run this process's own, and begin with it."""
        from runcast.sources import programs, run_context

        take(self._source)
        recording = self._recording(new, path, request)
        run_context.note_starter(recording.printer)
        if self._options["programs"]:
            programs.include(recording.printer)
        try:
            self._begin(recording)
        except BaseException as error:
            recording.finish(Outcome(Reason.FAILED_TO_START, message=str(error), ended_at=time.time()))
            raise

    def _begin(self, recording: Recording) -> None:
        source: Any = self._source
        args, kwargs, ahead = self._args, dict(self._options["kwargs"] or {}), self._options["ahead"]
        if self.kind is Kind.FUNCTION:
            from runcast.sources.function import call_here

            call_here(recording, source, args, kwargs)
        elif self.kind is Kind.GENERATOR:
            from runcast.sources.generator import run_iterator

            run_iterator(recording, source(*args, **kwargs) if callable(source) else source, ahead)
        else:
            from runcast.sources import task

            loop = task.loop_for_run()
            if self.kind is not Kind.ASYNC_GENERATOR:
                task.run_task(
                    recording, lambda: source(*args, **kwargs) if callable(source) else source, loop
                )
                return
            from runcast.sources.async_generator import run_async_iterator

            made = source(*args, **kwargs) if callable(source) else source
            run_async_iterator(recording, made, ahead, loop)


def masks_of(values: Sequence[str], env: Mapping[str, str] | None) -> Masks:
    """Return what is to be masked of a run: some values, and variables with secret names.

    Variables count wherever the run can see them: `env`, which it is given, and those of this process.

    Raises:
        UsageError: there are too many.
    """
    from runcast.masking.masks import Masks  # few runs are masked
    from runcast.masking.values import check_values, is_long, secret_variables

    seen = {**os.environ, **{name: str(value) for name, value in (env or {}).items()}}
    found = [*values, *filter(is_long, secret_variables(seen).values())]
    check_values(found)
    return Masks(found)
