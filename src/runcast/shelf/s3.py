"""A shelf that is a bucket of Amazon S3, or of a server that speaks its protocol.

An object is written by one request that is refused where there is one of its name (`If-None-Match: *`), and
appears whole, so it is never overwritten, by whichever host. A server that passes over the condition would
overwrite: that is tried, once, with an object of its own, before anything is kept. Owns what is done
about a bucket that is not there, is elsewhere, may not be used, or is full. Credentials and the region are
found as all programs with botocore find them: the environment, ~/.aws, the role of the machine; and anew
where these are refused, so that nothing need be started again when there are others.
"""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from runcast.errors import ShelfDamaged, ShelfDown, ShelfFull, ShelfMissing
from runcast.installed import check_installed
from runcast.shelf.base import Shelf, check_name
from runcast.store.shelf_urls import Bucket
from runcast.sysio.files import open_own

__all__ = ["S3Shelf"]

_PROBE: Final = ".probe"  # not the name of an object: those begin with a letter or digit
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 60, 3
_CONFLICTS: Final = 5  # how often a write is tried anew that met another one of the same name
_FULL = ("QuotaExceeded", "InsufficientStorage", "StorageFull", "XMinioStorageFull", "EntityTooLarge")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired")
_ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_NOT_S3 = ": it does not answer as S3 does: is endpoint= in the URL of the shelf right?"
_RUN = re.compile(r"[a-z0-9]")


class S3Shelf(Shelf):
    """Objects in a bucket.

    Args:
        bucket: which, and where.

    Raises:
        StoreUnusable: botocore is not installed.
    """

    def __init__(self, bucket: Bucket) -> None:
        # Loaded when it is used, since it takes a while, but missed at once.
        check_installed("botocore", "a shelf at s3://", "s3")
        self._bucket = bucket
        self._lock = threading.Lock()
        self._made: Any = None
        self._proved = False

    def __repr__(self) -> str:
        return f"<S3Shelf {self._bucket}>"

    def __str__(self) -> str:
        return str(self._bucket)

    def keep(self, name: str, file: str) -> bool:
        """Keep it, as `Shelf.keep` says."""
        key = self._key(name)
        with self._errors(f"keep {name}"):
            self._prove()
            return self._put(key, file)

    def fetch(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range, as `Shelf.fetch` says."""
        key = self._key(name)
        with self._errors(f"fetch {name}"):
            if length == 0 or (start == 0 and length is None):
                data = self._get(name, Key=key)
                end = len(data)
                data = data[start:] if length is None else data[start : start + length]
                length = end - start if length is None else length
            else:
                end = None
                last = "" if length is None else start + length - 1
                data = self._get(name, Key=key, Range=f"bytes={start}-{last}")
                length = len(data) if length is None else length
        if length < 0 or len(data) != length or (end is not None and start > end):
            raise self._cut(name, start, length)
        return data

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield names, as `Shelf.names` says."""
        with self._errors("list"):
            pages = self._client().get_paginator("list_objects_v2")
            found = [
                entry["Key"][len(self._bucket.prefix) :]
                for page in pages.paginate(Bucket=self._bucket.name, Prefix=self._bucket.prefix + prefix)
                for entry in page.get("Contents", ())
            ]
        yield from (name for name in found if _RUN.match(name))

    def _key(self, name: str) -> str:
        return self._bucket.prefix + check_name(name)

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                from botocore.config import Config
                from botocore.session import Session

                session = Session()
                session.register_component("data_loader", _loader())
                self._made = session.create_client(
                    "s3",
                    endpoint_url=self._bucket.endpoint,
                    region_name=self._bucket.region,
                    config=Config(
                        connect_timeout=_CONNECT_SECONDS,
                        read_timeout=_READ_SECONDS,
                        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                        # What is fetched is compared with the manifest. Servers differ in what they answer
                        # to a range: rclone has the checksum of the whole object, which is then refused.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                        s3={"addressing_style": "path"} if self._bucket.endpoint else None,
                    ),
                )
                if self._bucket.endpoint:
                    self._made.meta.events.register("before-call.s3.HeadBucket", _no_region)
            return self._made

    def _prove(self) -> None:
        """See that the server refuses what would overwrite an object."""
        if self._proved:
            return
        for _ in range(2):
            taken = self._write(self._bucket.prefix + _PROBE, b"")
        if taken:
            raise ShelfDown(
                f"expected a server that refuses to overwrite an object (If-None-Match: *), that of "
                f"{self._bucket} does not heed it: take another one, such as Amazon S3, Ceph or MinIO"
            )
        self._proved = True

    def _put(self, key: str, file: str) -> bool:
        with open(open_own(file, os.O_RDONLY), "rb") as body:
            return self._write(key, body)

    def _write(self, key: str, body: Any) -> bool:
        """Write an object, and return whether it is this one. A reply that was lost makes it another's."""
        from botocore.exceptions import ClientError

        for attempt in range(_CONFLICTS):
            try:
                self._client().put_object(Bucket=self._bucket.name, Key=key, Body=body, IfNoneMatch="*")
                return True
            except ClientError as error:
                status, _ = _said(error)
                if status == 412:
                    return False
                if status != 409 or attempt == _CONFLICTS - 1:
                    raise
            if body:
                body.seek(0)
        return False

    def _get(self, name: str, **what: str) -> bytes:
        from botocore.exceptions import ClientError

        try:
            data: bytes = self._client().get_object(Bucket=self._bucket.name, **what)["Body"].read()
        except ClientError as error:
            status, code = _said(error)
            if code == "NoSuchKey":  # any other 404 is that of a server which knows no buckets
                raise ShelfMissing(
                    f"expected the object {name} on the shelf {self._bucket}, it has none"
                ) from None
            if status == 416:
                raise ShelfDamaged(
                    f"expected {what['Range']} of the object {name} of the shelf {self._bucket}, "
                    "it ends before"
                ) from None
            raise
        return data

    def _cut(self, name: str, start: int, length: int) -> ShelfDamaged:
        return ShelfDamaged(
            f"expected {length} bytes from {start} on in the object {name} of the shelf {self._bucket}, "
            "it ends before: it was cut off"
        )

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Say what failed in terms of the shelf. What botocore says has no secret in it."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            yield
        except ClientError as error:
            status, code = _said(error)
            if code in _FULL or status == 507:
                raise ShelfFull(
                    f"cannot {what} on the shelf {self._bucket}: {code}: make room there"
                ) from None
            if status in (401, 403) or code in _EXPIRED or code in _ELSEWHERE:
                self._made = None
            said = f"HTTP {status}" if code in ("", str(status)) else str(error)
            raise ShelfDown(
                f"cannot {what} on the shelf {self._bucket}: {said}{_advice(self._bucket, error)}"
            ) from None
        except (BotoCoreError, HTTPClientError, OSError, ValueError) as error:
            if isinstance(error, BotoCoreError) and not isinstance(error, HTTPClientError):
                self._made = None  # no credentials, or no new ones; no region
            raise ShelfDown(f"cannot {what} on the shelf {self._bucket}: {error}") from None


def _said(error: Any) -> tuple[int, str]:
    """Return the status of a reply that refused something, and its code."""
    response = error.response
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), response.get("Error", {}).get(
        "Code", ""
    )


def _advice(bucket: Bucket, error: Any) -> str:
    """Return what to change, behind a colon; nothing where what was said says it."""
    status, code = _said(error)
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if code == "NoSuchBucket":
        return ": make the bucket first"
    if code in ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
        return ": the credentials need s3:GetObject, s3:PutObject and s3:ListBucket there"
    if code in _EXPIRED:
        return ": the credentials are over, new ones in ~/.aws/credentials are taken by themselves"
    if code == "RequestTimeTooSkewed":
        own = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
        theirs = headers.get("date", "another time")
        return f": this machine's clock says {own}, the server's {theirs}: set it"
    region = error.response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    if code in _ELSEWHERE or region:
        other = " and the endpoint of that region, or none for Amazon's," if bucket.endpoint else ""
        if not region:
            return f": name the bucket's own region{other} in the URL of the shelf, by region=NAME"
        return f": the bucket is in the region {region}: write region={region}{other} in the URL of the shelf"
    if 300 <= status < 400:
        # What stands around the host may be a secret.
        place = re.match(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?=[/?#]|$)", headers.get("location", ""))
        return f": the server is at {place[0]}: write that as endpoint=" if place else _NOT_S3
    return _NOT_S3 if status < 500 and code in ("", str(status)) else ""


def _no_region(**_: object) -> tuple[Any, dict[str, Any]]:
    """Answer in the place of a server of its own that a bucket's region is not known.

    botocore asks any server that redirects, and again when that is redirected, too, until its stack is full.
    """
    from botocore.awsrequest import AWSResponse

    return AWSResponse("", 404, {}, None), {"Error": {}, "ResponseMetadata": {"HTTPHeaders": {}}}


@functools.cache
def _loader() -> Any:
    """Return what reads the descriptions of all services: most of the time that a client takes to make."""
    from botocore.loaders import create_loader

    return create_loader(os.environ.get("AWS_DATA_PATH"))
