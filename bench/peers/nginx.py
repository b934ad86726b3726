"""nginx, with a configuration in a folder of its own: before runcast, or beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench.row import Skipped

__all__ = ["nginx", "proxy", "requests", "streams"]

_STREAMS = Path(__file__).parents[2] / "examples" / "nginx-streams.conf"
_CONFIG = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {http}
}}
"""


def nginx(folder: str | Path, http: str) -> list[str]:
    """Write a configuration into a folder and return the command that serves it.

    Args:
        folder: where it keeps everything.
        http: what stands in the block `http`, such as what `proxy` and `streams` return.

    Raises:
        Skipped: there is no nginx.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise Skipped("expected nginx on PATH, it is not installed: apt-get install nginx-light")
    user = "user root;" if os.geteuid() == 0 else ""
    config = Path(folder, "nginx.conf")
    config.write_text(_CONFIG.format(folder=folder, user=user, http=http))
    return [program, "-c", str(config)]


def proxy(port: int, upstream: int) -> str:
    """Return what has nginx listen at a port and pass everything on, with its defaults."""
    server = f"listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{upstream}; }}"
    return f"access_log off; server {{ {server} }}"


def streams(folder: str | Path, port: int, *upstreams: int) -> str:
    """Return examples/nginx-streams.conf for these ports, with a log for `requests`."""
    example = _STREAMS.read_text().replace("/var/cache/nginx/streams", f"{folder}/cache")
    example = example.replace(
        "server 127.0.0.1:8765;", "".join(f"server 127.0.0.1:{one}; " for one in upstreams)
    )
    example = example.replace("listen 8080", f"listen 127.0.0.1:{port}")
    logged = "'$upstream_addr $status $upstream_cache_status $request_uri'"
    return f"log_format upstreams {logged}; access_log {folder}/requests.log upstreams;\n{example}"


def requests(folder: str | Path) -> list[str]:
    """Return the requests so far, one per line; those that nginx served from its cache begin with `- `."""
    return Path(folder, "requests.log").read_text().splitlines()
