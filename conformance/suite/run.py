"""All comparisons of a run, spread over processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from zlib import crc32

from .agreement import Result, compare
from .cases import Case, cases_of
from .expected import judged, needless
from .floats import IN_TURN
from .libraries import LIBRARIES
from .library import Library
from .registry import Entry, matching
from .truths import Truths

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Request:
    """What to compare.

    Attributes
    ----------
    losses : str
        Comma list of patterns, see `registry.matching`.
    libraries, dtypes : tuple of str
        Names.
    case : str
        Name of a case, or part of names; empty for all.
    every_dtype : bool
        Whether each case is compared in every dtype; otherwise each in one of them, in turn.
    device : str
        Where the libraries compute that have devices to choose from; empty for the usual ones.
    """

    losses: str
    libraries: tuple[str, ...]
    dtypes: tuple[str, ...]
    case: str = ""
    every_dtype: bool = False
    device: str = ""

    @property
    def whole(self) -> bool:
        """Whether nothing is left out: every case of every loss in each dtype, or in its turn."""
        return self.losses == "*" and not self.case and set(self.dtypes) >= set(IN_TURN)

    def left_out(self, library: Library) -> dict[str, str]:
        """What a library is not asked, of what it would have been, and why."""
        asked = {*self.dtypes, *(entry.name for entry in matching(self.losses))}
        return {what: why for what, why in library.refuses.items() if what in asked}

    def place(self) -> None:
        """Have the libraries compute where they should.

        Raises
        ------
        MissingLibrary
            If one has no such device.
        """
        for library in map(LIBRARIES.__getitem__, self.libraries):
            if library.devices:
                library.choose(self.device)

    def dtypes_of(self, case: Case) -> tuple[str, ...]:
        """What to compare a case in."""
        if self.every_dtype:
            return self.dtypes
        turn = crc32(f"{case.entry.name} {case.name}".encode())
        return (self.dtypes[turn % len(self.dtypes)],)

    def parts(self) -> list[tuple[Entry, str]]:
        """Losses in each of their modes, those of one mode together: JAX compiles by shape."""
        parts = [(entry, mode) for entry in matching(self.losses) for mode in entry.modes]
        return sorted(parts, key=lambda part: part[1], reverse=True)

    def cases(self, entry: Entry, mode: str) -> list[Case]:
        """Cases of a loss in a mode."""
        cases = [case for case in cases_of(entry) if case.name.startswith(f"{mode}:")]
        exactly = [case for case in cases if case.name == self.case]
        return exactly or [case for case in cases if self.case in case.name]

    def size(self) -> int:
        """How many cases there are in all."""
        return sum(len(self.cases(*part)) for part in self.parts())


def examine(case: Case, request: Request, truths: Truths) -> Iterator[Result]:
    """Compare one case on every library in every dtype; the libraries are active."""
    name = case.entry.name
    for dtype in request.dtypes_of(case):
        try:
            exact = truths.of(case, dtype)
        except Exception as error:  # a loss may fail in any way; the run goes on
            fault = f"with 50 digits it raised {type(error).__name__}: {error}"
            yield Result(name, case.name, "mparray", dtype, fault=fault)
            continue
        if not exact.tape_confirmed:
            fault = "the tape's gradient is not the central difference, with 50 digits"
            yield Result(name, case.name, "mparray", dtype, fault=fault)
        for library in map(LIBRARIES.__getitem__, request.libraries):
            if dtype not in library.refuses and name not in library.refuses:
                yield judged(compare(case, exact, library, dtype), library.expected)


def run(request: Request, jobs: int, advance: Advance) -> list[Result]:
    """Make every comparison of a request.

    Parameters
    ----------
    request : Request
        What to compare.
    jobs : int
        How many processes share the work; 1 stays in this one.
    advance : callable
        Told how many cases were done, as they are.
    """
    results: list[Result] = []
    parts = request.parts()
    if jobs == 1 or len(parts) < 3:  # starting processes would take longer
        for entry, mode in parts:
            results += examine_part(request, entry, mode, advance)
        return results
    # Started afresh: JAX and CUDA do not survive a fork.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _alone_on_a_core) as pool:
        work = partial(_part_by_name, request)
        waiting = {pool.submit(work, entry.name, mode): (entry, mode) for entry, mode in parts}
        for done in as_completed(waiting):
            results += done.result()
            advance(len(request.cases(*waiting[done])))
    return results


def unfit(request: Request, results: list[Result]) -> list[str]:
    """Say which expected failures nothing fits; nothing of a run that leaves things out."""
    if not request.whole:
        return []
    return [
        f"{library.title} {complaint}"
        for library in map(LIBRARIES.__getitem__, request.libraries)
        for complaint in needless([r for r in results if r.library == library.name], library.expected)
    ]


def processes() -> int:
    """How many processes are worth starting: one for each core this one may use, at most four."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, 4)


def examine_part(request: Request, entry: Entry, mode: str, advance: Advance) -> list[Result]:
    """Compare the cases of one loss in one mode."""
    results: list[Result] = []
    truths = Truths(f"{entry.name}-{mode}", kept=entry.function.__module__.startswith("agnoloss."))
    with ExitStack() as stack:
        for name in request.libraries:
            stack.enter_context(LIBRARIES[name].active())
        for case in request.cases(entry, mode):
            results += examine(case, request, truths)
            advance(1)
    truths.keep()
    return results


def _part_by_name(request: Request, name: str, mode: str) -> list[Result]:
    request.place()
    (entry,) = matching(name)
    return examine_part(request, entry, mode, _stop_if_orphaned)


def _stop_if_orphaned(count: int) -> None:
    """End a worker whose run was killed: it would go on with what it was given."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


def _alone_on_a_core() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
