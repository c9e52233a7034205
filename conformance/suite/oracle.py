"""The 50-digit value of a case, and its gradient by central differences.

The same loss runs on mparray. Its value is what a formula gives without rounding; that the formula is
the right one is for `references` to say. The gradient is the tape's, at 50 digits, and is taken at its
word only after a central difference along a random direction confirmed it to 15 digits: a wrong partial
derivative cannot hide from a random direction. Where it does not (a fault of the tape or of a rule) the
central differences along every coordinate are the gradient, and every library is judged by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import agnoloss

from .cases import Case
from .differentiation import cotangent, one_number
from .libraries import LIBRARIES

STEP = -20
"""Power of ten of the step: the difference is off by its square, 1e-40, and rounding by 1e-60 / 1e-20."""

CONFIRMED = -15
"""Power of ten, relative to the gradient's size, to which the difference must confirm the tape.

Not 25: Python numbers in a rule, as the 0.3 - 1 of a derivative of x**0.3, have float64's digits.
"""

ROUNDING = -38
"""Power of ten of what the difference itself may be off, for values around 1."""


@dataclass(frozen=True)
class Exact:
    """Numbers with twice the digits of float64: the nearest float64 and what it leaves."""

    high: np.ndarray
    low: np.ndarray

    @classmethod
    def of(cls, array: Any) -> Exact:
        """Split an mparray."""
        numbers = np.asarray(array._data, dtype=object)
        high = numbers.astype(np.float64)
        rest = [x - y for x, y in zip(numbers.reshape(-1), high.reshape(-1).tolist(), strict=True)]
        return cls(high, np.asarray([float(x) for x in rest]).reshape(high.shape))

    def error(self, values: np.ndarray) -> np.ndarray:
        """Absolute errors of values that were computed with fewer digits."""
        return np.abs((values.astype(np.float64) - self.high) - self.low)

    @property
    def size(self) -> float:
        """Largest magnitude."""
        return float(np.max(np.abs(self.high), initial=0.0))


@dataclass(frozen=True)
class Truth:
    """What a case should give: its value, and the gradient of `one_number` of it."""

    value: Exact
    gradient: Exact
    tape_confirmed: bool


def truth(case: Case) -> Truth:
    """Compute a case with 50 digits."""
    library, function = LIBRARIES["mparray"], case.entry.function
    with library.active() as mp:
        predictions, targets = library.array(case.predictions), library.array(case.targets)
        options = library.options(case.options)
        step = mp.mp.mpf(10) ** STEP

        def both_sides(direction: np.ndarray) -> tuple[Any, Any]:
            change = library.array(direction) * step
            before, after = (
                function(moved, targets, **options) for moved in (predictions - change, predictions + change)
            )
            return (before + after) / 2, (after - before) / (2 * step)

        direction = np.random.default_rng(0).uniform(-1, 1, case.predictions.shape)
        value, slope = both_sides(direction)
        weights = library.array(cotangent(tuple(value.shape)))
        try:
            gradient = agnoloss.grad(one_number(function, weights))(predictions, targets, **options)
            along = mp.sum(gradient * library.array(direction))
            ten = mp.mp.mpf(10)
            allowed = ten**CONFIRMED * mp.max(mp.abs(gradient)) + ten**ROUNDING
            confirmed = bool(mp.abs(mp.sum(slope * weights) - along) <= allowed)
        except Exception:  # whatever it is, the libraries that use the tape report it
            confirmed = False
        if not confirmed:
            units = np.eye(case.predictions.size).reshape(-1, *case.predictions.shape)
            slopes = [mp.sum(both_sides(unit)[1] * weights) for unit in units]
            gradient = mp.reshape(mp.stack(slopes), predictions.shape)
        return Truth(Exact.of(value), Exact.of(gradient), confirmed)
