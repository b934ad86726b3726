"""A command as a view of WSGI without a framework."""

from pathlib import Path

from runcast.web.wsgi import RunsWSGI

FOLDER = Path(__file__).parent

runs = RunsWSGI()


def app(environ, start_response):
    if environ["PATH_INFO"] == "/stream":
        return runs.stream(environ, start_response, ["bash", "steps.sh"], cwd=FOLDER)
    if environ["PATH_INFO"] == "/silent":
        return runs.stream(environ, start_response, ["sleep", "600"])
    return runs(environ, start_response)
