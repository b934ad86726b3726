"""What an adapter offers, in Flask."""

from common import OPTIONS, allow, job
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
