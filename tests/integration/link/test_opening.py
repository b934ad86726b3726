"""What opening a link loads, and what it needs."""

from tests.helpers.children import run_python


def test_client_is_missing():
    """Without the extra, the message says what to install."""
    said = run_python(
        """
        import sys
        sys.modules["redis"] = None
        from runcast.errors import StoreUnusable
        from runcast.link.opening import open_link
        try:
            open_link("redis://localhost")
        except StoreUnusable as error:
            print(error)
        """
    )

    assert "pip install 'runcast[redis]'" in said


def test_client_is_loaded_late():
    """The module that opens links loads no client before one is opened."""
    said = run_python("import sys, runcast.link.opening; print('redis' in sys.modules)")

    assert said == "False\n"


def test_opened_while_another_thread_loads_the_client():
    """A link can be opened while another thread is the first to import redis, and both go well."""
    said = run_python(
        """
        import sys, threading
        from runcast.link.opening import open_link
        failed = []
        threading.excepthook = failed.append
        other = threading.Thread(target=lambda: __import__("redis"))
        other.start()
        while "redis" not in sys.modules:
            pass
        open_link("redis://localhost").close()
        other.join()
        print(failed)
        """
    )

    assert said == "[]\n"
