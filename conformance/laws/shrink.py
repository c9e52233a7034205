"""The smallest input on which a loss still breaks a law, found by hypothesis."""

from __future__ import annotations

import time
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np

from ..suite.cases import Case
from ..suite.libraries import Library
from .law import Law, changed

LARGEST = 256
"""Arrays with more elements are only cut: one choice for each is as much as hypothesis can draw."""

TRIES = 300


def smallest(law: Law, library: Library, case: Case, complaint: str, seconds: float) -> tuple[Case, str]:
    """Find a smaller case with a complaint of the same kind.

    Parameters
    ----------
    law : Law
        What is broken.
    library : Library
        An active library.
    case : Case
        The case that breaks it.
    complaint : str
        How it does.
    seconds : float
        How long to look.

    Returns
    -------
    tuple of Case and str
        The smallest found, which may be the given one, and its complaint.
    """
    from hypothesis import HealthCheck, Phase, errors, find, settings

    best, until = (case, complaint), time.monotonic() + seconds

    def breaks(tried: Case) -> bool:
        nonlocal best
        if time.monotonic() > until:
            return False
        found = law.broken(tried, library)
        if not found or _kind(found) != _kind(complaint):
            return False
        if _size(tried) <= _size(best[0]):
            best = (tried, found)
        return True

    quick = settings(
        max_examples=TRIES,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    for _ in range(2):  # what was cut may be small enough for its numbers to be simplified
        # It raises where there is nothing smaller, or no time left: what was found until then is the answer.
        with suppress(errors.HypothesisException):
            find(_near(best[0]), breaks, settings=quick, random=Random(0))
    return best


def _kind(complaint: str) -> str:
    """What is raised, if anything is: a smaller input must fail alike, not anyhow."""
    return complaint.partition(":")[0] if complaint.startswith("raised ") else ""


def _size(case: Case) -> tuple[int, int, int]:
    arrays = case.predictions, case.targets
    digits = sum(len(repr(x)) for array in arrays for x in array.reshape(-1)[:1000].tolist())
    return case.predictions.size, sum(int(np.count_nonzero(x)) for x in arrays), digits


def _near(case: Case) -> Any:
    """Strategy for cases with fewer indices along an axis and simpler numbers.

    As many things are drawn for every case: then hypothesis can leave out one index or one number.
    """
    from hypothesis import strategies as st

    shared = _shared_axes(case.predictions.shape, case.targets.shape)

    def as_many(count: int, what: Any) -> Any:
        return st.lists(what, min_size=count, max_size=count)

    @st.composite
    def cases(draw: Any) -> Case:
        simpler = (np.zeros_like, np.ones_like, np.rint), (np.zeros_like,)
        arrays = [
            _simplified(array, functions, draw(as_many(array.size, st.integers(0, 2 * len(functions)))))
            if array.size <= LARGEST
            else array
            for array, functions in zip((case.predictions, case.targets), simpler, strict=True)
        ]
        for axes in shared:
            kept = draw(as_many(case.predictions.shape[axes[0]], st.booleans()))
            indices = np.flatnonzero(kept) if any(kept) else [0]
            arrays = [np.take(array, indices, axis) for array, axis in zip(arrays, axes, strict=True)]
        return changed(case, *arrays)

    return cases()


def _simplified(array: np.ndarray, functions: tuple[Any, ...], drawn: list[int]) -> np.ndarray:
    """Apply to each element the function that was drawn for it, or leave it alone."""
    choices = [function(array).astype(array.dtype) for function in functions] + [array]
    return np.choose(np.minimum(np.reshape(drawn, array.shape), len(functions)), choices)


def _shared_axes(predictions: tuple[int, ...], targets: tuple[int, ...]) -> list[tuple[int, int]]:
    """Pairs of axes that are the same, if targets are dense or lack the class axis alone."""
    if predictions == targets:
        return [(axis, axis) for axis in range(len(predictions))]
    for missing in (1, len(predictions) - 1, 0):
        kept = [axis for axis in range(len(predictions)) if axis != missing]
        if [predictions[axis] for axis in kept] == list(targets):
            return [(axis, other) for other, axis in enumerate(kept)]
    return []
