"""What is called at a fork: hooks before it, in the parent and in the child, whatever one of them does."""

from tests.helpers.children import run_python


def test_order():
    """Hooks before a fork run in reverse order, the others in order; one that fails stops no other."""
    said = run_python(
        """
        import os, sys
        from runcast.sysio.forks import at_fork, note_forks

        class Noted:
            def in_child(self): told.append("noted")

        def fail(): raise ValueError("a hook")

        told, kept = [], Noted()
        at_fork(lambda: told.append("child 1"), before=lambda: told.append("before 1"))
        at_fork(fail)
        at_fork(lambda: told.append("child 2"), before=lambda: told.append("before 2"),
                in_parent=lambda: told.append("parent"))
        note_forks(kept)
        sys.excepthook = lambda kind, error, trace: told.append(str(error))
        child = os.fork()
        os.write(1, (", ".join(told) + "\\n").encode())
        if child:
            os.waitpid(child, 0)
        else:
            os._exit(0)
        """
    )

    assert sorted(said.splitlines()) == [
        "before 2, before 1, noted, child 1, a hook, child 2",
        "before 2, before 1, parent",
    ]
