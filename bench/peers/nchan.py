"""nchan, a module of nginx that fans messages out to the subscribers of a channel: the fastest there is.

It runs no process and keeps no log: a program of ours (bench/c/publish.c) posts each line to it.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench.peers.nginx import nginx
from bench.row import Skipped

__all__ = ["PUBLISH", "SUBSCRIBE", "nchan"]

PUBLISH, SUBSCRIBE = "/publish", "/subscribe"
_MODULES = ("/usr/lib/nginx/modules/ngx_nchan_module.so", "/usr/share/nginx/modules/ngx_nchan_module.so")
_HTTP = """
  access_log off; nchan_shared_memory_size 256M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location {publish} {{ nchan_publisher; nchan_channel_id lines; nchan_message_buffer_length 10; }}
    location {subscribe} {{ nchan_subscriber eventsource websocket; nchan_channel_id lines; }}
  }}
"""


def nchan(folder: str | Path, port: int) -> list[str]:
    """Write a configuration with one channel into a folder and return the command that serves it.

    Raises:
        Skipped: nginx or its module is not installed.
    """
    module = next(filter(os.path.exists, _MODULES), None)
    if module is None:
        raise Skipped(
            "expected the module nchan of nginx, it is not installed: apt-get install libnginx-mod-nchan"
        )
    command = nginx(folder, _HTTP.format(port=port, publish=PUBLISH, subscribe=SUBSCRIBE))
    config = Path(folder, "nginx.conf")
    text = config.read_text().replace("worker_connections 1024", "worker_connections 16000")
    config.write_text(f"load_module {module};\n{text}")
    return command
