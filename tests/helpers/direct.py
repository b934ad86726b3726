"""`python -m tests.helpers.direct APP PORT`: uvicorn with our protocols, which hand connections over."""

import sys

import uvicorn

from runcast.server.direct_socket import SocketProtocol
from runcast.server.uvicorn_fastpath import FastpathProtocol

if __name__ == "__main__":
    uvicorn.run(
        f"{sys.argv[1]}:app",
        port=int(sys.argv[2]),
        http=FastpathProtocol,
        ws=SocketProtocol,
        ws_per_message_deflate=False,
        log_level="warning",
        timeout_keep_alive=60,
    )
