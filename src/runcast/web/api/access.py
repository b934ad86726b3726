"""Access to the runs of a store: which run a request names, and who may do what to it.

Owns that nothing is given out or changed before `authorize` has decided. Where it denies reading a run, a
share link of that run allows it, and nothing else. A run is named by its whole id: what is given out by
id alone must not be found by a part of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace

from runcast.acting import acting
from runcast.durable.stream_run import StreamRuns
from runcast.errors import RunNotFound
from runcast.ids import is_run_id
from runcast.run import Run
from runcast.runs import Store
from runcast.store.audit import audit_once
from runcast.store.files import StoreFiles
from runcast.web.api.authorize import Decide, allow_all, subject_of
from runcast.web.api.refusals import NoShareLinks, NotAllowed, ShareExpired
from runcast.web.http.messages import Reply, Request
from runcast.web.http.person import Person, person_in
from runcast.web.http.response_stream import ResponseStream
from runcast.web.http.share import ShareKey, given_in
from runcast.who import Kind

__all__ = ["Access"]

_READS = ("list", "read", "traceback", "metrics")


class Access:
    """The runs of one store, and the decisions about them.

    Args:
        store: whose runs.
        authorize: decides on each verb; by default everything is allowed.
        at_once: `authorize` is known to return at once, so that an event loop may call it.

    Attributes:
        streams: what others append to, listed and shown beside the runs; None where there is none.
        share_key: returns what signs share links, at the time of a request; None where there are none.
    """

    def __init__(self, store: Store, authorize: Decide | None = None, *, at_once: bool = False) -> None:
        self.store = store
        self._files = StoreFiles(store.path)
        self._authorize = authorize or allow_all
        self.at_once = at_once or authorize is None
        self.streams: StreamRuns | None = None
        self.share_key: Callable[[], ShareKey | None] = lambda: None

    def is_there(self, run_id: str) -> bool:
        """Return whether there is a run or a stream of this very id, found without a search among all."""
        return self._exactly(run_id.lower()) is not None

    def _exactly(self, run_id: str) -> Run | None:
        if is_run_id(run_id) and self._files.has(run_id):
            return Run(self._files.run(run_id).path)
        return None if self.streams is None else self.streams.get(run_id)

    def check(self, verb: str, request: Request, run: Run | None = None) -> None:
        """Refuse a verb that is not allowed.

        Raises:
            NotAllowed: it is not; `ShareExpired` where it was until lately.
        """
        if self._authorize(verb, run, request):
            self._note_use(verb, request, run)
            return
        if verb == "read" and run is not None and self.shared_until(run, request) is not None:
            return
        if verb == "share" and self.share_key() is None:
            raise NoShareLinks
        self._note_refused(verb, request, run)
        raise _refusal(verb, request, run)

    def may_read(self, run: Run, request: Request, root: str) -> bool:
        """Return whether who sends a request to a view may read a run at its page, below a root."""
        return self._authorize(
            "read", run, replace(request, method="GET", root=root, path=f"/runs/{run.id}", query="", body=b"")
        )

    def may_start(self, name: str | None, request: Request) -> bool:
        """Return whether a command may be started, by its name or, without one, any.

        `authorize` is called as it would be for the start, and so sees which one.
        """
        body = json.dumps({"command": []} if name is None else {"name": name}).encode()
        start = replace(request, method="POST", path="/runs", query="", body=body)
        return self._authorize("start", None, start)

    def _note_use(self, verb: str, request: Request, run: Run | None) -> None:
        """Have the audit say what a program reads by a token of its own: what it changes is there anyway."""
        person = person_in(request.original)
        if person is not None and person.who.kind == Kind.SCOPED_TOKEN and verb in _READS:
            with acting(person.who, request.peer):
                audit_once(self.store.path, verb, _id(run), subject_of(verb, run, request))

    def _note_refused(self, verb: str, request: Request, run: Run | None) -> None:
        """Have the audit say what somebody tried who is known. Of strangers there may be any number."""
        if request.who.kind not in (Kind.VISITOR, Kind.SHARE_LINK):
            with acting(lambda: request.who, request.peer):
                name = subject_of(verb, run, request)
                audit_once(self.store.path, verb, _id(run), name, result="NotAllowed")

    def shared_until(self, run: Run, request: Request) -> int | None:
        """Return until when a request may read a run by its share link; None if it has none that is right.

        Raises:
            ShareExpired: it has one that was.
        """
        expires = self._expiry(run, request)
        if expires is not None and expires <= time.time():
            raise ShareExpired(expires)
        return expires

    def bounded(self, reply: Reply, run: Run, request: Request) -> Reply:
        """Return a reply that, if it is live, ends with the share link of its viewer."""
        if reply.stream is not None:
            self.bound(reply.stream, run, request)
        return reply

    def ended(self, request: Request) -> NotAllowed | None:
        """Return the refusal of a client whose rights have ended since it was let in; None for any other."""
        person = person_in(request.original)
        return _refusal("read", request, None) if person is not None and person.gone else None

    def lasting(self, reply: Reply, request: Request) -> Reply:
        """Return a reply that, if it is live, ends with the rights of its viewer."""
        person = person_in(request.original)
        if reply.stream is not None and person is not None:
            bound_to(reply.stream, person)
        return reply

    def bound(self, stream: ResponseStream, run: Run, request: Request) -> None:
        """Have what a viewer is sent end with the viewer's share link, if that is what gave it."""
        if (person := person_in(request.original)) is not None:
            bound_to(stream, person)
            return
        expires = self._expiry(run, request)
        if expires is not None and expires > time.time():  # else it was not the link
            stream.expires = expires

    def _expiry(self, run: Run, request: Request) -> int | None:
        key = self.share_key()
        if key is None:
            return None
        return key.expiry(run.id, given_in(request.query, [request.header("cookie") or ""]))

    def find(self, run_id: str, verb: str, request: Request) -> Run:
        """Return a run to which a verb may be done.

        Raises:
            RunNotFound: there is no run of this very id.
            NotAllowed: it may not.
        """
        run = self._exactly(run_id.lower()) or self.store.get(run_id)  # its error names similar ids
        if run.id != run_id.lower():  # a part of an id is a comfort of the command line, not of the web
            raise RunNotFound(run_id, "this store")
        self.check(verb, request, run)
        return run


def bound_to(stream: ResponseStream, person: Person) -> None:
    """Have what a viewer is sent end with the viewer's rights."""
    stream.expires, stream.lapsed = person.expires, person.lapsed


def _id(run: Run | None) -> str | None:
    return None if run is None else run.id


def _refusal(verb: str, request: Request, run: Run | None) -> NotAllowed:
    name = subject_of(verb, run, request)
    what = verb if name is None else f"{verb} {name[:80]!r}"
    person = person_in(request.original)
    if person is None:
        return NotAllowed(f"expected somebody who may {verb} here: ask who runs this server", verb)
    if person.gone:
        return NotAllowed(f"expected rights that last, those of {person.who} have ended", verb, ())
    said = f"expected somebody who may {what}, {person.who} may {person.rights}: ask who runs this server"
    return NotAllowed(said, verb, person.rights.words)
