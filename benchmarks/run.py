"""Runs each library on each workload in a process of its own, and keeps what it found."""

import importlib.util
import multiprocessing
import os
import platform
import traceback
from datetime import datetime, timezone
from typing import NamedTuple

from . import measure
from .libraries import THREADS
from .packages import versions
from .workloads import GROWING

GROWTH = "growth"
QUICK_STOPS_AT = "10^6"
MODULES = {"torch": "torch", "numpy": "numpy", "jax": "jax", "cupy": "cupy"}


class Part(NamedTuple):
    """What one process measures."""

    library: str
    workload: str
    losses: str
    device: str
    quick: bool

    @property
    def workloads(self):
        if self.workload != GROWTH:
            return (self.workload,)
        return GROWING[: GROWING.index(QUICK_STOPS_AT) + 1] if self.quick else GROWING

    @property
    def steps(self):
        """How often `run` tells of progress."""
        return measure.steps(self.library, self.workloads, self.losses)


class PartFailed(RuntimeError):
    """A process that measures failed, with its traceback."""


def lacking(library):
    """Why a library cannot be measured here; empty if it can."""
    if importlib.util.find_spec(MODULES[library]) is None:
        return f"No module named {MODULES[library]!r}"
    return ""


def run(part, tell):
    """Measure a part in a new process.

    Returns
    -------
    about : dict
        Machine, versions, date.
    rows : list of dict
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(part, theirs))
    process.start()
    theirs.close()
    try:
        while True:
            kind, content = ours.recv()
            if kind == "step":
                tell(content)
            elif kind == "failed":
                raise PartFailed(content)
            else:
                return _about(part), content
    except EOFError:
        process.join()
        raise PartFailed(f"the process ended with exit code {process.exitcode}") from None
    finally:
        ours.close()
        process.join()


def _measure(part, connection):
    def tell(word):
        connection.send(("step", word))

    try:
        rows = measure.measure(part.library, part.workloads, part.losses, part.device, part.quick, tell)
        connection.send(("rows", rows))
    except Exception:
        connection.send(("failed", traceback.format_exc()))


def _about(part):
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "quick": part.quick,
        "losses": part.losses,
        "machine": f"{platform.machine()}, {_processor()}, {os.cpu_count()} cores",
        "threads": THREADS,
        "python": platform.python_version(),
        "versions": versions(),
    }


def _processor():
    """The name that Linux knows the processor by; elsewhere Python's."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except FileNotFoundError:
        names = []
    return names[0] if names else platform.processor()
