"""What is due, and that nothing is looked at before."""

from runcast.agent.due_times import DueTimes


def test_due_times():
    """The earliest time of a name counts; what is due is taken once."""
    times = DueTimes()
    assert (times.next, times.take(1e9)) == (float("inf"), [])
    times.no_later("a", 5.0)
    times.no_later("b", 3.0)
    times.no_later("a", 9.0)
    assert (times.next, times.take(2.9)) == (3.0, [])
    assert (times.take(3.0), times.next) == (["b"], 5.0)
    times.no_later("a", 4.0)
    assert (times.next, times.take(4.0), times.next) == (4.0, ["a"], float("inf"))


def test_forgotten():
    """What is forgotten is not due: at its time there is nothing."""
    times = DueTimes()
    times.no_later("a", 1.0)
    times.no_later("b", 2.0)
    times.forget("a")
    times.forget("never there")
    assert times.take(1.5) == []
    assert (times.next, times.take(2.0)) == (2.0, ["b"])
