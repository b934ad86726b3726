"""An application of each framework that has runs and streams below `/casts`, and nothing else.

Long-polls without news end after `POLL_SECONDS` there. Whoever gets there may do everything;
with `DEFAULT` in place of `OPEN` nobody said who may. What is no framework's has no prefix.
"""

from tests.integration.web.frameworks import ADAPTERS

POLL_SECONDS = 0.3

_FLASK = """
from flask import Flask
from runcast.web.flask import Runcast
app = Flask(__name__)
Runcast(app, url_prefix="/casts", **OPTIONS)
cast = app.extensions["runcast"]
"""
_BOTTLE = """
import bottle
from runcast.web.bottle import Runcast
app = bottle.Bottle()
cast = Runcast(prefix="/casts", **OPTIONS)
app.install(cast)
"""
_CHERRYPY = """
import sys
import cherrypy
from runcast.web.cherrypy import Runcast
cast = Runcast(**OPTIONS).mount("/casts")
cherrypy.config.update({"environment": "production", "log.screen": True})
app = cherrypy.tree
"""
_CHERRYPY_MAIN = """
if __name__ == "__main__":
    cherrypy.config.update({"server.socket_port": int(sys.argv[1]), "server.thread_pool": 20})
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.start()
    cherrypy.engine.block()
"""
_DJANGO = """
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["runcast.web.django"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.gzip.GZipMiddleware",
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "ATOMIC_REQUESTS": True,
    }},
    RUNCAST={name.upper(): value for name, value in OPTIONS.items()},
)
from django.core.KIND import get_KIND_application
from django.urls import include, path
from runcast.web.django import cast as runs
urlpatterns = [path("casts/", include("runcast.web.django.urls"))]
app = get_KIND_application()
cast = runs()
application = app
settings.WSGI_APPLICATION = __name__ + ".application"
"""
_DJANGO_MAIN = """
if __name__ == "__main__":
    import sys
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""
_STARLETTE = """
from starlette.applications import Starlette
from runcast.web.starlette import Runcast
app = Starlette()
cast = Runcast(app, prefix="/casts", **OPTIONS)
"""
_FASTAPI = _STARLETTE.replace("starlette.applications", "fastapi").replace("Starlette", "FastAPI")
_AIOHTTP = f"""
import sys
sys.path.insert(0, "{ADAPTERS}")
from aiohttp import web
from runcast_aiohttp import Runcast
app = web.Application()
cast = Runcast(**OPTIONS).mount(app, "/casts")
"""
_AIOHTTP_MAIN = """
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
"""
_WSGI = """
from runcast.web.wsgi import RunsWSGI
cast = app = RunsWSGI()
"""
_APPS = {
    "wsgi": _WSGI,
    "asgi": _WSGI.replace("wsgi", "asgi").replace("WSGI", "ASGI"),
    "flask": _FLASK,
    "bottle": _BOTTLE,
    "cherrypy": _CHERRYPY,
    "django-wsgi": _DJANGO.replace("KIND", "wsgi"),
    "django-asgi": _DJANGO.replace("KIND", "asgi"),
    "starlette": _STARLETTE,
    "fastapi": _FASTAPI,
    "aiohttp": _AIOHTTP,
}
_FRAME = """
OPTIONS = {options}
{app}
from runcast.web.api.durable.routes import Durable
cast.durable = Durable(cast.responder, cast.durable.streams, poll_seconds={seconds})
{main}
"""
_BOTTLE_MAIN = """
if __name__ == "__main__":
    import sys
    app.run(server="wsgiref", port=int(sys.argv[1]), quiet=True)
"""
_MAINS = {
    "aiohttp": _AIOHTTP_MAIN,
    "cherrypy": _CHERRYPY_MAIN,
    "django-wsgi": _DJANGO_MAIN,
    "bottle": _BOTTLE_MAIN,
}
OPEN = '{"authorize": lambda verb, run, request: True}'
DEFAULT = "{}"


def mounted_code(framework: str, options: str = OPEN, seconds: float = POLL_SECONDS) -> str:
    """Return the application's code."""
    return _FRAME.format(
        options=options, app=_APPS[framework], seconds=seconds, main=_MAINS.get(framework, "")
    )


def prefix_of(framework: str) -> str:
    """Return below which path the application has its runs and streams."""
    return "" if framework in ("wsgi", "asgi") else "/casts"
