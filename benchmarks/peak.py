"""The memory of one call of one contestant; runs in a fresh process."""

from .contest import Contest
from .libraries import LIBRARIES
from .measure import prepare, run_of
from .workloads import inputs


def probe(contest, name, device):
    """Bytes that the call needs beside its inputs.

    What a first call imports and starts, it does before, on a few pixels.
    """
    prepare()
    contest = Contest(**contest)
    shown, runner = contest.shown, LIBRARIES[contest.library](device)
    few = shown._replace(shape=(1, shown.shape[1], *(16 for _ in shown.shape[2:])))
    who = contest.contestants()[name]
    runner.wait(run_of(contest, who, runner, inputs(few))())
    return runner.peak(run_of(contest, who, runner, inputs(shown)))
