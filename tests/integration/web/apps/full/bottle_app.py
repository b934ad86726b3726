"""What an adapter offers, in Bottle."""

import bottle
from common import OPTIONS, job

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
