"""Whose turn it is, of many things that are looked at again and again."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from runcast.agent.rounds import Rounds


def test_a_share_at_each_turn():
    """Of a thousand a hundredth have their turn at once, none twice in a second, and all in little more."""
    rounds, names = Rounds(1.0), [str(number) for number in range(1000)]
    assert rounds.take(0.0, names) == names
    shares = [rounds.take(turn / 200, names) for turn in range(1, 221)]
    assert max(Counter(name for share in shares[:200] for name in share).values()) == 1
    assert {name for share in shares for name in share} == set(names)
    assert max(map(len, shares)) <= 15
    assert [len(share) for share in shares[:2]] == [0, 10]


def test_few():
    """A few have their turns within a second, too; where turns are a second apart all have one each time."""
    rounds = Rounds(1.0)
    assert rounds.take(0.0, []) == []
    assert rounds.take(1.0, ["a", "b"]) == ["a", "b"]
    assert [rounds.take(1.0 + turn / 8, ["a", "b"]) for turn in range(1, 9)].count([]) == 6
    assert sorted(rounds.take(3.0, ["a", "b", "c"])) == ["a", "b"]
    assert sorted(rounds.take(4.0, ["a", "b", "c"])) == ["a", "b", "c"]


@given(st.lists(st.tuples(st.floats(0.0, 1.5), st.integers(0, 30)), min_size=1, max_size=80))
def test_nobody_is_passed_over(turns: list[tuple[float, int]]):
    """Whatever the pauses, and whatever comes and goes: who is there for some rounds was looked at."""
    rounds, now, since = Rounds(1.0), 0.0, dict[str, float]()
    longest = max(pause for pause, _ in turns)
    for pause, count in turns:
        now += pause
        names = [str(number) for number in range(count)]
        since = {name: since.get(name, now) for name in names}
        found = rounds.take(now, names)
        assert len(found) == len(set(found))
        since |= {name: now for name in found if name in since}
        assert all(now - when <= 2.0 + 2 * longest + 0.1 for when in since.values())
