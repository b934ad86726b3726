"""Values of functions: what is kept of them with the outcome."""

from runcast.sources.returned import as_value


def test_values():
    """JSON stays as it is; what is none becomes its repr, whatever the value does about that."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    assert as_value({"a": (1, None)}) == {"a": [1, None]}
    assert as_value(float("nan")) == "nan"
    assert as_value({1, 2}) == "{1, 2}"
    assert as_value(Odd()) == "<Odd whose repr fails: RuntimeError('no')>"
    assert len(str(as_value("x" * 2_000_000))) == 256 * 1024
