"""What an adapter offers, in CherryPy."""

import cherrypy
from common import OPTIONS, job

from runcast.web.cherrypy import Runcast

cast = Runcast(**OPTIONS).mount("/tools")


class Root:
    @cherrypy.expose
    @cast.stream
    def count(self):
        yield from range(3)

    @cherrypy.expose
    def job(self):
        return cast.stream(job, 2)

    @cherrypy.expose
    @cherrypy.tools.runcast(key="shared")
    def shared(self):
        return ["bash", "-c", "echo $$"]

    @cherrypy.expose
    def begin(self):
        return cast.start_command("greet").id


app = cherrypy.tree
app.mount(Root())
