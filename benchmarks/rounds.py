"""Times of several calls in turn, and what their ratios say."""

import time
from typing import NamedTuple

import numpy as np


class Effort(NamedTuple):
    """How long to look: some rounds and seconds, though rounds that take long may be fewer."""

    rounds: int
    seconds: float
    at_most: float
    sample: float  # seconds that one time is taken over, so that the clock's steps do not count


FULL = Effort(rounds=7, seconds=1.0, at_most=5.0, sample=0.01)
QUICK = Effort(rounds=3, seconds=0.02, at_most=0.2, sample=0.002)
FEWEST = 3


def in_turn(calls, wait, effort, clock=time.perf_counter):
    """Seconds of each call in each round: the first, the second, ..., the first again.

    Whatever else the machine does falls on all of them, so that ratios within a round stay.

    Parameters
    ----------
    calls : dict
        ``{name: call}``; each is run once before anything is timed.
    wait : callable
        Takes what a call returned, returns when it is computed.
    """
    repeats = {}
    for name, call in calls.items():
        began = clock()
        wait(call())
        repeats[name] = max(1, round(effort.sample / max(clock() - began, 1e-9)))
    seconds = {name: [] for name in calls}
    rounds, started = 0, clock()
    while True:
        for name, call in calls.items():
            began = clock()
            for _ in range(repeats[name]):
                result = call()
            wait(result)
            seconds[name].append((clock() - began) / repeats[name])
            del result
        rounds, spent = rounds + 1, clock() - started
        enough = rounds >= effort.rounds and spent >= effort.seconds
        if enough or (rounds >= FEWEST and spent >= effort.at_most):
            return seconds


class Ratio(NamedTuple):
    """Median and quartiles of the ratios of single rounds."""

    median: float
    low: float
    high: float


def ratio(numerator, denominator):
    """How many times longer the first took, round by round."""
    low, median, high = np.percentile(np.divide(numerator, denominator), [25, 50, 75])
    return Ratio(float(median), float(low), float(high))
