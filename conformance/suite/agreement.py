"""One case on one library against the oracle: first what kind of array comes back, then how far it is off."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import PROGRAM
from .cases import Case
from .differentiation import gradients
from .floats import HALVES, limits
from .library import Library
from .oracle import Exact, Truth


def tolerance(dtype: str, terms: int, stored: str = "") -> float:
    """How many ulp a result may be off: the one tolerance of the suite.

    An ulp is ``eps(dtype) * scale``. For a gradient the scale is its largest magnitude; for a value it
    is its own (largest) magnitude, or `Entry.unit` if that is larger, because one minus a score of
    nearly 1 carries the rounding of the score.

    Parameters
    ----------
    dtype : str
        What was computed with.
    terms : int
        How many numbers were added up: rounding grows with the square root of their number.
    stored : str
        What the result was rounded to in the end, and in whose ulp the tolerance is, if not `dtype`.
    """
    # A chain of exp, log and quotients, each off by an ulp or less; float32's exp and log are off by
    # two on accelerators. With 36 terms that allows 21 and 28; gradients need up to 15, values 5.
    chain = 3.0 if dtype == "float64" else 4.0
    allowed = chain * (1 + math.sqrt(terms))
    if stored and stored != dtype:
        return 0.5 + allowed * float(limits(dtype).eps) / float(limits(stored).eps)
    return allowed


@dataclass(frozen=True)
class Result:
    """How far one case is off on one library.

    Attributes
    ----------
    loss, case, library, dtype : str
        What was compared.
    value, gradient : float
        Errors in ulp, see `tolerance`; infinite where there was nothing to compare.
    allowed, allowed_gradient : float
        The tolerances.
    fault : str
        What was wrong before errors could be measured, or empty. The value's error is there
        nevertheless if only the gradient could not be had.
    call : str
        Which call gave the gradient, of several the worst, see `differentiation`.
    device : str
        Where the library was asked to compute, or empty.
    expected : str
        Why it is no surprise that it disagrees, see `expected`, or empty.
    """

    loss: str
    case: str
    library: str
    dtype: str
    value: float = math.inf
    gradient: float = math.inf
    allowed: float = 1.0
    allowed_gradient: float = 1.0
    fault: str = ""
    call: str = ""
    device: str = ""
    expected: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the library gives the exact result up to rounding."""
        return not self.fault and self.worst <= 1.0

    @property
    def wrong(self) -> bool:
        """Whether it disagrees and nobody expected it."""
        return not self.agrees and not self.expected

    @property
    def worst(self) -> float:
        """The larger error, as a part of what is allowed."""
        if self.fault or math.isnan(self.value) or math.isnan(self.gradient):
            return math.inf
        return max(self.value / self.allowed, self.gradient / self.allowed_gradient)

    @property
    def repeat(self) -> str:
        """Command that repeats this one comparison."""
        words = ["python", "-m", PROGRAM, "--loss", self.loss, "--backend", self.library]
        words += ["--device", self.device] if self.device else []
        return shlex.join([*words, "--dtype", self.dtype, "--case", self.case])

    def __str__(self) -> str:
        if self.fault:
            error = self.fault
        else:
            error = f"value off by {self.value:.2g} ulp ({self.allowed:.2g} allowed), gradient by "
            error += f"{self.gradient:.2g} ({self.allowed_gradient:.2g})"
            error += f" by {self.call}" if self.call else ""
        return f"{self.loss} on {self.library}, {self.dtype}; {self.case}: {error}"


def compare(case: Case, exact: Truth, library: Library, dtype: str) -> Result:
    """Run a case on a library in a dtype and measure how far value and gradient are off.

    Parameters
    ----------
    case : Case
        As `cases` makes it, in float64.
    exact : Truth
        The truth of ``case.rounded(dtype)``.
    library : Library
        An active library.
    dtype : str
        Of the predictions; float16 and bfloat16 are computed in float32.
    """
    names = (case.entry.name, case.name, library.name, dtype)
    case = case.rounded(dtype)
    computed = "float32" if dtype in HALVES else dtype
    terms = max(case.predictions.size, 1)
    measured: dict[str, Any] = {"device": library.chosen}
    try:
        predictions, targets = library.array(case.predictions), library.array(case.targets)
        options = library.options(case.options)
        value = case.entry.function(predictions, targets, **options)
        fault = _fault(library, "the value", value, predictions, computed, exact.value.high.shape)
        if fault:
            return Result(*names, fault=fault, **measured)
        measured["value"] = _ulp(exact.value, library.numpy(value), computed, case.entry.unit)
        measured["allowed"] = tolerance(computed, terms)
        errors = {}
        for call, number, gradient in gradients(
            case.entry.function, library, predictions, targets, options, value
        ):
            fault = _fault(library, f"the value of {call}", number, predictions, computed, ()) or _fault(
                library, f"the gradient of {call}", gradient, predictions, dtype, case.predictions.shape
            )
            if fault:
                return Result(*names, fault=fault, **measured)
            if tuple(value.shape) == ():  # with an array of values, the number is only a sum of them
                error = _ulp(exact.value, library.numpy(number), computed, case.entry.unit)
                measured["value"] = max(measured["value"], error)
            errors[call] = _ulp(exact.gradient, library.numpy(gradient), dtype, 0.0)
    except Exception as error:
        return Result(*names, fault=f"raised {type(error).__name__}: {error}", **measured)
    call = max(errors, key=errors.__getitem__)
    return Result(
        *names,
        gradient=errors[call],
        allowed_gradient=tolerance(computed, terms, stored=dtype) * case.entry.amplifies,
        call=call,
        **measured,
    )


def _fault(library: Library, what: str, array: Any, like: Any, dtype: str, shape: tuple[int, ...]) -> str:
    """Say what is wrong with a result before its numbers are looked at."""
    if not library.owns(array):
        return f"{what} is a {type(array).__module__}.{type(array).__name__}"
    if library.device(array) != library.device(like):
        return f"{what} lies on {library.device(array)} instead of {library.device(like)}"
    if library.dtype(array) != dtype:
        return f"{what} is {library.dtype(array)} instead of {dtype}"
    if tuple(array.shape) != shape:
        return f"{what} has shape {tuple(array.shape)} instead of {shape}"
    return ""


def _ulp(exact: Exact, values: np.ndarray, dtype: str, unit: float) -> float:
    """Largest error in units in the last place; NaN counts as infinitely wrong."""
    info = limits(dtype)
    # Below the smallest normal number the last place stays where it is.
    scale = float(info.eps) * max(exact.size, unit, float(info.tiny))
    worst = float(np.max(exact.error(values), initial=0.0))
    return math.inf if math.isnan(worst) else worst / scale
