"""A command as a view of ASGI without a framework."""

from pathlib import Path

from runcast.web.asgi import RunsASGI

FOLDER = Path(__file__).parent

runs = RunsASGI()


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/stream":
        await runs.stream(scope, receive, send, ["bash", "steps.sh"], cwd=FOLDER)
    elif scope["type"] == "http" and scope["path"] == "/silent":
        await runs.stream(scope, receive, send, ["sleep", "600"])
    else:
        await runs(scope, receive, send)
