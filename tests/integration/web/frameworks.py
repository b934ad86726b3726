"""The same view in each framework: it streams a command that waits for a go-ahead.

The command says `one`, waits until there is a file `go-ID` in its folder, says the rest and
exits with 3. `/silent` says nothing and sleeps.
"""

from pathlib import Path

_FLASK = """
    from flask import Flask
    from runcast.web.flask import Runcast

    app = Flask(__name__)
    cast = Runcast(app)

    @app.get("/stream")
    def stream():
        return cast.stream(["bash", "steps.sh"], cwd=FOLDER)

    @app.get("/silent")
    def silent():
        return cast.stream(["sleep", "600"])
"""
_BOTTLE = """
    import sys
    import bottle
    from runcast.web.bottle import Runcast

    app = bottle.Bottle()
    cast = Runcast()
    app.install(cast)

    @app.get("/stream")
    def stream():
        return cast.stream(["bash", "steps.sh"], cwd=FOLDER)

    @app.get("/silent")
    def silent():
        return cast.stream(["sleep", "600"])

    if __name__ == "__main__":
        app.run(server="wsgiref", port=int(sys.argv[1]), quiet=True)
"""
_CHERRYPY = """
    import sys
    import cherrypy
    from runcast.web.cherrypy import Runcast

    cast = Runcast().mount()

    class Root:
        @cherrypy.expose
        def stream(self):
            return cast.stream(["bash", "steps.sh"], cwd=FOLDER)

        @cherrypy.expose
        @cherrypy.tools.runcast()
        def silent(self):
            return ["sleep", "600"]

    cherrypy.config.update({"environment": "production", "log.screen": True})
    app = cherrypy.tree
    app.mount(Root())
    if __name__ == "__main__":
        cherrypy.config.update({"server.socket_port": int(sys.argv[1])})
        cherrypy.engine.signals.subscribe()
        cherrypy.engine.start()
        cherrypy.engine.block()
"""
_DJANGO = """
    import sys
    from django.conf import settings
    settings.configure(
        DEBUG=True,
        SECRET_KEY="x",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["runcast.web.django"],
        MIDDLEWARE=["django.middleware.gzip.GZipMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    )
    from django.core.ASGI import get_ASGI_application
    from django.core.management import execute_from_command_line
    from django.urls import include, path
    from runcast.web.django import astream, stream

    def show(request):
        return stream(request, ["bash", "steps.sh"], cwd=FOLDER)

    async def silent(request):
        return await astream(request, ["sleep", "600"])

    urlpatterns = [
        path("stream", show), path("silent", silent), path("", include("runcast.web.django.urls"))
    ]
    app = application = get_ASGI_application()
    settings.WSGI_APPLICATION = __name__ + ".application"
    if __name__ == "__main__":
        execute_from_command_line(sys.argv)
"""
_STARLETTE = """
    from starlette.applications import Starlette
    from starlette.routing import Route
    from runcast.web.starlette import Runcast

    async def stream(request):
        return cast.stream(["bash", "steps.sh"], cwd=FOLDER)

    async def silent(request):
        return cast.stream(["sleep", "600"])

    app = Starlette(routes=[Route("/stream", stream), Route("/silent", silent)])
    cast = Runcast(app)
"""
_FASTAPI = """
    from fastapi import FastAPI
    from runcast.web.starlette import Runcast

    app = FastAPI()
    cast = Runcast(app)

    @app.get("/stream")
    async def stream():
        return cast.stream(["bash", "steps.sh"], cwd=FOLDER)

    @app.get("/silent")
    def silent():
        return cast.stream(["sleep", "600"])
"""
_WSGI = """
    from runcast.web.wsgi import RunsWSGI

    runs = RunsWSGI()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/stream":
            return runs.stream(environ, start_response, ["bash", "steps.sh"], cwd=FOLDER)
        if environ["PATH_INFO"] == "/silent":
            return runs.stream(environ, start_response, ["sleep", "600"])
        return runs(environ, start_response)
"""
_ASGI = """
    from runcast.web.asgi import RunsASGI

    runs = RunsASGI()

    async def app(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == "/stream":
            await runs.stream(scope, receive, send, ["bash", "steps.sh"], cwd=FOLDER)
        elif scope["type"] == "http" and scope["path"] == "/silent":
            await runs.stream(scope, receive, send, ["sleep", "600"])
        else:
            await runs(scope, receive, send)
"""
APPS = {
    "flask": _FLASK,
    "bottle": _BOTTLE,
    "cherrypy": _CHERRYPY,
    "django-asgi": _DJANGO.replace("ASGI_application", "asgi_application").replace("core.ASGI", "core.asgi"),
    "django-wsgi": _DJANGO.replace("ASGI_application", "wsgi_application").replace("core.ASGI", "core.wsgi"),
    "starlette": _STARLETTE,
    "fastapi": _FASTAPI,
    "wsgi": _WSGI,
    "asgi": _ASGI,
}
STEPS = """
echo one
while [ ! -e "go-$RUNCAST_RUN_ID" ]; do sleep 0.02; done
echo two >&2; echo three; exit 3
"""


def app_code(framework: str, folder: Path) -> str:
    """Return the application; the command's script is in the folder then."""
    (folder / "steps.sh").write_text(STEPS)
    return APPS[framework].replace("FOLDER", repr(str(folder)))


# The same views once more, and what else an adapter offers: a decorated generator at `/count`, a
# function at `/job`, a run that viewers share at `/shared`; the API below `/tools`, with a command.
_MORE = """
def job(times):
    for number in range(times):
        print("Task", number)

def allow(verb, run, request):
    original = request.original  # the framework's own: that of Django has what it puts into it
    known = original.resolver_match if hasattr(original, "META") else original.keys() & {"PATH_INFO", "path"}
    return bool(known) and verb != "delete"

OPTIONS = {"commands": {"greet": {"command": "echo hello", "title": "Greet"}}, "authorize": allow}
"""
_FULL = {
    "flask": """
from flask import Flask
from runcast.web.flask import Runcast
app = Flask(__name__)
app.config.update(RUNCAST_COMMANDS=OPTIONS["commands"], RUNCAST_AUTHORIZE=allow)
cast = Runcast(url_prefix="/tools")
cast.init_app(app)

@app.get("/count")
@cast.stream
def count():
    yield from range(3)

@app.get("/job")
def work():
    return cast.stream(job, 2)

@app.get("/shared")
def shared():
    return cast.stream(["bash", "-c", "echo $$"], key="shared")

@app.post("/begin")
def begin():
    return cast.start_command("greet").id
""",
    "bottle": """
import bottle
from runcast.web.bottle import Runcast
app = bottle.Bottle()
cast = Runcast(prefix="/tools", **OPTIONS)
app.install(cast)

@app.get("/count")
@cast.stream
def count():
    yield from range(3)

@app.get("/job")
def work():
    return cast.stream(job, 2)

@app.get("/shared")
def shared():
    return cast.start(["bash", "-c", "echo $$"], key="shared")  # a run is streamed, too

@app.post("/begin")
def begin():
    return cast.start_command("greet").id
""",
    "cherrypy": """
import cherrypy
from runcast.web.cherrypy import Runcast
cast = Runcast(**OPTIONS).mount("/tools")

class Root:
    @cherrypy.expose
    @cast.stream
    def count(self):
        yield from range(3)

    @cherrypy.expose
    def job(self):
        return cast.stream(job, 2)

    @cherrypy.expose
    @cherrypy.tools.runcast(key="shared")
    def shared(self):
        return ["bash", "-c", "echo $$"]

    @cherrypy.expose
    def begin(self):
        return cast.start_command("greet").id

app = cherrypy.tree
app.mount(Root())
""",
    "django": """
from django.conf import settings
settings.configure(
    SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], INSTALLED_APPS=["runcast.web.django"],
    RUNCAST={"COMMANDS": OPTIONS["commands"], "AUTHORIZE": allow},
)
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path
from runcast.web.django import cast, stream

@stream
def count(request):
    yield from range(3)

def work(request):
    return stream(request, job, 2)

def shared(request):
    return stream(request, ["bash", "-c", "echo $$"], key="shared")

def begin(request):
    return HttpResponse(cast().start_command("greet").id)

urlpatterns = [
    path("count", count), path("job", work), path("shared", shared), path("begin", begin),
    path("tools/", include("runcast.web.django.urls")),
]
""",
    "starlette": """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from runcast.web.starlette import Runcast
app = Starlette()
cast = Runcast(app, prefix="/tools", **OPTIONS)

@cast.stream
def count(request):
    yield from range(3)

async def work(request):
    return cast.stream(job, 2)

def shared(request):
    return cast.stream(["bash", "-c", "echo $$"], key="shared")

def begin(request):
    return PlainTextResponse(cast.start_command("greet").id)

app.add_route("/count", count)
app.add_route("/job", work)
app.add_route("/shared", shared)
app.add_route("/begin", begin, methods=["POST"])
""",
}
FULL = {name: _MORE + code for name, code in _FULL.items()}
FULL["django-wsgi"] = FULL["django"] + "app = get_wsgi_application()\n"
FULL["django-asgi"] = FULL.pop("django") + "app = get_asgi_application()\n"
