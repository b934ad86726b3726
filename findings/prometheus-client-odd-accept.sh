#!/bin/sh
# prometheus_client's own applications fail with a TypeError where a client's Accept has an odd version.
#
# prometheus_client 0.26.0, Python 3.11, 2026-11-30. `choose_encoder` splits the `version` of the media types
# `text/plain` and `application/openmetrics-text` at its dots and compares the parts with (1, 0, 0). A part that
# is no number stays a text, and texts and numbers have no order, so `make_wsgi_app` and `make_asgi_app` raise
# instead of serving the default format: a server answers 500, and logs a traceback for each such request.
# 0.20.0 did not look at the version. What is said of the reply comes from the client, too: `version=9.9.9` is in
# its Content-Type.
#
# Output seen:
#   version=1.0.0: application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores
#   version=9.9.9: application/openmetrics-text; version=9.9.9; charset=utf-8; escaping=underscores
#   version=1.0.0-rc1: TypeError
#   version=latest: TypeError
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip -q install --disable-pip-version-check prometheus-client==0.26.0
cat > scrape.py <<'PYTHON'
from wsgiref.util import setup_testing_defaults

from prometheus_client import CollectorRegistry, make_wsgi_app

app = make_wsgi_app(CollectorRegistry())
for version in ("1.0.0", "9.9.9", "1.0.0-rc1", "latest"):
    environ = {"HTTP_ACCEPT": f"application/openmetrics-text; version={version}"}
    setup_testing_defaults(environ)
    replies = []
    try:
        app(environ, lambda status, headers: replies.append(dict(headers)["Content-Type"]))
    except TypeError as error:
        replies.append(type(error).__name__)
    print(f"version={version}: {replies[0]}")
PYTHON
venv/bin/python scrape.py | tee seen
diff - seen <<'EXPECTED'
version=1.0.0: application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores
version=9.9.9: application/openmetrics-text; version=9.9.9; charset=utf-8; escaping=underscores
version=1.0.0-rc1: TypeError
version=latest: TypeError
EXPECTED
