"""Primes by long-poll from CherryPy: python cherrypy_generator.py, then localhost:8080"""

import sys
from itertools import count
from pathlib import Path

import cherrypy

from runcast.web.cherrypy import Runcast

cast = Runcast()


def primes(below):
    """Yield the primes: an endless generator would do as well, for it runs as far as it is read."""
    for number in count(2):
        if number >= below:
            return
        if all(number % divisor for divisor in range(2, int(number**0.5) + 1)):
            yield number


class Root:
    @cherrypy.expose
    def index(self):
        return Path(__file__).with_suffix(".html").read_bytes()

    @cherrypy.expose
    @cherrypy.tools.json_out()
    def prime(self, key, below="1000"):
        """Give the next prime of this key; each key has a generator of its own."""
        run = cast.start(primes, int(below), key=f"prime-{key}", idle_timeout=600)
        # Where the client is stands in its cookie: a lost reply is asked for again, and nothing is kept here.
        cookie = f"prime-{key}"
        sent = cherrypy.request.cookie.get(cookie)
        begin = int(sent.value) if sent else 0
        for chunk in run.follow(offset=begin, timeout=20):
            if chunk is None:
                return {"state": "waiting", "key": key}
            value, _, _ = chunk.data.partition(b"\n")
            cherrypy.response.cookie[cookie] = chunk.offset + len(value) + 1
            return {"state": "ready", "content": int(value), "offset": chunk.offset, "key": key}
        return {"state": "done", "count": run.to_json()["lines"], "key": key}

    @cherrypy.expose
    @cast.stream
    def stream(self, below="1000"):
        """The same at one URL for curl, EventSource and browsers."""
        yield from primes(int(below))


cherrypy.tree.mount(Root(), "/")
app = cherrypy.tree

if __name__ == "__main__":
    cherrypy.config.update({"server.socket_port": int(sys.argv[1]) if len(sys.argv) > 1 else 8080})
    cherrypy.quickstart(Root())
