"""The same failing views in each framework, none of which is in its debug mode.

`/missing` starts a program that there is none of, `/mistake` gives a function an argument that it
does not take, `/shell` is a command that only a shell would understand, `/fails` is a function and
`/broken` a generator that raises. `/plain` and `/counted` are a decorated function and generator,
`/uncalled` streams a generator function that nobody called.
"""

SOURCES = """
def fails():
    print("before")
    raise ValueError("the password is hunter2")

def broken():
    yield 1
    yield 2
    raise ValueError("the password is hunter2")

def plain():
    print("plainly")

def counted():
    yield from (1, 2, 3)

MISSING = ["/nowhere/at-all"]
"""
_VIEWS = {
    "missing": "stream(MISSING)",
    "mistake": "stream(plain, 1, 2, 3)",
    "shell": "stream('echo a && echo b')",
    "fails": "stream(fails)",
    "broken": "stream(broken)",
    "uncalled": "stream(counted)",
}


def _views(form: str, *, indent: str = "") -> str:
    return "".join(
        f"{indent}{line}\n"
        for name, call in _VIEWS.items()
        for line in form.format(name=name, call=call).splitlines()
    )


FLASK = (
    SOURCES
    + """
from flask import Flask
from runcast.web.flask import Runcast
app = Flask(__name__)
cast = Runcast(app)
stream = cast.stream
app.get("/plain")(cast.stream(plain))
app.get("/counted")(cast.stream(counted))
"""
    + _views('@app.get("/{name}")\ndef view_{name}():\n    return {call}')
)
BOTTLE = (
    SOURCES
    + """
import bottle
from runcast.web.bottle import Runcast
app = bottle.Bottle()
cast = Runcast()
app.install(cast)
stream = cast.stream
app.get("/plain")(cast.stream(plain))
app.get("/counted")(cast.stream(counted))
"""
    + _views('@app.get("/{name}")\ndef view_{name}():\n    return {call}')
)
CHERRYPY = (
    SOURCES
    + """
import cherrypy
from runcast.web.cherrypy import Runcast
cherrypy.config.update({"environment": "production"})
cast = Runcast().mount()
stream = cast.stream

class Root:
    @cherrypy.expose
    @cast.stream
    def plain(self):
        plain()

    @cherrypy.expose
    @cast.stream
    def counted(self):
        yield from counted()

"""
    + _views("@cherrypy.expose\ndef {name}(self):\n    return {call}", indent="    ")
    + """
app = cherrypy.tree
app.mount(Root())
"""
)
_DJANGO = (
    SOURCES
    + """
from django.conf import settings
if not settings.configured:
    settings.configure(
        SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], INSTALLED_APPS=["runcast.web.django"]
    )
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.urls import include, path
from runcast.web import django as cast
urlpatterns = [path("", include("runcast.web.django.urls"))]

def plainly(request):
    plain()

def count(request):
    yield from counted()

urlpatterns += [path("plain", cast.stream(plainly)), path("counted", cast.stream(count))]
"""
    + _views(
        "def view_{name}(request):\n"
        "    stream = lambda *what: cast.stream(request, *what)\n"
        "    return {call}\n"
        'urlpatterns.append(path("{name}", view_{name}))'
    )
)
STARLETTE = (
    SOURCES
    + """
from starlette.applications import Starlette
from runcast.web.starlette import Runcast
app = Starlette()
cast = Runcast(app)
stream = cast.stream
app.add_route("/plain", cast.stream(plain))
app.add_route("/counted", cast.stream(counted))
"""
    + _views('async def view_{name}(request):\n    return {call}\napp.add_route("/{name}", view_{name})')
)
FASTAPI = (
    SOURCES
    + """
from fastapi import FastAPI
from runcast.web.starlette import Runcast
app = FastAPI()
cast = Runcast(app)
stream = cast.stream
app.get("/plain")(cast.stream(plain))
app.get("/counted")(cast.stream(counted))
"""
    + _views('@app.get("/{name}")\ndef view_{name}():\n    return {call}')
)
WSGI = (
    SOURCES
    + """
from runcast.web.wsgi import RunsWSGI
runs = RunsWSGI()

def app(environ, start_response):
    def stream(*what):
        return runs.stream(environ, start_response, *what)
    views = {"/plain": lambda: stream(plain), "/counted": lambda: stream(counted)}
"""
    + _views('views["/{name}"] = lambda: {call}', indent="    ")
    + """
    found = views.get(environ["PATH_INFO"])
    return found() if found else runs(environ, start_response)
"""
)
ASGI = (
    SOURCES
    + """
from runcast.web.asgi import RunsASGI
runs = RunsASGI()

async def app(scope, receive, send):
    def stream(*what):
        return runs.stream(scope, receive, send, *what)
    views = {"/plain": lambda: stream(plain), "/counted": lambda: stream(counted)}
"""
    + _views('views["/{name}"] = lambda: {call}', indent="    ")
    + """
    found = views.get(scope.get("path"))
    await (found() if found else runs(scope, receive, send))
"""
)
APPS = {
    "gunicorn": {
        "flask": FLASK,
        "bottle": BOTTLE,
        "cherrypy": CHERRYPY,
        "django-wsgi": _DJANGO + "\napp = get_wsgi_application()\n",
        "wsgi": WSGI,
    },
    "uvicorn": {
        "starlette": STARLETTE,
        "fastapi": FASTAPI,
        "django-asgi": _DJANGO + "\napp = get_asgi_application()\n",
        "asgi": ASGI,
    },
}
