"""``python -m conformance mutate``: which broken formulas do the tests let pass?"""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing
from fnmatch import fnmatchcase
from pathlib import Path
from queue import SimpleQueue

import tomllib

from .forks import Tester
from .mutants import Mutant, mutants

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "agnoloss"
SURVIVORS = Path(__file__).with_name("survivors.toml")

FILES = (
    *("losses/*.py", "statistics/*.py", "maps.py", "metrics.py", "autodiff/*.py"),
    *(f"batch/{name}.py" for name in ("batch", "values", "options", "checks", "layout")),
    *(f"backends/{name}.py" for name in ("closed_forms", "sorting", "kernels/numpy_*")),
)

BOTH = "--backend=numpy,strict"
REFERENCES, AGREEMENT = (f"conformance/tests/test_{name}.py" for name in ("references", "agreement"))
TAPE, RULES, NUMPY_CODE = (
    f"backends_tests/numpy/test_{name}.py" for name in ("tape", "tape_rules", "numpy_code")
)
PIECES, STRICT = "backends_tests/numpy/test_pieces.py", "backends_tests/strict/test_strict.py"
FIRST = {
    "maps.py": ("conformance/tests/test_maps.py",),
    "metrics.py": ("conformance/tests/test_counts.py",),
    "batch/*": (REFERENCES, "conformance/tests/test_inputs.py"),
    "backends/kernels/numpy_*": (REFERENCES, PIECES, STRICT, BOTH),
    "backends/*": (STRICT, AGREEMENT, "--backend=strict"),
    "*": (REFERENCES,),
}
"""Tests that find most of what is wrong in the files of a pattern; the first pattern that fits counts.

NumPy has rules of its own: the standard's are those of array-api-strict."""

SHORT = tuple(f"conformance/tests/test_{name}.py" for name in ("boundary_loss", "edges"))
"""Tests whose names do not say of which loss they are."""

REST = (
    *(f"conformance/tests/test_{name}.py" for name in ("references", "counts", "gradient_calls", "inputs")),
    *(f"conformance/tests/test_{name}.py" for name in ("input_values", "known_numbers", "maps", "laws")),
    *(f"conformance/tests/test_{name}.py" for name in ("peer_faults", "peer_formulas", "confident_pixels")),
    *("backends_tests/numpy/test_arrays.py", PIECES),
    *("agnoloss/gradients.py", "agnoloss/metrics.py", "agnoloss/losses"),
)
"""What a mutant must get past besides; of the package, the examples in docstrings."""

OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--backend=numpy", "--doctest-modules")
REMEMBERED = 6
"""How many tests that caught a mutant of a file are tried first on the next."""

COPIED = ("agnoloss", "conformance", "backends_tests", "conftest.py", "pyproject.toml", "README.md")


def chosen(patterns: tuple[str, ...], sample: int = 0) -> list[Mutant]:
    """Mutants of the files that fit the patterns, or a sample of them that is always the same.

    Raises
    ------
    ValueError
        If nothing fits a pattern.
    """
    known = {p.relative_to(PACKAGE).as_posix(): p for p in sorted(PACKAGE.rglob("*.py"))}
    known = {name: path for name, path in known.items() if _fits(name, FILES)}
    found = []
    for pattern in patterns or FILES:
        files = [name for name in known if fnmatchcase(name, pattern)]
        if not files:
            raise ValueError(f"No file of formulas fits {pattern!r}; they are {', '.join(known)}.")
        for name in files:
            found += mutants(name, known[name].read_text(encoding="utf-8"))
    found = list(dict.fromkeys(found))
    if 0 < sample < len(found):
        found = sorted(random.Random(1).sample(found, sample), key=lambda mutant: (mutant.file, mutant.line))
    return found


def survivors(
    found: list[Mutant], jobs: int, timeout: float, advance: Callable[[], None]
) -> Iterator[Mutant]:
    """Those of the mutants that their tests let pass, as they are found.

    Parameters
    ----------
    found : list of Mutant
        Which to try.
    jobs : int
        How many at a time, each in a copy of the checkout.
    timeout : float
        Seconds for a run of tests; what takes longer is caught (a loop that never ends).
    advance : callable
        Called after each.

    Raises
    ------
    RuntimeError
        If the tests fail on the files as they are.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="agnoloss-mutants-"))
        copies: SimpleQueue[Copy] = SimpleQueue()
        for i in range(jobs):
            copies.put(stack.enter_context(closing(Copy(Path(folder) / str(i)))))

        def complaint(mutant: Mutant, broken: bool) -> str:
            copy = copies.get()
            try:
                return copy.complaint(mutant, broken, timeout)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            unbroken = list({mutant.file: mutant for mutant in found}.values())
            for mutant, said in zip(
                unbroken, pool.map(lambda mutant: complaint(mutant, False), unbroken), strict=True
            ):
                if said:
                    raise RuntimeError(f"The tests of {mutant.file} fail as it is:\n{said[-3000:]}")
            tried = {pool.submit(complaint, mutant, True): mutant for mutant in found}
            for future in as_completed(tried):
                advance()
                if not future.result():
                    yield tried[future]


class Copy:
    """A copy of the checkout, with a process that runs its tests.

    Parameters
    ----------
    folder : path
        Where to make it.
    """

    def __init__(self, folder: Path) -> None:
        self.package = folder / "agnoloss"
        folder.mkdir()
        for name in COPIED:
            if (CHECKOUT / name).is_dir():
                shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(CHECKOUT / name, folder / name)
        self.tester = Tester(folder)
        self.caught: dict[str, list[str]] = {}  # for each file the tests that caught its mutants

    def complaint(self, mutant: Mutant, broken: bool, timeout: float) -> str:
        """What the tests of a mutant's file say to it, or to the file as it is; nothing if they pass."""
        file = self.package / mutant.file
        whole = file.read_text(encoding="utf-8")
        try:
            if broken:
                file.write_text(mutant.source(whole), encoding="utf-8")
            caught = self.caught.setdefault(mutant.file, [])
            again = [*caught, BOTH] if caught and broken else []
            for tests in (again, *runs(mutant, whole)):
                said = self.tester.complaint([*OPTIONS, *tests], timeout) if tests else ""
                if "ERROR: not found: " in said:  # which says nothing about the mutant
                    raise RuntimeError(f"pytest does not know a test:\n{said[-3000:]}")
                if said:
                    self._remember(said, caught)
                    return said
            return ""
        finally:
            file.write_text(whole, encoding="utf-8")

    def _remember(self, said: str, caught: list[str]) -> None:
        """Put the test that failed first, so that the next mutant of the file meets it at once."""
        for test in re.findall(r"^FAILED (\S+::[^\[\n]+?(?:\[.*\])?)(?: - .*)?$", said, re.M):
            caught[:] = [test, *(other for other in caught if other != test)][:REMEMBERED]

    def close(self) -> None:
        """End the process."""
        self.tester.close()


def runs(mutant: Mutant, source: str) -> Iterator[list[str]]:
    """Tests, as pytest's arguments, for each run of a mutant's tests; those that fail soonest first."""
    if mutant.file.startswith("autodiff/"):
        yield [NUMPY_CODE] if mutant.file.endswith("numpy_names.py") else [TAPE]
        yield [RULES, "-k", "not strict and not float32"]
        yield [RULES, "-k", "float32"]
        yield [TAPE, NUMPY_CODE, "conformance/tests/test_gradient_calls.py", REFERENCES]
        return
    first = next(tests for pattern, tests in FIRST.items() if fnmatchcase(mutant.file, pattern))
    if not mutant.file.startswith("losses/"):
        yield [*first]
        # array-api-strict lets nobody look at values, and has no engine of its own
        yield [*SHORT, *REST, BOTH]
        return
    functions = re.findall(r"^def (\w+_(?:loss|modulation))", source, re.M)
    yield [*first, "-k", mutant.place if mutant.place in functions else " or ".join(functions)]
    yield [*SHORT]
    yield [*REST, "-k", " or ".join(functions)]


def accepted() -> dict[str, str]:
    """Survivors that change nothing that could be seen: name and reason."""
    entries = tomllib.loads(SURVIVORS.read_text(encoding="utf-8")).get("survivor", [])
    return {entry["mutant"]: entry["reason"] for entry in entries}


def stale(known: dict[str, str], tried: list[Mutant], survived: list[Mutant]) -> list[str]:
    """Accepted survivors that are caught now, or whose formula is no longer there."""
    everything = {mutant.name for mutant in chosen(())}
    caught = {mutant.name for mutant in tried} - {mutant.name for mutant in survived}
    return [name for name in known if name not in everything or name in caught]


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
