#!/bin/sh
# Below a path that a proxy takes off, FORCE_SCRIPT_NAME is in Django's addresses under WSGI, not all under ASGI.
#
# Django 5.2.19, Python 3.11, Linux, 2026-11-30. `location /app/ { proxy_pass http://127.0.0.1:8000/; }` and
# FORCE_SCRIPT_NAME = "/app": reverse() has /app under both, but request.path, get_full_path() and
# build_absolute_uri() only under WSGI, where Django puts the path together from the script name; under ASGI it
# takes the scope's. So login_required sends back to an address without /app. Passing the path on instead (no
# slash after proxy_pass) is right under ASGI, which takes /app off itself, and finds no view under WSGI, which
# does not: one nginx block and one setting cannot serve both, and moving a site from gunicorn's WSGI workers
# to uvicorn means to change the proxy, too.
#
# Output seen:
#   taken off, WSGI: 200 path /app/page reverse /app/page
#   taken off, ASGI: 200 path /page reverse /app/page
#   passed on, WSGI: 404
#   passed on, ASGI: 200 path /app/page reverse /app/page
# Exits non-zero when that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check django==5.2.19 uvicorn==0.54.0 gunicorn==27.0.1
cat > "$folder/site_app.py" <<'PYTHON'
from django.conf import settings

settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, FORCE_SCRIPT_NAME="/app",
)
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path, reverse


def page(request):
    return HttpResponse(f"path {request.path} reverse {reverse('page')}")


urlpatterns = [path("page", page, name="page")]
asgi, wsgi = get_asgi_application(), get_wsgi_application()
PYTHON
cat > "$folder/ask.py" <<'PYTHON'
import contextlib, http.client, socket, subprocess, sys, time


def ask(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    reply = connection.getresponse()
    return f"{reply.status} {reply.read().decode()}" if reply.status == 200 else str(reply.status)


def served(command):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [word.format(port=port) for word in command.split()]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen([sys.executable, "-m", *words], stdout=quiet, stderr=quiet)
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                return ask(port, "/page"), ask(port, "/app/page")
            time.sleep(0.05)
        sys.exit("no answer")
    finally:
        server.terminate()
        server.wait()


wsgi = served("gunicorn --bind 127.0.0.1:{port} --no-control-socket site_app:wsgi")
asgi = served("uvicorn --port {port} site_app:asgi")
for number, name in enumerate(("taken off", "passed on")):
    print(f"{name}, WSGI: {wsgi[number]}")
    print(f"{name}, ASGI: {asgi[number]}")
PYTHON
cd "$folder"
"$folder/venv/bin/python" ask.py | tee "$folder/seen"
printf '%s\n' "taken off, WSGI: 200 path /app/page reverse /app/page" "taken off, ASGI: 200 path /page reverse /app/page" \
    "passed on, WSGI: 404" "passed on, ASGI: 200 path /app/page reverse /app/page" | diff - "$folder/seen"
