"""A shelf in a bucket of a server that speaks the protocol of Amazon S3, and what is done about faults."""

import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import botocore.session
import pytest

from runcast import Store
from runcast.agent.shelf_threads import DOWN, KEPT, ShelfEvent, ShelfThreads
from runcast.errors import ShelfDamaged, ShelfDown, ShelfMissing, ShelfTaken
from runcast.log.segments import segment_name, segment_starts
from runcast.run.base import files_of
from runcast.shelf import Shelf, open_shelf
from runcast.shelf.keeping import keep_run
from runcast.shelf.manifest import fetch_manifest, folder_of
from runcast.shelf.opening import ShelfRules, identify
from runcast.shelf.s3 import S3Shelf
from runcast.store.files import StoreFiles
from runcast.store.mirrors import agent_lock
from runcast.store.run_files import RunFiles
from runcast.sysio.files import is_locked
from runcast.testing import check_shelf
from tests.helpers.s3 import CREDENTIALS, S3Server, s3_server, use_credentials
from tests.helpers.shelves import LARGE, large_run, small_run
from tests.helpers.stores import temporary_store
from tests.helpers.wait import MS, wait_until

PATIENCE = 30000 * MS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    """A server with the bucket `runs`."""
    with s3_server() as server:
        yield server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the credentials of the server."""
    use_credentials(monkeypatch)


def url(server: S3Server, place: str = "runs", rules: str = "") -> str:
    """Return the URL of a shelf there."""
    return f"s3://{place}?endpoint={server.endpoint}{rules}"


def test_promises(server: S3Server):
    """A bucket keeps the promises of every shelf."""
    numbers = itertools.count()

    class Place:
        def __init__(self) -> None:
            self._place = f"runs/check-{next(numbers)}"

        def shelf(self) -> Shelf:
            return open_shelf(url(server, self._place))

        def close(self) -> None:
            pass

    check_shelf(Place)


def test_prefixes(server: S3Server, tmp_path: Path):
    """Two shelves in one bucket do not see each other."""
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    mine, other = open_shelf(url(server, "runs/mine")), open_shelf(url(server, "runs/mine-too"))

    assert mine.keep("a/b", str(file))

    assert list(mine.names()) == ["a/b"]
    assert list(other.names()) == []
    with pytest.raises(ShelfMissing, match="the object a/b on the shelf"):
        other.fetch("a/b")


def test_runs_whole_or_not_at_all(server: S3Server, tmp_path: Path):
    """A run is kept, and refused where an object of it was cut off."""
    shelf = open_shelf(url(server, "runs/whole"))
    files = small_run(tmp_path / "store")
    keep_run(shelf, files)
    assert fetch_manifest(shelf, files.id)

    client = botocore.session.Session().create_client("s3", endpoint_url=server.endpoint)
    (name, *_) = shelf.names(folder_of(files.id))
    client.put_object(Bucket="runs", Key=f"whole/{name}", Body=shelf.fetch(name)[:-1])

    with pytest.raises(ShelfDamaged):
        fetch_manifest(shelf, files.id)


@pytest.mark.parametrize(
    ("place", "said"),
    [("no-such-bucket", "make the bucket first"), ("runs", "Unable to locate credentials")],
)
def test_unusable(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, said: str):
    """No bucket, or no credentials: it says what is missing."""
    if said.startswith("Unable"):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "file").write_bytes(b"x")
    shelf = open_shelf(url(server, place))

    for verb in (lambda: shelf.keep("a/b", str(tmp_path / "file")), lambda: list(shelf.names())):
        with pytest.raises(ShelfDown, match=said) as told:
            verb()
        assert CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in str(told.value)


class Vanishing(S3Shelf):
    """A shelf whose bucket is removed, with all that it has, before the third object is written."""

    calls = 0

    def keep(self, name: str, file: str) -> bool:
        self.calls += 1
        if self.calls == 3:
            remove_bucket(self._client())
        return super().keep(name, file)


def remove_bucket(client: Any) -> None:
    """Remove the bucket `gone`."""
    for one in client.list_objects_v2(Bucket="gone")["Contents"]:
        client.delete_object(Bucket="gone", Key=one["Key"])
    client.delete_bucket(Bucket="gone")


def test_bucket_vanishes(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In the middle of a run or later: it says so, also once another has its name, and how to go on."""
    monkeypatch.setattr("runcast.agent.shelf_threads._SCAN_SECONDS", 0.05)
    server.make_bucket("gone")
    shelf, store = open_shelf(url(server, "gone")), StoreFiles(str(tmp_path / "s"))
    files = large_run(tmp_path / "s")
    assert isinstance(shelf, S3Shelf)
    with pytest.raises(ShelfDown, match="make the bucket first"):
        keep_run(Vanishing(shelf._bucket), files)
    server.make_bucket("gone")
    threads, seen = ShelfThreads(shelf, ShelfRules(), store), list[ShelfEvent]()

    def comes(what: str, said: str = "") -> bool:
        seen.extend(threads.take())
        return any(event.what == what and said in event.message for event in seen)

    try:
        wait_until(lambda: comes(KEPT), PATIENCE, "the run on the shelf")
        remove_bucket(shelf._client())
        wait_until(lambda: comes(DOWN, "make the bucket first"), PATIENCE, "what is wrong")
        server.make_bucket("gone")
        wait_until(lambda: comes(DOWN, "to keep there what is still here, remove .shelf.json"), PATIENCE)
    finally:
        threads.close()
    (tmp_path / "s" / ".shelf.json").unlink()
    seen.clear()
    threads = ShelfThreads(shelf, ShelfRules(), store)
    try:
        wait_until(lambda: comes(KEPT), PATIENCE, "the run on the other shelf")
    finally:
        threads.close()
    assert fetch_manifest(shelf, files.id)


def test_two_hosts(server: S3Server, tmp_path: Path):
    """Two hosts in one bucket have one shelf: what both have is there once, and what differs is refused."""
    place = url(server, "runs/both")
    shelves = open_shelf(place), open_shelf(place)
    ids = {identify(shelf, None, str(tmp_path / "draft")) for shelf in shelves}
    assert len(ids) == 1
    mine, other = small_run(tmp_path / "a"), small_run(tmp_path / "b", b"another output\n")
    shutil.copytree(mine.path, tmp_path / "c" / mine.id)
    shutil.copytree(other.path, tmp_path / "d" / mine.id)
    keep_run(shelves[0], mine)
    keep_run(shelves[1], other)
    before = sorted(shelves[0].names())

    keep_run(shelves[1], RunFiles(str(tmp_path / "c" / mine.id)))
    with pytest.raises(ShelfTaken, match=f"s3://runs/both at {server.endpoint}, or to be the same"):
        keep_run(shelves[1], RunFiles(str(tmp_path / "d" / mine.id)))

    assert sorted(shelves[1].names()) == before
    assert fetch_manifest(shelves[1], mine.id) == fetch_manifest(shelves[0], mine.id)


def test_other_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Keys that are not valid any more are an error until there are others, which a shelf takes by itself."""
    file, credentials = tmp_path / "file", tmp_path / "credentials"
    file.write_bytes(b"data")
    with s3_server() as server:
        iam = botocore.session.Session().create_client("iam", endpoint_url=server.endpoint)
        iam.create_user(UserName="runs")
        allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="runs", PolicyName="all", PolicyDocument=policy)
        keys = [iam.create_access_key(UserName="runs")["AccessKey"] for _ in range(2)]
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
        shelf = open_shelf(url(server))
        for number, key in enumerate(keys):
            with pytest.raises(ShelfDown):
                shelf.keep(f"run/{number}", str(file))
            words = (
                f"aws_access_key_id={key['AccessKeyId']}\naws_secret_access_key={key['SecretAccessKey']}\n"
            )
            credentials.write_text("[default]\n" + words)
            server.checks(keys=True)
            assert shelf.keep(f"run/{number}", str(file))
            server.checks(keys=False)
            iam.delete_access_key(UserName="runs", AccessKeyId=key["AccessKeyId"])
            server.checks(keys=True)
        with pytest.raises(ShelfDown):
            shelf.fetch("run/0")


def test_away(server: S3Server, tmp_path: Path):
    """A server that cannot be reached is an error that says where it was to be."""
    with s3_server() as other:
        gone = open_shelf(url(other))
    with pytest.raises(ShelfDown, match=other.endpoint):
        gone.fetch("a/b")


def test_whoever_overwrites_is_refused(server: S3Server, tmp_path: Path):
    """A server that overwrites all the same is found out before anything is kept."""
    (tmp_path / "file").write_bytes(b"x")
    shelf = open_shelf(url(server, "runs/heedless"))
    assert isinstance(shelf, S3Shelf)
    # The condition is taken out of each request, as a server that does not know it would.
    shelf._client().meta.events.register(
        "before-sign.s3.PutObject", lambda request, **_: request.headers.__delitem__("If-None-Match")
    )

    with pytest.raises(ShelfDown, match="does not heed it"):
        shelf.keep("a/b", str(tmp_path / "file"))

    assert list(shelf.names()) == []


def test_old_output_moves(server: S3Server, tmp_path: Path):
    """Output of a run that is over goes to the bucket and from this disk, and is read as ever."""
    with temporary_store(tmp_path / "s") as plain:
        files = large_run(Path(plain.path))
        shelf = quote(url(server, "runs/moves", "&local_age=1s"), safe="")
        store = Store.open(f"file:{plain.path}?shelf={shelf}")
        try:
            for start in segment_starts(files.log_path):
                os.utime(f"{files.log_path}/{segment_name(start)}", (time.time() - 3600,) * 2)
            list(store.list())
            segments = [f"{files.log_path}/{segment_name(start)}" for start in segment_starts(files.log_path)]
            wait_until(lambda: not any(map(os.path.exists, segments)), PATIENCE, "its output to leave")

            run = store.get(files.id)
            assert b"".join(chunk.data for chunk in run.follow()) == LARGE
            assert files_of(run).path == files.path
        finally:
            Path(plain.path, "link.json").unlink(missing_ok=True)
            wait_until(lambda: not is_locked(agent_lock(plain.path)), PATIENCE, "the end of its agent")
