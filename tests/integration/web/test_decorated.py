"""What an author writes around a view: decorators in either order, debug modes, a missing framework."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bottle
import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from runcast import Store
from runcast.errors import UsageError
from runcast.web import bottle as for_bottle
from runcast.web import flask as for_flask
from runcast.web import starlette as for_starlette
from tests.helpers.children import run_python


def numbers() -> Iterator[int]:
    """Give some."""
    yield from (1, 2)


def test_swapped_in_flask(store: Store):
    """`stream` above the route is refused: Flask would call the function itself."""
    app = flask.Flask(__name__)
    cast = for_flask.Runcast(app, store=store)
    with pytest.raises(UsageError, match="expected stream below the decorator of the route, numbers has"):
        cast.stream(app.get("/numbers")(numbers))
    with pytest.raises(UsageError, match="write the line of the route first"):
        cast.stream(interval=5)(app.get("/more", endpoint="more")(numbers))


def test_swapped_in_bottle(store: Store):
    """Bottle's routes are known once the plugin is installed."""
    app = bottle.Bottle()
    cast = for_bottle.Runcast(store=store)
    app.install(cast)
    with pytest.raises(UsageError, match="expected stream below the decorator of the route, numbers has"):
        cast.stream(app.get("/numbers")(numbers))


@pytest.mark.parametrize("kind", [FastAPI, Starlette])
def test_swapped_in_starlette(store: Store, kind: Callable[[], Any]):
    """Those of Starlette and FastAPI are known where the application is."""
    app = kind()
    cast = for_starlette.Runcast(app, store=store)
    app.router.add_route("/numbers", numbers)
    with pytest.raises(UsageError, match="expected stream below the decorator of the route, numbers has"):
        cast.stream(numbers)


def test_parameters_of_a_decorated_function(store: Store):
    """FastAPI reads the function's own parameters, and hands them on."""
    app = FastAPI()
    cast = for_starlette.Runcast(app, store=store)

    @app.get("/greet/{name}")
    @cast.stream
    def greet(name: str, times: int = 1) -> None:
        """Say hello."""
        for _ in range(times):
            print("hello", name)

    with TestClient(app) as client:
        assert client.get("/greet/you?times=2").text == "hello you\nhello you\n"
        assert client.get("/greet/you?times=many").status_code == 422
        described = client.get("/openapi.json").json()["paths"]["/greet/{name}"]["get"]
    assert [one["name"] for one in described["parameters"]] == ["name", "times"]
    assert (described["description"], described["operationId"]) == ("Say hello.", "greet_greet__name__get")


def test_request_of_a_decorated_function(store: Store):
    """In Starlette a decorated function gets the request where it takes one; only its methods reach it."""
    cast = for_starlette.Runcast(store=store)

    def greet(request: Any) -> None:
        print("hello", request.query_params["name"])

    def alone() -> None:
        print("alone")

    routes = [Route("/greet", cast.stream(greet)), Route("/alone", cast.stream(interval=60)(alone))]
    with TestClient(Starlette(routes=routes)) as client:
        assert client.get("/greet?name=you").text == "hello you\n"
        assert client.get("/alone").text == "alone\n"
        assert client.post("/greet?name=you").status_code == 405


def test_response_keeps_what_a_view_puts_into_it(store: Store):
    """What `stream(function)` returns is the framework's response: cookies and background tasks work."""
    app = FastAPI()
    cast = for_starlette.Runcast(app, store=store)

    @app.get("/numbers")
    def view() -> Any:
        response = cast.stream(numbers)
        response.set_cookie("seen", "yes")
        return response

    with TestClient(app) as client:
        reply = client.get("/numbers")
    assert (reply.text, reply.cookies["seen"]) == ("1\n2\n", "yes")


def fails() -> None:
    """Raise."""
    raise ValueError("hunter2")


@pytest.mark.parametrize("debug", [True, False])
def test_debug_mode_shows_tracebacks(store: Store, monkeypatch: pytest.MonkeyPatch, debug: bool):
    """The framework's debug setting decides for runs that a view or the application starts."""
    in_flask = flask.Flask(__name__)
    cast = for_flask.Runcast(in_flask, store=store)
    in_flask.debug = debug
    in_flask.get("/fails")(cast.stream(fails))
    in_flask.get("/kept", endpoint="kept")(lambda: cast.start(fails).output())
    monkeypatch.setattr(bottle, "DEBUG", debug)
    in_starlette = Starlette(debug=debug)
    other = for_starlette.Runcast(in_starlette, store=store)
    in_starlette.add_route("/fails", other.stream(fails))

    with in_flask.test_client() as client, TestClient(in_starlette) as another:
        reply_text = [client.get("/fails").text, client.get("/kept").text, another.get("/fails").text]
    reply_text += [other.start(fails).output(), for_bottle.Runcast(store=store).start(fails).output()]

    assert ["hunter2" in text for text in reply_text] == [debug] * 5


def test_traceback_option_decides_before_the_mode(store: Store):
    """`traceback=` in a view or a start holds, whatever the mode."""
    app = flask.Flask(__name__)
    cast = for_flask.Runcast(app, store=store)
    app.get("/fails")(cast.stream(fails, traceback=True))

    with app.test_client() as client:
        assert "hunter2" in client.get("/fails").text
    app.debug = True
    with app.app_context():
        assert "hunter2" not in cast.start(fails, traceback=False).output()


@pytest.mark.parametrize("framework", ["flask", "django", "bottle", "cherrypy", "starlette"])
def test_missing_framework(framework: str):
    """An adapter whose framework is not installed says which extra to install."""
    reply_text = run_python(
        f"import sys; sys.modules[{framework!r}] = None\n"
        f"try: import runcast.web.{framework}\n"
        "except ImportError as error: print(error)\n"
    )

    extra = f"pip install 'runcast[{framework}]'"
    assert reply_text == f"expected the package {framework}, it is not installed: {extra}\n"


def test_missing_package_of_a_framework(tmp_path: Path):
    """What a framework itself misses is not taken for the framework."""
    reply_text = run_python(
        "import sys; sys.modules['werkzeug'] = None\n"
        "try: import runcast.web.flask\n"
        "except ImportError as error: print('pip' in str(error))\n"
    )

    assert reply_text == "False\n"
