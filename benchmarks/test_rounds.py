"""Statistics of times that are made up."""

import pytest

from benchmarks.rounds import Effort, in_turn, ratio


class Clock:
    """Time that passes only when a call says so."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def __call__(self):
        return self.now

    def call(self, name, seconds):
        durations = iter(seconds)

        def run():
            self.order.append(name)
            self.now += next(durations)

        return run


def test_ratio_is_taken_in_each_round():
    """A machine that becomes ten times slower does not change it, nor does one round that is disturbed."""
    ours, peer = [1, 10, 1, 10, 1], [2, 20, 2, 200, 2]
    assert ratio(peer, ours) == (2, 2, 2)
    assert ratio(ours, peer).median == 0.5


def test_quartiles_show_noise():
    found = ratio([1, 2, 3, 4, 5], [1] * 5)
    assert (found.median, found.low, found.high) == (3, 2, 4)


def test_rounds_of_different_length_are_an_error():
    with pytest.raises(ValueError, match="broadcast"):
        ratio([1, 2, 3], [1, 2])


def test_calls_are_in_turn_and_warm_ones_are_not_timed():
    clock = Clock()
    calls = {
        "a": clock.call("a", [9, 1, 1, 1, 1]),
        "b": clock.call("b", [9, 2, 2, 2, 2]),
    }
    effort = Effort(rounds=3, seconds=0, at_most=100, sample=0.1)
    assert in_turn(calls, lambda result: None, effort, clock) == {"a": [1, 1, 1], "b": [2, 2, 2]}
    assert clock.order == list("ab" + "ababab")


def test_rounds_go_on_until_their_seconds_are_spent():
    clock = Clock()
    calls = {"a": clock.call("a", [1] * 100)}
    effort = Effort(rounds=3, seconds=10, at_most=100, sample=0.1)
    assert len(in_turn(calls, lambda result: None, effort, clock)["a"]) == 10


def test_slow_calls_have_fewer_rounds_but_three():
    clock = Clock()
    calls = {"a": clock.call("a", [60] * 10)}
    effort = Effort(rounds=7, seconds=10, at_most=100, sample=0.1)
    assert len(in_turn(calls, lambda result: None, effort, clock)["a"]) == 3


def test_quick_calls_are_timed_several_at_a_time():
    clock = Clock()
    calls = {"a": clock.call("a", [0.01] * 100)}
    effort = Effort(rounds=3, seconds=0, at_most=100, sample=0.1)
    assert in_turn(calls, lambda result: None, effort, clock)["a"] == pytest.approx([0.01] * 3)
    assert len(clock.order) == 1 + 3 * 10
