"""What a process remembers of stores does not grow with every store that ever had a visitor."""

from plugin.widget.remember import Remembered


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_known_for_its_time_and_no_longer() -> None:
    clock = Clock()
    kept: Remembered[str, int] = Remembered(5, clock=clock)
    assert kept.get("a") is None
    assert kept.put("a", 0) == 0
    clock.now = 5
    assert kept.get("a") == 0
    clock.now = 5.1
    assert kept.get("a") is None


def test_what_is_over_is_forgotten_when_something_new_comes() -> None:
    clock = Clock()
    kept: Remembered[int, int] = Remembered(5, clock=clock)
    for number in range(100):
        clock.now = number
        kept.put(number, number)
    assert len(kept) == 6
    assert kept.get(99) == 99
    assert kept.get(93) is None


def test_what_is_put_again_is_young_again() -> None:
    clock = Clock()
    kept: Remembered[str, str] = Remembered(5, clock=clock)
    kept.put("a", "old")
    clock.now = 3
    kept.put("b", "b")
    clock.now = 4
    kept.put("a", "new")
    clock.now = 8.5
    kept.put("c", "c")
    assert (kept.get("a"), kept.get("b"), len(kept)) == ("new", None, 2)


def test_there_are_never_more_than_it_may_hold() -> None:
    kept: Remembered[int, int] = Remembered(3600, most=10, clock=Clock())
    for number in range(1000):
        kept.put(number, number)
    assert [kept.get(number) for number in (989, 990, 999)] == [None, 990, 999]
    assert len(kept) == 10
