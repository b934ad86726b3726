"""TCP sockets to listen on, and what the server is called there.

Owns sockets before they are served, and the names that go into URLs and into the guard's list.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Iterable, Iterator, Sequence

from runcast.errors import RuncastError, UsageError
from runcast.sysio.descriptors import interface_address

__all__ = [
    "BACKLOG",
    "LOOPBACK_NAMES",
    "CannotListen",
    "bound",
    "for_others",
    "is_loopback",
    "is_wildcard",
    "listen",
    "names",
    "url",
]

BACKLOG = 2048  # connections that may wait to be accepted
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
_SIOCGIFADDR = 0x8915  # netdevice(7)
_ELSEWHERE = ("192.0.2.1", 9)  # nobody's: RFC 5737
_REASONS = {
    errno.EADDRINUSE: "something listens there already: use another --port, or 0 for any that is free",
    errno.EACCES: "ports below 1024 are for root: use another --port",
    errno.EADDRNOTAVAIL: "this machine has no such address: use one of its own as --host",
}


class CannotListen(RuncastError):
    """The address cannot be listened on."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of a host, on one port; 0 is any that is free.

    Raises:
        UsageError: no such host.
        CannotListen: the address cannot be had.
    """
    try:
        found = (
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE) if host else []
        )
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise UsageError(f"expected an address or a name of this machine as --host, got {host!r}")
    sockets: list[socket.socket] = []
    failed: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            one = _listen_one(family, kind, protocol, (address[0], port, *address[2:]))
        except OSError as error:
            failed = error
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # a name may have an address of a family that is switched off here
            break
        sockets.append(one)
        port = one.getsockname()[1]
    if sockets and (failed is None or failed.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)):
        return sockets
    for one in sockets:
        one.close()
    assert failed is not None
    reason = _REASONS.get(failed.errno or 0, (failed.strerror or str(failed)).lower())
    raise CannotListen(f"cannot listen on {_bracketed(host)}:{port}: {reason}")


def _listen_one(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    one = socket.socket(family, kind, protocol)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if (
            family == socket.AF_INET6
        ):  # `::` means every address, as people expect; all others are of one kind
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        one.bind(address)
        one.listen(BACKLOG)
        one.setblocking(False)
        return one
    except BaseException:
        one.close()
        raise


def bound(sockets: Iterable[socket.socket]) -> list[str]:
    """Return the addresses that sockets listen on."""
    return [str(one.getsockname()[0]).partition("%")[0] for one in sockets]


def is_loopback(sockets: Iterable[socket.socket]) -> bool:
    """Return whether nothing but this machine can connect."""
    return all(ipaddress.ip_address(address).is_loopback for address in bound(sockets))


def is_wildcard(sockets: Iterable[socket.socket]) -> bool:
    """Return whether any address of this machine is listened on."""
    return any(ipaddress.ip_address(address).is_unspecified for address in bound(sockets))


def names(host: str, sockets: list[socket.socket]) -> list[str]:
    """Return the names and addresses by which clients reach this server, the best for a URL first."""
    if is_loopback(sockets):
        return _unique([host, *LOOPBACK_NAMES, *bound(sockets)])
    machine = socket.gethostname()
    label = machine.partition(".")[0]
    called = [machine, label, f"{label}.local"] if label not in ("", "localhost") else []
    if is_wildcard(sockets):
        return _unique(["127.0.0.1", *called, *_machine_addresses(), *LOOPBACK_NAMES])
    return _unique([host, *bound(sockets), *called])


def for_others(names: Sequence[str]) -> str:
    """Return of the names of a server the best for other machines; the first where they have none.

    An address goes before a name, which a phone may not resolve: `laptop.local` needs mDNS there.
    """
    if names[0] not in LOOPBACK_NAMES:
        return names[0]
    others = [name for name in names if name not in LOOPBACK_NAMES]
    return next(filter(_is_address, others), next(iter(others), names[0]))


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def _unique(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name.lower() for name in found))


def _machine_addresses() -> Iterator[str]:
    """Yield the addresses of this machine that others may reach, as far as the system tells.

    The first is that towards the world: a bridge of containers has one as well, which no phone reaches.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(_ELSEWHERE)  # sends nothing: the kernel chooses a route and its address
        yield probe.getsockname()[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, interface in socket.if_nameindex():
            with contextlib.suppress(OSError):  # has none
                address = interface_address(probe.fileno(), interface)
                if not ipaddress.ip_address(address).is_loopback:
                    yield socket.inet_ntoa(address)
    with contextlib.suppress(OSError), open("/proc/net/if_inet6") as file:
        for line in file:
            six = ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
            if not (six.is_loopback or six.is_link_local):  # no browser takes the zone of a link-local one
                yield six.compressed


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def url(name: str, port: int, scheme: str = "http") -> str:
    """Return the URL of the server by one of its names."""
    usual = port == (443 if scheme == "https" else 80)
    return f"{scheme}://{_bracketed(name)}{'' if usual else f':{port}'}/"
