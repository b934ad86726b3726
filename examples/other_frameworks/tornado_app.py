"""A command from Tornado: python tornado_app.py, then curl -N localhost:8888/build"""

import asyncio
import sys

from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

import runcast.aio


class Build(RequestHandler):
    """Follow a run: it goes on when its viewer leaves, and whoever has its id sees it from the first line."""

    async def get(self):
        run = await runcast.aio.start(["make"])
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")  # or Chromium shows nothing before the end
        self.set_header("X-Accel-Buffering", "no")  # or nginx does the same
        self.set_header("X-Run", run.id)
        self._task = asyncio.current_task()
        try:
            await self.flush()  # the head, though the run says nothing yet
            async for line in run.lines():
                self.write(f"{line}\n")
                await self.flush()
            self.write(f"{await run.wait()}\n")
        except (StreamClosedError, asyncio.CancelledError):  # its viewer has left
            pass

    def on_connection_close(self):
        self._task.cancel()


async def main(port):
    Application([("/build", Build)]).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8888))
