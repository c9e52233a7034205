"""Two versions of agnoloss in turn, in one process: value and gradient, time and peak memory."""

from fnmatch import fnmatch
from pathlib import Path
from statistics import median
from typing import NamedTuple
from zlib import crc32

from rich.table import Table

import agnoloss

from .changing import CHANGING, Changing, call_of
from .libraries import LIBRARIES
from .measure import SMALLEST, TOLERANCE, prepare
from .memory import in_fresh_process
from .packages import load
from .peak import beside_inputs
from .rounds import FULL, QUICK, Ratio, in_turn, ratio
from .workloads import IGNORED, WORKLOADS, Workload, inputs

LOSSES = ("cross_entropy_loss", "focal_loss", "dice_loss", "tversky_loss")
SORTED = {"multiclass": "lovasz_softmax_loss", "binary": "lovasz_hinge_loss"}
ORDER = ("numpy", "cupy", "jax", "torch")
"""Of libraries in one process: torch's threads go on for a while after each of its calls."""


class Case(NamedTuple):
    """A call of both versions."""

    library: str
    device: str
    workload: Workload
    loss: str
    compiled: bool = False
    changing: Changing | None = None

    @property
    def where(self):
        return f"{self.library} {self.workload.name}"

    @property
    def title(self):
        how = ["compiled"] if self.compiled and self.library == "torch" else []
        return ", ".join([self.loss, *how, *([self.changing.name] if self.changing else [])])


class Found(NamedTuple):
    """New over old in time; seconds and peaks (in sizes of the scores) of both; whether values agree."""

    case: Case
    ratio: Ratio
    seconds: tuple[float, float]
    peaks: tuple[float, float] | None
    agree: bool


def cases(libraries, workloads, pattern, device, quick, compiled):
    """What is compared; on JAX always compiled, on torch where asked for, on W1."""
    for library in (name for name in ORDER if name in libraries):
        for workload in (WORKLOADS[name] for name in workloads):
            shown = workload.halved() if quick and workload.size >= SMALLEST else workload
            losses = [loss for loss in (*LOSSES, SORTED[shown.mode]) if fnmatch(loss, pattern)]
            yield from (Case(library, device, shown, loss, library == "jax") for loss in losses)
            if library == "torch" and compiled and shown.name == "W1":
                yield from (Case(library, device, shown, loss, True) for loss in losses)
            if library != "jax" and shown.name == "W4":
                varied = (each for each in CHANGING if each.loss in losses)
                yield from (Case(library, device, shown, each.loss, False, each) for each in varied)


def version(folder):
    """The package in this checkout, or, under another name, the copy in a folder."""
    if folder is None:
        return agnoloss
    folder = Path(folder).resolve()
    return load(f"agnoloss_{crc32(bytes(folder)):x}", folder)


def run_of(case, folder, runner, given):
    """What is timed: a call without arguments."""
    fixed = {"mode": case.workload.mode, "ignore_index": IGNORED}
    call = call_of(version(folder), case.loss, fixed, case.changing)
    return runner.both(call, runner.array(given.logits), runner.array(given.labels), case.compiled)


def probe(case, folder):
    """Bytes that a call of a version needs beside its inputs; runs in a fresh process."""
    prepare()
    runner = LIBRARIES[case.library](case.device)
    return beside_inputs(runner, case.workload, lambda given: run_of(case, folder, runner, given))


def compared(case, folder, quick):
    """Measure both versions on a case."""
    prepare()
    runner, given = LIBRARIES[case.library](case.device), inputs(case.workload)
    runner.forget()
    runs = {which: run_of(case, which, runner, given) for which in (None, folder)}
    new, old = (float(run()[0]) for run in runs.values())
    seconds = in_turn(runs, runner.wait, QUICK if quick else FULL)
    peaks = None
    if case.workload.size >= SMALLEST:
        if case.compiled:  # it would have to be compiled again
            found = [sorted(runner.peak(run) for _ in range(3))[1] for run in runs.values()]
        else:
            preload = (__name__, "torch")
            found = [in_fresh_process(__name__, "probe", case, which, preload=preload) for which in runs]
        peaks = tuple(peak / case.workload.size for peak in found)
    times = ratio(seconds[None], seconds[folder])
    return Found(
        case, times, tuple(map(median, seconds.values())), peaks, abs(new - old) <= TOLERANCE * abs(old)
    )


def table(title, rows):
    """The rows for a terminal; red where the new version is slower in three quarters of the rounds."""
    shown = Table(title, "new / old", "ms", "L", "")
    for row in rows:
        times = f"{row.ratio.median:.2f} ({row.ratio.low:.2f} to {row.ratio.high:.2f})"
        milliseconds = " / ".join(f"{1e3 * each:.3g}" for each in row.seconds)
        peaks = " / ".join(f"{each:.2f}" for each in row.peaks or ())
        style = "bold red" if row.ratio.low > 1 or not row.agree else None
        note = "" if row.agree else "values differ"
        shown.add_row(row.case.title, times, milliseconds, peaks, note, style=style)
    return shown
