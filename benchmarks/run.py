"""Runs each library in a process of its own, and hands over what it found on each workload."""

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


class Request(NamedTuple):
    """What is to be measured of one library."""

    library: str
    workloads: tuple[str, ...]  # or `GROWTH`
    losses: str
    device: str
    quick: bool

    def sizes(self, workload):
        """The workloads behind a name."""
        if workload != GROWTH:
            return (workload,)
        return GROWING[: GROWING.index(QUICK_STOPS_AT) + 1] if self.quick else GROWING

    @property
    def steps(self):
        """How often `run` tells of progress."""
        sizes = [size for workload in self.workloads for size in self.sizes(workload)]
        return sum(measure.steps(self.library, size, self.losses, self.quick) for size in sizes)


class Failed(RuntimeError):
    """A process that measures failed, with its traceback."""


def lacking(library):
    """Why a library cannot be measured here; empty if it can."""
    return "" if importlib.util.find_spec(library) else f"No module named {library!r}"


def run(request, tell):
    """Measure a library in a new process.

    Yields
    ------
    workload : str
        As soon as all its rows are there.
    about : dict
        Machine, versions, date.
    rows : list of dict
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(request, theirs))
    process.start()
    theirs.close()
    try:
        while True:
            kind, *content = ours.recv()
            if kind == "step":
                tell(*content)
            elif kind == "rows":
                yield content[0], _about(request), content[1]
            elif kind == "failed":
                raise Failed(*content)
            else:
                return
    except EOFError:
        process.join()
        raise Failed(f"the process ended with exit code {process.exitcode}") from None
    finally:
        ours.close()
        process.join()


def _measure(request, connection):
    def tell(word):
        connection.send(("step", word))

    try:
        for workload in request.workloads:
            rows = []
            for size in request.sizes(workload):
                if measure.steps(request.library, size, request.losses, request.quick):
                    rows += measure.measure(
                        request.library, size, request.losses, request.device, request.quick, tell
                    )
            if rows:
                connection.send(("rows", workload, rows))
        connection.send(("done",))
    except Exception:
        connection.send(("failed", traceback.format_exc()))


def _about(request):
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "quick": request.quick,
        "losses": request.losses,
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
