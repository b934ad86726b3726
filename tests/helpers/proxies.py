"""Real proxies before a real server, each with a configuration of its own: that of the docs, or its defaults.

A proxy that is missing fails its tests, with what to install; `make test-meetings` installs them on Debian.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.peers.nginx import nginx
from bench.peers.server import running
from tests.helpers.examples import EXAMPLES
from tests.helpers.ports import free_port

__all__ = ["DEFAULTS", "DOCUMENTED", "behind"]

FOLDER = EXAMPLES / "proxies"
_NOBODY = "User nobody\nGroup nogroup\n"  # which Apache needs when root starts it
_APACHE = f"""
ServerRoot /usr/lib/apache2
DefaultRuntimeDir {{folder}}
PidFile {{folder}}/apache.pid
ErrorLog {{folder}}/apache.log
ServerName localhost
Listen 127.0.0.1:{{port}}
{_NOBODY}
{{modules}}
"""
_MODULES = ("mpm_event", "authz_core", "env", "filter", "deflate", "proxy", "proxy_http")
_LIGHTTPD = """
server.document-root = "{folder}"
server.bind = "127.0.0.1"
server.port = {port}
"""
_CADDY = """
{
    admin off
    auto_https off
}
"""
_LIGHTTPD_PROXY = 'proxy.server = ("" => (("host" => "127.0.0.1", "port" => 8765)))'
_DEFAULT_TIMES = "timeout connect 5s\n timeout client 50s\n timeout server 50s"

DOCUMENTED = {
    "nginx": "nginx.conf",
    "apache": "apache.conf",
    "haproxy": "haproxy.cfg",
    "varnish": "varnish.vcl",
    "lighttpd": "lighttpd.conf",
    "caddy": "Caddyfile",
}
# What everybody writes first, and what a distribution's own file adds to it.
DEFAULTS = {
    "nginx": "server { listen 127.0.0.1:8080; location / { proxy_pass http://127.0.0.1:8765; } }",
    "apache": "ProxyPass / http://127.0.0.1:8765/",
    "haproxy": f"""
defaults
 mode http
 {_DEFAULT_TIMES}
frontend web
 bind 127.0.0.1:8080
 default_backend runcast
backend runcast
 server runcast 127.0.0.1:8765
""",
    "varnish": 'vcl 4.1;\nbackend default { .host = "127.0.0.1"; .port = "8765"; }',
    "varnish-gzip": 'vcl 4.1;\nbackend default { .host = "127.0.0.1"; .port = "8765"; }\n'
    "sub vcl_backend_response { set beresp.do_gzip = true; }",
    "lighttpd": f'server.modules += ("mod_proxy")\n{_LIGHTTPD_PROXY}',
    "caddy": "http://127.0.0.1:8080 {\n encode gzip\n reverse_proxy 127.0.0.1:8765\n}",
}


class _Proxy(NamedTuple):
    """How a proxy is started."""

    program: str
    package: str


_PROGRAMS = {
    "nginx": _Proxy("nginx", "nginx-light"),
    "apache": _Proxy("apache2", "apache2-bin"),
    "haproxy": _Proxy("haproxy", "haproxy"),
    "varnish": _Proxy("varnishd", "varnish"),
    "lighttpd": _Proxy("lighttpd", "lighttpd"),
    "caddy": _Proxy("caddy", "caddy"),
}


def _program(name: str) -> str:
    """Return the path of a proxy's program; fail the test where it is not installed."""
    proxy = _PROGRAMS[name]
    found = shutil.which(proxy.program) or shutil.which(proxy.program, path="/usr/sbin")
    if found is None:
        pytest.fail(f"expected {proxy.program} on PATH, it is not installed: apt-get install {proxy.package}")
    return found


def _command(name: str, folder: Path, port: int, text: str) -> list[str]:
    """Write a configuration into a folder, and return the command that serves it."""
    program = _program(name)
    if name == "nginx":
        return nginx(folder, f"access_log off; {text}")
    file = folder / "config"
    if name == "apache":
        modules = "\n".join(f"LoadModule {one}_module modules/mod_{one}.so" for one in _MODULES)
        file.write_text(_APACHE.format(folder=folder, port=port, modules=modules) + text)
        return [program, "-X", "-f", str(file)]
    if name == "lighttpd":
        file.write_text(_LIGHTTPD.format(folder=folder, port=port) + text)
        return [program, "-D", "-f", str(file)]
    file.write_text(_CADDY + text if name == "caddy" else text)
    if name == "caddy":
        return [program, "run", "--adapter", "caddyfile", "--config", str(file)]
    if name == "haproxy":
        return [program, "-db", "-f", str(file)]
    place = ["-a", f"127.0.0.1:{port}", "-n", str(folder / "varnish"), "-T", "none", "-j", "none"]
    return [program, "-F", *place, "-f", str(file)]


@contextmanager
def behind(name: str, folder: Path, upstream: int, *, documented: bool = True) -> Iterator[int]:
    """Give the port of a proxy before a server.

    Args:
        name: one of `DOCUMENTED`, or of `DEFAULTS`.
        folder: where it keeps everything; made here.
        upstream: the port of the server.
        documented: its configuration is that of the docs, else what its defaults are.
    """
    text = (FOLDER / DOCUMENTED[name]).read_text() if documented else DEFAULTS[name]
    port = free_port()
    text = text.replace("8765", str(upstream)).replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    folder.mkdir()
    command = _command(name.partition("-")[0], folder, port, text)
    with running(command, port, env={"HOME": str(folder)}):
        yield port
