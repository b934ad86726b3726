"""Django: what is its own, besides what all adapters offer."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runcast import Store
from tests.helpers.children import run_python
from tests.helpers.examples import EXAMPLES
from tests.helpers.servers import LONG, Server

pytestmark = pytest.mark.slow

# Each source opens a connection; `/told` has the threads that opened one, and those that closed one.
APP = """
    import threading
    from django.conf import settings
    settings.configure(
        SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER + "/db"}},
    )
    from django.core.asgi import get_asgi_application
    from django.db import connection
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.http import JsonResponse
    from django.urls import path
    from runcast.web.django import astream, start, stream

    opened, closed = [], []
    close = BaseDatabaseWrapper.close

    def noted(self):
        if self.connection is not None:
            closed.append(threading.get_ident())
        close(self)

    BaseDatabaseWrapper.close = noted

    def query():
        with connection.cursor() as cursor:
            opened.append(threading.get_ident())
            return cursor.execute("select 7 * 6").fetchone()[0]

    def job():
        print(query())

    def failing():
        query()
        raise ValueError("no luck")

    def generator():
        yield query()
        yield query()

    async def work(request):
        return await astream(request, job)

    def fail(request):
        return stream(request, failing)

    def values(request):
        return stream(request, generator)

    def begun(request):
        return JsonResponse({"code": start(job).wait(timeout=60).code})

    def told(request):
        return JsonResponse({"opened": opened, "closed": closed})

    views = {"job": work, "fail": fail, "values": values, "begun": begun, "told": told}
    urlpatterns = [path(name, view) for name, view in views.items()]
    app = get_asgi_application()
"""


def test_connections_are_closed(store: Store, tmp_path: Path) -> None:
    """Functions and generators leave no database connection open, however they end."""
    with Server(tmp_path, "uvicorn", APP.replace("FOLDER", repr(str(tmp_path)))) as server:
        assert server.ask("GET", "/job")[2] == b"42\n"
        assert server.ask("GET", "/values")[2] == b"42\n42\n"
        assert b"ended with an error" in server.ask("GET", "/fail")[2]
        assert server.ask("GET", "/begun")[0] == 200
        for run in store.list():
            run.wait(timeout=LONG)
        threads = json.loads(server.ask("GET", "/told")[2])
    assert len(threads["closed"]) == 4  # one each
    assert set(threads["closed"]) == set(threads["opened"])  # in the threads that opened them


SETTINGS = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["django.contrib.contenttypes"]
ROOT_URLCONF = "settings_of_a_test"
urlpatterns = []
"""
MODELS = """
from django.contrib.contenttypes.models import ContentType  # which can be imported when Django is set up

def job(word):
    print(ContentType.__name__, word)

async def later(word):
    print("later", word)
"""
SCRIPT = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings_of_a_test"
import django
django.setup()
from django.test import RequestFactory
from jobs_of_a_test import job, later
from runcast.web.django import start, stream

print(start(job, "in its process", process=True).output(), end="")
print(start(later, "in its process", process=True).output(), end="")
response = stream(RequestFactory().get("/job"), job, "streamed", process=True)
print(b"".join(response).decode(), end="")
"""


def test_process_of_its_own(store: Store, tmp_path: Path) -> None:
    """A function gets a process of its own where Django is set up before its models are imported."""
    for name, text in (("settings_of_a_test", SETTINGS), ("jobs_of_a_test", MODELS), ("script", SCRIPT)):
        (tmp_path / f"{name}.py").write_text(text)

    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )

    assert done.stdout == ("ContentType in its process\nlater in its process\nContentType streamed\n")


TASK = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings_of_a_test"
import django
django.setup()
os.chdir("/")
import runcast
with runcast.attach("task", key="of a task"):
    print("packed")
"""


@pytest.mark.parametrize("named", ["runs", "file:{folder}/runs"])
def test_one_store_of_a_project(tmp_path: Path, named: str) -> None:
    """What a task of the project records, which knows no framework, goes to the store of the settings."""
    where = named.format(folder=tmp_path)
    (tmp_path / "settings_of_a_test.py").write_text(
        f'INSTALLED_APPS = ["runcast.web.django"]\nRUNCAST = {{"STORE": {where!r}}}\n'
    )
    (tmp_path / "script.py").write_text(TASK)
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, timeout=LONG, check=True)
    (run,) = Store.open(tmp_path / "runs").list(key="of a task")
    assert run.output() == "packed\n"


GUARDED = """
    from django.conf import settings
    settings.configure(
        SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
        RUNCAST={"AUTHORIZE": lambda verb, run, request: request.path.startswith("/runs/") and
                 verb == "read" and "staff" in request.original.GET},
    )
    from django.core.asgi import get_asgi_application
    from django.urls import include, path
    from runcast.web.django import stream

    def build(request):
        return stream(request, ["echo", "built"])

    urlpatterns = [path("build", build), path("", include("runcast.web.django.urls"))]
    app = get_asgi_application()
"""


def test_view_for_who_may_not_read_runs(store: Store, tmp_path: Path) -> None:
    """A browser gets the page of what a view shows, also where `authorize` keeps `/runs` for others."""
    with Server(tmp_path, "uvicorn", GUARDED) as server:
        status, headers, _ = server.ask("GET", "/build", Accept="text/html")
        (run,) = store.list()
        page = f"/build?runcast=/runs/{run.id}"
        assert (status, headers["location"]) == (303, page)
        assert server.ask("GET", page, Accept="text/html")[0] == 200
        assert server.ask("GET", f"{page}/log")[2] == b"built\n"
        assert server.ask("GET", f"/runs/{run.id}/log")[0] == 403
        assert server.ask("POST", f"{page}/stop")[0] == 403

        staff = server.ask("GET", "/build?staff", Accept="text/html")[1]["location"]
        assert staff.startswith("/runs/")
        assert server.ask("GET", f"{staff}/log?staff")[2] == b"built\n"


TEMPLATE = """
    from django.conf import settings
    settings.configure(
        SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], FORCE_SCRIPT_NAME="/app",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    )
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse
    from django.template import Context, Template
    from django.urls import include, path
    from runcast.web.django import start

    def build(request):
        return HttpResponse(Template(SNIPPET).render(Context({"run": start(["echo", "built"])})))

    urlpatterns = [path("build", build), path("our/", include("runcast.web.django.urls"))]
    app = get_asgi_application()
"""


def test_template_of_the_docs(store: Store, tmp_path: Path) -> None:
    """The lines of the docs for a template lead to the script and the run, below whatever path they are."""
    docs = (EXAMPLES.parent / "docs" / "howto" / "embed.md").read_text()
    (snippet,) = [one for one in docs.split("```") if one.startswith("html") and "{% url" in one]
    code = TEMPLATE.replace("SNIPPET", repr(snippet.removeprefix("html")))
    with Server(tmp_path, "uvicorn", code) as server:
        page = server.ask("GET", "/app/build")[2].decode()
        script, log = re.findall('src="(.*?)"', page)
        (run,) = store.list()
        assert log == f"/app/our/runs/{run.id}"
        assert server.ask("GET", script)[1]["content-type"].startswith("text/javascript")


AT_ONCE = """
    import sys, threading
    from types import ModuleType
    from django.conf import settings
    settings.configure(
        SECRET_KEY="x", ROOT_URLCONF="urls_first", ALLOWED_HOSTS=["*"], MIDDLEWARE=["__main__.by_host"]
    )
    import django
    from django.core.wsgi import get_wsgi_application
    from django.urls import include, path
    from runcast import Store
    from runcast.web.django import stream
    from runcast.web.django.views import cast

    run = Store(sys.argv[1]).get(sys.argv[2])

    def by_host(answer):
        def middleware(request):
            request.urlconf = "urls_" + request.get_host()
            return answer(request)
        return middleware

    for name in ("first", "second"):
        module = sys.modules["urls_" + name] = ModuleType("urls_" + name)
        module.urlpatterns = [path("build", lambda request: stream(request, run))]
        module.urlpatterns += [path(name + "/", include("runcast.web.django.urls"))]

    application = get_wsgi_application()

    def ask(root, host):
        led = []
        application(
            {"REQUEST_METHOD": "GET", "SCRIPT_NAME": root, "PATH_INFO": "/build", "HTTP_HOST": host,
             "HTTP_ACCEPT": "text/html", "SERVER_NAME": host, "SERVER_PORT": "80", "wsgi.url_scheme": "http",
             "wsgi.input": sys.stdin.buffer},
            lambda status, headers: led.append(dict(headers)["Location"]),
        )
        return led[0]

    def repeat(root, host, asked):
        for _ in range(50):
            asked.append(ask(root, host))

    ask("", "first"), ask("", "second")  # what is imported late is there
    shared = dict(vars(cast()))
    sys.setswitchinterval(1e-6)
    answers = {("/one", "first"): [], ("/two", "second"): []}
    threads = [threading.Thread(target=repeat, args=(*key, asked)) for key, asked in answers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (root, host), asked in answers.items():
        print(len(asked), *sorted(set(asked)))
    print("left as it was:", vars(cast()) == shared)
"""


def test_requests_at_once(store: Store) -> None:
    """Requests at once, each below a root and with urls of its own, are led to their own pages."""
    run = store.start(["true"])
    run.wait(timeout=LONG)

    assert run_python(AT_ONCE, store.path, run.id).splitlines() == [
        f"50 /one/first/runs/{run.id}",
        f"50 /two/second/runs/{run.id}",
        "left as it was: True",
    ]


SHARING = """
    from django.conf import settings
    settings.configure(
        SECRET_KEY="the-key-of-this-project", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
        RUNCAST={"AUTHORIZE": lambda verb, run, request: request.header("x-user") == "ada"},
    )
    import django
    django.setup()
    from django.test import Client
    from django.urls import include, path
    import runcast

    urlpatterns = [path("tools/", include("runcast.web.django.urls"))]
    run = runcast.start(["echo", "one"])
    run.wait()
    page, client = f"/tools/runs/{run.id}", Client()
    ada = {"X-User": "ada", "Host": "a.example"}
    made = client.post(f"{page}/share", content_type="application/json", headers=ada)
    query = made.json()["url"].partition("?")[2]
    assert made.json()["url"] == f"http://a.example{page}?{query}", made.json()
    assert client.post(f"{page}/share", content_type="application/json").status_code == 403
    assert client.get(page).status_code == 403
    assert client.get(f"{page}?{query}").json()["links"] == {"self": page, "log": f"{page}/log"}
    swapped = client.get(f"{page}?{query}", headers={"Accept": "text/html"})
    assert (swapped.status_code, swapped["Location"]) == (303, page)
    cookie = swapped["Set-Cookie"].partition(";")[0]
    assert client.get(page, headers={"Accept": "text/html", "Cookie": cookie}).status_code == 200
    from runcast.web.http.share import ShareKey
    assert ShareKey("the-key-of-this-project").expiry(run.id, [query.partition("=")[2]])
"""


def test_share_links(store: Store):
    """SECRET_KEY signs share links; a browser that opens one gets a cookie, and reads the run by that."""
    run_python(SHARING)
