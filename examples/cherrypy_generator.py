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
    def prime(self, below="1000"):
        # Each `?key=` has a generator of its own, and goes on where its last poll ended.
        return cast.stream(primes, int(below), idle_timeout=600)


cherrypy.tree.mount(Root(), "/")
app = cherrypy.tree

if __name__ == "__main__":
    cherrypy.config.update({"server.socket_port": int(sys.argv[1]) if len(sys.argv) > 1 else 8080})
    cherrypy.quickstart(Root())
