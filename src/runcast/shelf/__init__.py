"""The shelf: where the output of finished runs is kept when it is not to stay on this disk or at the link.

`base` is the interface of a place for objects, `folder` the one that is a folder which hosts share, and
`opening` finds it by its URL. What of a run is kept, and how it is found again: `manifest` has the form,
`keeping` the way there, `bringing` the way back. Only an agent uses this: readers wait for it in the
files (`runcast.log.fetch`), and nothing of a run waits for it at all.
"""

from runcast.shelf.base import Shelf
from runcast.shelf.opening import open_shelf

__all__ = ["Shelf", "open_shelf"]
