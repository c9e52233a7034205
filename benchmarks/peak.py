"""The memory of one call of one contestant; runs in a fresh process."""

import math

from .contest import Contest
from .libraries import LIBRARIES
from .measure import prepare, run_of
from .workloads import inputs

FEW_SCORES = 110_000
"""Enough for what is imported or started for large inputs alone, and little memory beside theirs."""


def probe(contest, name, device):
    """Bytes that a contestant's call needs beside its inputs."""
    prepare()
    contest = Contest(**contest)
    runner, who = LIBRARIES[contest.library](device), contest.contestants()[name]
    return beside_inputs(runner, contest.shown, lambda given: run_of(contest, who, runner, given))


def beside_inputs(runner, workload, make):
    """Bytes that the call that `make` gives for inputs needs beside these.

    What a first call imports and starts, it does before, on few scores.
    """
    axes = len(workload.shape) - 2
    side = math.ceil((FEW_SCORES / workload.shape[1]) ** (1 / axes))
    few = workload._replace(shape=(1, workload.shape[1], *(side for _ in range(axes))))
    runner.wait(make(inputs(few))())
    return runner.peak(make(inputs(workload)))
