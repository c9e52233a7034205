"""``python -m conformance mutate``: which broken formulas do the tests let pass?"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatchcase
from pathlib import Path
from queue import SimpleQueue

import tomllib

from .mutants import Mutant, mutants

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "agnoloss"
SURVIVORS = Path(__file__).with_name("survivors.toml")

FILES = (
    *("losses/*.py", "pixels.py", "counts.py", "reductions.py", "elementary.py", "block.py", "blocks.py"),
    *("maps.py", "metrics.py", "tape*.py"),
)

REFERENCES = "conformance/test_references.py::test_value_is_the_reference"
TESTS = {
    "losses/*.py": (REFERENCES, "conformance/test_gradient_calls.py"),
    "tape*.py": ("backends_tests/numpy/test_tape_rules.py", "backends_tests/numpy/test_tape.py"),
    "maps.py": ("conformance/test_maps.py",),
    "metrics.py": ("conformance/test_counts.py", "conformance/test_inputs.py", "agnoloss/metrics.py"),
    "counts.py": (REFERENCES, "conformance/test_counts.py"),
    "pixels.py": (REFERENCES, "conformance/test_inputs.py", "conformance/test_input_values.py"),
    "*": (REFERENCES, "conformance/test_input_values.py", "backends_tests/numpy/test_tape.py"),
}
"""Tests for the files of a pattern, those that fail soonest first; the first pattern that fits counts."""

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
        Seconds for the tests of one; what takes longer is caught (a loop that never ends).
    advance : callable
        Called after each.

    Raises
    ------
    RuntimeError
        If the tests fail on the files as they are.
    """
    with tempfile.TemporaryDirectory(prefix="agnoloss-mutants-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for i in range(jobs):
            copies.put(_copy(Path(folder) / str(i)))

        def unbroken(file: str) -> str:
            copy = copies.get()
            try:
                return complaint(copy, file, timeout)
            finally:
                copies.put(copy)

        def survives(mutant: Mutant) -> bool:
            copy = copies.get()
            file = copy / "agnoloss" / mutant.file
            whole = file.read_text(encoding="utf-8")
            try:
                file.write_text(mutant.source(whole), encoding="utf-8")
                return not complaint(copy, mutant.file, timeout)
            finally:
                file.write_text(whole, encoding="utf-8")
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            files = sorted({mutant.file for mutant in found})
            for file, said in zip(files, pool.map(unbroken, files), strict=True):
                if said:
                    raise RuntimeError(f"The tests of {file} fail as it is:\n{said[-3000:]}")
            tried = {pool.submit(survives, mutant): mutant for mutant in found}
            for future in as_completed(tried):
                advance()
                if future.result():
                    yield tried[future]


def complaint(checkout: Path, file: str, timeout: float) -> str:
    """What the tests of a file say in a checkout; nothing if they pass."""
    tests = next(tests for pattern, tests in TESTS.items() if fnmatchcase(file, pattern))
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--backend=numpy"]
    if "agnoloss/metrics.py" in tests:
        command.append("--doctest-modules")
    if file.startswith("losses/"):
        names = re.findall(
            r"^def (\w+_loss)", (checkout / "agnoloss" / file).read_text(encoding="utf-8"), re.M
        )
        command += ["-k", " or ".join(names)] if names else []
    elif file.startswith("tape"):
        command += ["-k", "not strict and not float32"]
    try:
        run = subprocess.run(
            [*command, *tests], cwd=checkout, timeout=timeout, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return f"no end after {timeout:g} s"
    return run.stdout + run.stderr if run.returncode else ""


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


def _copy(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(CHECKOUT / name, folder / name)
    return folder
