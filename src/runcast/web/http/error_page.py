"""An error as a page for people: one page for all of them, of the server and of applications.

Owns its look. It needs no other file, because it is shown where nothing else may be read, or where nobody
knows below which path the files are: a style of its own, which its Content-Security-Policy names by a hash,
and no script. It has nothing about runs but what it is given.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import Final

from runcast.web.http.messages import Reply

__all__ = ["error_page"]

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --page: #f6f6f4; --text: #1c1e21; --muted: #5d6268; --rule: #c9c9c2; --accent: #2f5bd8; --on: #fff;
}
@media (prefers-color-scheme: dark) {
  :root { --page: #121417; --text: #e3e5e8; --muted: #9aa1a9; --rule: #3b4149; }
  :root { --accent: #7ea2ff; --on: #10131a; }
}
body { margin: 0; padding: 12vh 24px 48px; background: var(--page); color: var(--text); }
body { font: 16px/1.55 sans-serif; }
main { max-width: 34rem; margin: 0 auto; }
.status { color: var(--muted); margin: 0; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; }
p { overflow-wrap: anywhere; }
a { color: var(--accent); }
form { display: flex; flex-wrap: wrap; gap: 10px; margin: 1.5rem 0; }
label { flex-basis: 100%; font-weight: 600; }
input, button { font: inherit; padding: 8px 12px; border: 1px solid var(--rule); border-radius: 8px; }
input { flex: 1; min-width: 0; background: transparent; color: inherit; }
button { background: var(--accent); border-color: var(--accent); color: var(--on); cursor: pointer; }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} - runcast</title>
<style>{style}</style>
</head>
<body>
<main>
<p class="status">runcast, {status}</p>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_FIELD: Final = (
    '<form><label for="token">Token</label>'
    '<input id="token" name="token" type="password" autocomplete="off" required> <button>Open</button></form>'
)


def error_page(
    status: int,
    title: str,
    paragraphs: Iterable[str],
    headers: Iterable[tuple[str, str]] = (),
    *,
    links: Iterable[tuple[str, str]] = (),
    ask_token: bool = False,
) -> Reply:
    """Return a page that says what is wrong.

    Args:
        status: of the reply.
        title: what is wrong, in a few words.
        paragraphs: why, and what to do.
        headers: further ones.
        links: paths of this server, each with its text.
        ask_token: offer a field for the token.
    """
    parts = [f"<p>{escape(text)}</p>" for text in paragraphs]
    parts += [f'<p><a href="{escape(path)}">{escape(text)}</a></p>' for path, text in links]
    if ask_token:
        parts.append(_FIELD)
    body = _PAGE.format(title=escape(title), status=status, style=_STYLE, body="\n".join(parts))
    return Reply(status, [*_HEADERS, *headers], body.encode(errors="replace"))
