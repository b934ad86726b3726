"""A command as a view of CherryPy."""

import sys
from pathlib import Path

import cherrypy

from runcast.web.cherrypy import Runcast

FOLDER = Path(__file__).parent

cast = Runcast().mount()


class Root:
    @cherrypy.expose
    def stream(self):
        return cast.stream(["bash", "steps.sh"], cwd=FOLDER)

    @cherrypy.expose
    @cherrypy.tools.runcast()
    def silent(self):
        return ["sleep", "600"]


cherrypy.config.update({"environment": "production", "log.screen": True})
app = cherrypy.tree
app.mount(Root())
if __name__ == "__main__":
    cherrypy.config.update({"server.socket_port": int(sys.argv[1])})
    cherrypy.engine.signals.subscribe()
    cherrypy.engine.start()
    cherrypy.engine.block()
