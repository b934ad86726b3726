"""A lost run that an event loop finds: it is settled beside the loop, and known to be lost at once."""

import pytest

from runcast import Store
from tests.helpers.children import run_python
from tests.helpers.lost import end, orphan, started

pytestmark = [pytest.mark.fault, pytest.mark.slow]

# An audit hook says which thread opens the file of the outcome, which is done when nothing is left to kill.
CODE = """
    import asyncio, sys, threading
    from runcast import Store, aio

    acts = set()

    def hook(event, args):
        if event == "open" and ".outcome-" in str(args[0]):
            acts.add(threading.current_thread() is threading.main_thread())

    async def main():
        run = await aio.get(sys.argv[2], store=Store(sys.argv[1]))
        print(run.state.value)
        print((await run.wait(timeout=60)).reason.value, run.state.value)

    sys.addaudithook(hook)
    asyncio.run(main())
    print("in the loop:", acts)
"""


def test_settled_beside_the_loop(store: Store) -> None:
    """The loop does not write the outcome; who awaits the end gets it."""
    run, pids = started(store, "sleep 600 & echo $!; exec sleep 600", 1)
    orphan(run)
    try:
        said = run_python(CODE, store.path, run.id).splitlines()
    finally:
        end(pids)

    assert said == ["lost", "lost lost", "in the loop: {False}"]
