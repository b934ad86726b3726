"""The link: how the stores of several hosts share their runs, through an engine between them.

`base` is the interface, `memory` an engine within one process, `redis_link` one through Redis or
Valkey, `postgres_link` one through PostgreSQL; `opening.open_link` opens these. Nothing here is loaded by
runs, by their supervisors or by web workers: only an agent uses it.
"""

from runcast.link.base import ASKS, LISTED, PUT_BYTES, Ask, Engine, Entry, Hello, Link, Look, Stretch
from runcast.link.reply import Reply

__all__ = [
    "ASKS",
    "LISTED",
    "PUT_BYTES",
    "Ask",
    "Engine",
    "Entry",
    "Hello",
    "Link",
    "Look",
    "Reply",
    "Stretch",
]
