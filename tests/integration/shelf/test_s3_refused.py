"""What Amazon S3 answers where the region, the endpoint or the credentials are wrong, and what is said of it.

The servers are in memory: botocore sends each request to a function. moto's takes any region.
"""

import io
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from botocore.awsrequest import AWSResponse

from runcast.agent.shelf_threads import DOWN, KEPT, ShelfEvent, ShelfThreads
from runcast.errors import ShelfDown, ShelfMissing
from runcast.log.segments import segment_name, segment_starts
from runcast.shelf.manifest import fetch_manifest
from runcast.shelf.opening import ShelfRules, parse_shelf
from runcast.shelf.s3 import S3Shelf
from runcast.store.files import StoreFiles
from runcast.store.shelf_urls import Bucket
from tests.helpers.s3 import use_credentials
from tests.helpers.shelves import small_run
from tests.helpers.wait import MS, wait_until

PATIENCE = 30000 * MS
HOME = "eu-central-1"  # of the bucket
AMAZON_IN = "https://s3.{}.amazonaws.com"

pytestmark = pytest.mark.slow


class Answer(NamedTuple):
    """What a server answers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})


Server = Callable[[Any], Answer]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have credentials, and no region."""
    use_credentials(monkeypatch)
    monkeypatch.delenv("AWS_DEFAULT_REGION")


def refused(status: int, code: str, **more: str) -> Answer:
    """Return a refusal in S3's form."""
    date = {"date": "Tue, 01 Jan 2030 00:00:00 GMT"}
    said = "".join([f"<{name}>{value}</{name}>" for name, value in {"Code": code, **more}.items()])
    region = {"x-amz-bucket-region": more["Region"]} if "Region" in more else {}
    return Answer(status, f"<?xml version='1.0'?><Error>{said}</Error>".encode(), date | region)


class Body(io.BytesIO):
    """The body of a reply, as botocore reads it."""

    def stream(self) -> Any:
        yield self.read()


class Shelf(S3Shelf):
    """A shelf whose requests go to a function."""

    def __init__(self, url: str, server: Server) -> None:
        bucket = parse_shelf(url)[0]
        assert isinstance(bucket, Bucket)
        super().__init__(bucket)
        self.server, self.requests = server, list[str]()

    def _client(self) -> Any:
        fresh = self._made is None
        client = super()._client()
        if fresh:
            client.meta.events.register("before-send.s3", self._answer)
        return client

    def _answer(self, request: Any, **_: object) -> AWSResponse:
        self.requests.append(f"{request.method} {request.url}")
        answer = self.server(request)
        return AWSResponse(request.url, answer.status, answer.headers, Body(answer.body))


def amazon(objects: dict[str, bytes]) -> Server:
    """Return Amazon S3 with a bucket in `HOME`: other places name it, each in the way that is documented."""

    def answer(request: Any) -> Answer:
        host, signed = request.url.split("/")[2], str(request.headers["Authorization"])
        if HOME not in host:
            return refused(301, "PermanentRedirect", Endpoint=f"s3.{HOME}.amazonaws.com", Region=HOME)
        if f"/{HOME}/s3/" not in signed:
            return refused(400, "AuthorizationHeaderMalformed", Region=HOME)
        name = request.url.rpartition("/runs/")[2].rpartition(".com/")[2]
        if request.method == "PUT":
            if name in objects:
                return refused(412, "PreconditionFailed")
            objects[name] = request.body if isinstance(request.body, bytes) else request.body.read()
            return Answer(200)
        return Answer(200, objects[name]) if name in objects else refused(404, "NoSuchKey")

    return answer


def said_of(shelf: Shelf, file: Path) -> str:
    """Return what a shelf says of a write and of a read: the same."""
    file.write_bytes(b"data")
    told = []
    for verb in (lambda: shelf.keep("run/object", str(file)), lambda: shelf.fetch("run/object")):
        with pytest.raises(ShelfDown) as error:
            verb()
        said = str(error.value)
        assert "a-secret-of-the-test" not in said
        told.append(re.sub(r"the (Put|Get)Object", "the …", said.partition(f"{shelf}: ")[2]))
    assert re.sub(r"\d\d:\d\d:\d\d", "", told[0]) == re.sub(r"\d\d:\d\d:\d\d", "", told[1])
    return told[0]


def test_another_region_of_amazon(tmp_path: Path):
    """Without an endpoint the bucket is found in its own region, whatever region is named: the first time."""
    objects: dict[str, bytes] = {}
    shelf = Shelf("s3://runs?region=us-west-2", amazon(objects))
    (tmp_path / "file").write_bytes(b"data")

    assert shelf.keep("run/object", str(tmp_path / "file"))
    assert shelf.fetch("run/object") == b"data"
    with pytest.raises(ShelfMissing):
        shelf.fetch("run/other")

    assert objects["run/object"] == b"data"
    assert [one for one in shelf.requests if HOME not in one] == [
        "PUT https://runs.s3.us-west-2.amazonaws.com/.probe"
    ]


@pytest.mark.parametrize("region", ["us-west-2", HOME])
def test_endpoint_of_another_region(tmp_path: Path, region: str):
    """Where the endpoint is that of another region it says which is the bucket's, and what to change."""
    endpoint = AMAZON_IN.format("us-west-2")
    shelf = Shelf(f"s3://runs?region={region}&endpoint={endpoint}", amazon({}))

    said = said_of(shelf, tmp_path / "file")

    assert said.endswith(
        ": the bucket is in the region eu-central-1: write region=eu-central-1 and the endpoint of that "
        "region, or none for Amazon's, in the URL of the shelf"
    )
    assert len(shelf.requests) < 6


def test_endpoint_of_the_region(tmp_path: Path):
    """Where only the region's name is wrong the server says it, and requests are signed for that one."""
    shelf = Shelf(f"s3://runs?region=us-east-1&endpoint={AMAZON_IN.format(HOME)}", amazon({}))
    (tmp_path / "file").write_bytes(b"data")

    assert shelf.keep("run/object", str(tmp_path / "file"))


OWN = "s3://runs?region=home&endpoint=http://minio.example:9000"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refused(400, "AuthorizationHeaderMalformed"), "name the bucket's own region and the endpoint"),
        (refused(400, "IllegalLocationConstraintException"), "name the bucket's own region and the endpoint"),
        (refused(400, "ExpiredToken"), "the credentials are over, new ones in ~/.aws/credentials"),
        (refused(403, "AccessDenied"), "the credentials need s3:GetObject, s3:PutObject and s3:ListBucket"),
        (refused(403, "SignatureDoesNotMatch"), "the credentials need s3:GetObject"),
        (refused(404, "NoSuchBucket"), "make the bucket first"),
        (refused(403, "RequestTimeTooSkewed"), "the server's Tue, 01 Jan 2030 00:00:00 GMT: set it"),
        (Answer(404, b"<html>no such page</html>"), "HTTP 404: it does not answer as S3 does: is endpoint="),
        (Answer(405), "it does not answer as S3 does: is endpoint= in the URL of the shelf right?"),
        (Answer(301, b"<html>"), "HTTP 301: it does not answer as S3 does"),
        (
            Answer(301, b"<html>", {"location": "https://minio.example/?secret"}),
            "HTTP 301: the server is at https://minio.example: write that as endpoint=",
        ),
        (Answer(308, b"", {"location": "https://u:secret@minio.example/"}), "it does not answer as S3 does"),
    ],
)
def test_wrong_endpoint_or_credentials(tmp_path: Path, answer: Answer, said: str):
    """It says what to change, at reads as at writes, and asks once; what is no S3 lacks no object."""
    shelf = Shelf(OWN, lambda _: answer)

    told = said_of(shelf, tmp_path / "file")

    assert said in told
    assert "secret" not in told
    assert len(shelf.requests) == 2


def test_agent_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While the region is wrong output stays; corrected in ~/.aws/config, the same agent keeps it."""
    monkeypatch.setattr("runcast.agent.shelf_threads._SCAN_SECONDS", 0.05)
    config, objects = tmp_path / "config", dict[str, bytes]()
    config.write_text("[default]\nregion=nowhere-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    home, files = amazon(objects), small_run(tmp_path / "store")
    # A server of one region, which says that it is another one and not which.
    shelf = Shelf(
        f"s3://runs?endpoint={AMAZON_IN.format(HOME)}",
        lambda request: (
            home(request)
            if f"/{HOME}/s3/" in str(request.headers["Authorization"])
            else refused(400, "AuthorizationHeaderMalformed")
        ),
    )
    (segment,) = [f"{files.log_path}/{segment_name(start)}" for start in segment_starts(files.log_path)]
    os.utime(segment, (time.time() - 3600,) * 2)
    threads = ShelfThreads(shelf, ShelfRules(local_age=1), StoreFiles(str(tmp_path / "store")))
    seen = list[ShelfEvent]()

    def comes(what: str, said: str = "") -> bool:
        seen.extend(threads.take())
        return any(event.what == what and said in event.message for event in seen)

    try:
        wait_until(lambda: comes(DOWN, "name the bucket's own region"), PATIENCE)
        assert os.path.exists(segment)
        config.write_text(f"[default]\nregion={HOME}\n")
        wait_until(lambda: comes(KEPT), PATIENCE, "the run on the shelf")
        wait_until(lambda: not os.path.lexists(segment) or os.path.islink(segment), PATIENCE, "it to leave")
    finally:
        threads.close()
    assert fetch_manifest(shelf, files.id)
