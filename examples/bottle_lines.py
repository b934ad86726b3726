"""Short lines, seconds apart, from Bottle: python bottle_lines.py, then python bottle_client.py"""

import signal
import sys

import bottle

from runcast.web.bottle import Runcast

app = bottle.Bottle()
cast = Runcast()


@app.get("/stream")
def stream():
    # `&&` is a shell's: without shell=True this would be an error that says so.
    return cast.stream("echo 1 && sleep 3 && echo 2 && sleep 3 && echo 3", shell=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as by Ctrl-C: with last words
    # Bottle's own server sends no chunks, so that requests would see nothing before the end.
    app.run(server="cheroot", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8080)
