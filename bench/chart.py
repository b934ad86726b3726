"""The chart of the main figures: how many times better or worse than each peer, won and lost alike.

A bar starts at the peer and goes to the right where ours is better. Owns the choice of figures and
the drawing, as SVG by hand: a scale and some bars need no library. Knows nothing of how they were measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from bench.row import Figure
from bench.table import Found

__all__ = ["missing", "svg"]

# The row, how its figure begins, the peer, and what the chart calls the two.
_SHOWN = (
    ("A", "first byte of `echo hi`, p50", "websocketd", "First byte of a command · websocketd"),
    ("A", "first byte of `echo hi`, p50", "usual Starlette", "First byte of a command · usual Starlette app"),
    ("DH", "line latency over HTTP, text, p50", "websocketd", "Latency of a line, text · websocketd"),
    ("DH", "line latency over HTTP, SSE, p50", "websocketd", "Latency of a line, SSE · websocketd"),
    ("B", "flat out, text", "websocketd", "Flat out, text · websocketd"),
    ("B", "flat out, text", "usual Flask", "Flat out, text · usual Flask app"),
    ("B", "flat out, SSE (a line an event)", "websocketd", "Flat out, an event a line · websocketd"),
    ("B", "flat out, WebSocket", "websocketd", "Flat out, WebSocket · websocketd"),
    (
        "G",
        "G: 1000 viewers x 100 lines/s, SSE: CPU of the server, a line",
        "nchan",
        "1,000 viewers, SSE: CPU a line · nchan",
    ),
    ("G", "G: 1000 viewers x 100 lines/s, SSE: latency, p99", "nchan", "1,000 viewers, SSE: p99 · nchan"),
    (
        "G",
        "G: 1000 viewers x 100 lines/s, SSE: memory of a viewer",
        "nchan",
        "1,000 viewers, SSE: memory · nchan",
    ),
    (
        "G",
        "GW: 1000 viewers x 100 lines/s, WebSocket: CPU of the server, a line",
        "nchan",
        "1,000 viewers, WebSocket: CPU a line · nchan",
    ),
    (
        "G",
        "GW: 1000 viewers x 100 lines/s, WebSocket: latency, p99",
        "nchan",
        "1,000 viewers, WebSocket: p99 · nchan",
    ),
    ("G", "H: 5000 viewers x 100 lines/s, SSE: delivered", "nchan", "5,000 viewers: lines delivered · nchan"),
    (
        "G",
        "I: 1000 viewers x 1000 lines/s, SSE: delivered",
        "nchan",
        "1,000 lines/s: lines delivered · nchan",
    ),
    ("C", "replay of 50 MB, text", "nginx static", "Replay of 50 MB · nginx with a file"),
    ("E", "start, p50", "Popen", "Start of a command · Popen"),
    ("E", "short runs a second and core, one loop", "subprocess.run", "Short runs a second · subprocess.run"),
    ("E", "memory a run", "sh shim", "Memory of a run · a shell script"),
    (
        "DS",
        "append of 100 bytes, one connection, idempotent producer",
        "Node, files",
        "Durable append · reference server",
    ),
    ("DS", "catch-up of 100 MB", "Node, files", "Durable catch-up · reference server"),
)
_LABEL, _PLOT, _SIDE, _BAR, _HEAD = 330, 430, 70, 22, 54
_MOST = 64.0  # times better or worse; longer bars end there, and their number says how long they were
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.s{fill:#57606a;font-size:11px}"
    ".b{fill:#2da44e}.w{fill:#cf222e}.l{stroke:#d0d7de}.o{stroke:#57606a}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}.b{fill:#3fb950}.w{fill:#f85149}"
    ".l{stroke:#30363d}.o{stroke:#9198a1}}"
)


@dataclass(frozen=True)
class _Bar:
    label: str
    times: float  # better; below 1, worse


def svg(facts: Mapping[str, str], found: Found) -> str:
    """Return the chart; figures that were not measured are left out.

    Args:
        facts: of the machine.
        found: what was measured.
    """
    bars = list(_bars(found))
    width, height = _LABEL + _PLOT + _SIDE, _HEAD + len(bars) * _BAR + 30
    middle = _LABEL + _PLOT / 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        "<title>runcast beside its peers</title>",
        f"<style>{_STYLE}</style>",
        f'<text x="{middle - 12}" y="18" text-anchor="end">worse than the peer ←</text>',
        f'<text x="{middle + 12}" y="18">→ better</text>',
    ]
    for times in (1 / 64, 1 / 16, 1 / 4, 1, 4, 16, 64):
        at = _x(times)
        kind = "o" if times == 1 else "l"
        name = f"{times:g}x" if times >= 1 else f"1/{1 / times:g}"
        lines += [
            f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{_HEAD - 12}" y2="{height - 26}"/>',
            f'<text class="s" x="{at:.1f}" y="{_HEAD - 18}" text-anchor="middle">{name}</text>',
        ]
    for number, bar in enumerate(bars):
        lines += _drawn(bar, _HEAD + number * _BAR)
    told = ", ".join(facts[name] for name in ("date", "cpu", "kernel") if facts.get(name))
    lines.append(
        f'<text class="s" x="8" y="{height - 8}">{escape(told)}, {facts.get("cores", "?")} cores</text>'
    )
    return "\n".join([*lines, "</svg>", ""])


def missing(found: Found) -> list[str]:
    """Return what the chart would show of the rows that were measured, and has not got."""
    return [
        f"{row}: {begins}, beside {peer}"
        for row, begins, peer, _ in _SHOWN
        if row in found and _figure(found, row, begins, peer) is None
    ]


def _figure(found: Found, row: str, begins: str, peer: str) -> Figure | None:
    for figure in found.get(row, ()):
        if figure.ours and figure.name.startswith(begins) and peer in figure.peers:
            return figure
    return None


def _bars(found: Found) -> Iterator[_Bar]:
    for row, begins, peer, label in _SHOWN:
        if (figure := _figure(found, row, begins, peer)) is not None:
            yield _Bar(label, _times(figure, peer))


def _times(figure: Figure, peer: str) -> float:
    ratio = figure.ratio(peer)
    return ratio if figure.higher else 1 / ratio if ratio else math.inf


def _x(times: float) -> float:
    share = math.log(min(max(times, 1 / _MOST), _MOST)) / math.log(_MOST)
    return _LABEL + _PLOT / 2 * (1 + share)


def _drawn(bar: _Bar, top: int) -> Iterator[str]:
    begin, end = sorted((_x(1), _x(bar.times)))
    better = bar.times >= 1
    number = f"{bar.times:.3g}x" if better else f"{bar.times:.2g}x"
    at, anchor = (end + 5, "start") if better else (begin - 5, "end")
    middle = top + 12
    yield f'<text x="{_LABEL - 10}" y="{middle}" text-anchor="end">{escape(bar.label)}</text>'
    yield (
        f'<rect class="{"b" if better else "w"}" x="{begin:.1f}" y="{top + 1}" '
        f'width="{max(end - begin, 1):.1f}" height="{_BAR - 8}" rx="2"/>'
    )
    yield f'<text class="s" x="{at:.1f}" y="{middle}" text-anchor="{anchor}">{number}</text>'
