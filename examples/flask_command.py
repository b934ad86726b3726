"""Stream an external command from Flask: python flask_command.py, then curl -N localhost:5000/stream"""

import signal
import sys

from flask import Flask, send_file

from runcast.web.flask import Runcast

app = Flask(__name__)
cast = Runcast(app)

COUNT = ["bash", "-c", "for ((i = 0; i < 100; i++)); do echo $i; sleep 1; done"]
SCRIPT = """
import time
for number in range(100):
    print("number", number)  # and no flush
    time.sleep(1)
"""


@app.get("/stream")
def stream():
    # A line "*** Interval" while it is silent for 5 s, and an end after 5 minutes at the latest.
    return cast.stream(COUNT, interval=5, timeout=300)


@app.get("/python")
def python():
    return cast.stream([sys.executable, "-c", SCRIPT])


@app.get("/page")
def page():
    return send_file("flask_command.html")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as by Ctrl-C: with last words
    app.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
