"""The memory of one call of one contestant; runs in a fresh process."""

import math

from .contest import Contest
from .libraries import LIBRARIES
from .measure import prepare, run_of
from .workloads import inputs

FEW_SCORES = 110_000
"""Enough for what is imported or started for large inputs alone, and little memory beside theirs."""


def probe(contest, name, device):
    """Bytes that the call needs beside its inputs.

    What a first call imports and starts, it does before, on few scores.
    """
    prepare()
    contest = Contest(**contest)
    shown, runner = contest.shown, LIBRARIES[contest.library](device)
    axes = len(shown.shape) - 2
    side = math.ceil((FEW_SCORES / shown.shape[1]) ** (1 / axes))
    few = shown._replace(shape=(1, shown.shape[1], *(side for _ in range(axes))))
    who = contest.contestants()[name]
    runner.wait(run_of(contest, who, runner, inputs(few))())
    return runner.peak(run_of(contest, who, runner, inputs(shown)))
