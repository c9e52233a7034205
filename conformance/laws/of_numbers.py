"""Laws about numbers: how exact values and gradients are, in which precision, and where."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np

import agnoloss
from agnoloss.compat import array_namespace

from ..suite.agreement import compare, tolerance
from ..suite.cases import Case
from ..suite.differentiation import cotangent, gradients
from ..suite.libraries import LIBRARIES, Library
from ..suite.oracle import Exact, Truth, truth
from .law import Law, apart, by_call, changed, evaluate, value_of
from .of_values import dense

STEP = 1e-5
"""Of central differences; extrapolated, they are off by its fourth power, which is nothing."""

HUGE = 1e4
"""Scores so large that every exponential of their differences overflows or vanishes."""

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def takes_scores(case: Case) -> bool:
    """Whether predictions may be any number: as its options say, or else as they are themselves."""
    given = case.options.get("from_logits")
    return bool(np.any(np.abs(case.predictions - 0.5) > 0.5)) if given is None else given


# --- precision --------------------------------------------------------------------------------


class Agreement:
    """Compare with 50-digit arithmetic, kind and device of the results included.

    Attributes
    ----------
    without_digits : dict
        Why the truth of a case is NumPy's float64: what was raised with 50 digits.
    """

    def __init__(self) -> None:
        self.without_digits: dict[str, str] = {}
        self._known: dict[tuple[Any, ...], Truth] = {}

    def __call__(self, case: Case, library: Library) -> str:
        """As a law's check."""
        for dtype in ("float64", "float32"):
            result = compare(case, self.truth(case.rounded(dtype)), library, dtype)
            # two results, both rounded, where the truth has float64's digits
            if not result.worst <= (2 if case.name in self.without_digits else 1):
                return f"in {dtype}, {str(result).partition(f'{case.name}: ')[2]}"
        return ""

    def truth(self, case: Case) -> Truth:
        """Truth of a case, computed once."""
        arrays = case.predictions, case.targets
        content = (array.tobytes() for array in arrays)
        key = (case.entry.name, case.name, case.predictions.shape, case.predictions.dtype.name, *content)
        if key not in self._known:
            try:
                self._known[key] = truth(case)
            except Exception as error:  # reported by whoever reads `without_digits`
                self.without_digits[case.name] = f"{type(error).__name__}: {error}"
                wide = evaluate(case.rounded("float64"), LIBRARIES["numpy"])
                self._known[key] = Truth(_exactly(wide.value), _exactly(wide.gradient), False)
        return self._known[key]


def _exactly(array: np.ndarray) -> Exact:
    return Exact(array, np.zeros_like(array))


def half(case: Case, library: Library) -> str:
    """Round predictions to each half precision there is; then widen them to float32."""
    for dtype in ("float16", "bfloat16"):
        predictions = library.array(case.rounded("float32").predictions)
        xp = array_namespace(predictions)
        if dtype in library.refuses or not hasattr(xp, dtype):
            continue
        narrow = xp.astype(predictions, getattr(xp, dtype))
        wide = xp.astype(narrow, xp.float32)
        case32 = changed(case.rounded("float32"), library.numpy(wide))
        value, *found = _in_half(case32, narrow, library)
        expected = evaluate(case32, library)
        # The value tells what was computed in: this library's losses use float32, others may use half.
        computed = EPS[value[1]]
        complaint = _half_apart("value", value, computed, expected.value, case)
        for gradient in found:
            complaint = complaint or _half_apart("gradient", gradient, computed, expected.gradient, case)
        if complaint:
            return f"in {dtype} {complaint}"
    return ""


def _in_half(case: Case, predictions: Any, library: Library) -> list[tuple[np.ndarray, str]]:
    """Value, and gradient by every call there is for it, each with the name of its dtype."""
    targets, options = library.array(case.targets), library.options(case.options)
    value = case.entry.function(predictions, targets, **options)
    calls = gradients(case.entry.function, library, predictions, targets, options, value)
    xp = array_namespace(value)
    found = [value, *(gradient for _, _, gradient in calls)]
    return [(library.numpy(xp.astype(x, xp.float32)), library.dtype(x)) for x in found]


def _half_apart(
    what: str, found: tuple[np.ndarray, str], computed: float, wide: np.ndarray, case: Case
) -> str:
    numbers, dtype = found
    stored = EPS[dtype]
    scale = max(float(np.max(np.abs(wide), initial=0.0)), case.entry.unit if what == "value" else 0.0)
    scale = max(scale, 2.0**-14 if dtype == "float16" else 2.0**-126)  # below, the last place stays
    rounding = 2 * tolerance("float32", max(case.predictions.size, 1)) * computed
    allowed = scale * (rounding + (0.5 * stored if stored > computed else 0.0))
    error = float(np.max(np.abs(numbers.astype(np.float64) - wide), initial=0.0))
    if error <= allowed:
        return ""
    return f"the {what} is {error:.3g} from that of the float32 input ({allowed:.3g} allowed)"


def extremes(case: Case, library: Library) -> str:
    """Replace scores by 1e4 with their signs; probabilities have no extremes."""
    if not takes_scores(case):
        return ""
    for dtype in ("float64", "float32", "float16"):
        if dtype in library.refuses:
            continue
        huge = changed(case, np.sign(case.predictions) * HUGE).rounded(dtype)
        found = evaluate(huge, library)
        if found.value.dtype == np.float16:
            continue  # computed in float16, which ends at 65504: this library's losses never are
        for what, numbers in (("value", found.value), ("gradient", found.gradient)):
            if not np.all(np.isfinite(numbers)):
                return f"the {what} is not finite at scores of {HUGE:.0e} in {dtype}"
    return ""


# --- late in training -------------------------------------------------------------------------

MARGINS = (6, 8, 12)
"""By how much the true score of each pixel is above the others, or from 0."""

ULP_OF_VALUE, ULP_OF_ENTRY = 4, 8

EXACT = Agreement()


def confident(case: Case, library: Library) -> str:
    """Raise the true score of every pixel by a margin; each number then is to be exact relative to itself.

    ``log(sum(exp(z)))`` minus the true score keeps three digits of a loss of 1e-3, and fewer of its gradient
    ``p - 1``.
    """
    for margin in MARGINS:
        sure = changed(case, _sure(case, margin), **case.entry.confident).rounded("float32")
        exact = EXACT.truth(sure)
        value, found = by_call(sure, library)
        measured = [("value of the loss", value, exact.value, ULP_OF_VALUE)]
        for call, outcome in found.items():
            measured.append((f"value of {call}", outcome.value, exact.value, ULP_OF_VALUE))
            measured.append((f"gradient of {call}", outcome.gradient, exact.gradient, ULP_OF_ENTRY))
        for what, numbers, true, allowed in measured:
            error = _relative_ulp(numbers, true)
            if not error <= allowed:
                return f"at a margin of {margin} the {what} is off by {error:.3g} ulp ({allowed} allowed)"
    return ""


def _sure(case: Case, margin: float) -> np.ndarray:
    """Normal scores of which the true ones are right by a margin.

    In steps of 2^-16, so that float32 subtracts them without rounding: half a step of float32 at 12 is four
    ulp of its exponential, whatever the formula.
    """
    rng = np.random.default_rng(crc32(f"{case.name} {margin}".encode()))
    scores = np.round(rng.normal(size=case.predictions.shape) * 2**16) / 2**16
    true = dense(case) == 1
    if case.options["mode"] != "multiclass":
        return np.where(true, 1, -1) * (margin + scores / 4)
    others = np.max(np.where(true, -np.inf, scores), axis=1, keepdims=True)
    return np.where(true, others + margin, scores)


def _relative_ulp(numbers: np.ndarray, exact: Exact) -> float:
    """Largest error of an entry in float32's ulp of that entry; below the normal numbers there is none."""
    size = np.abs(exact.high)
    normal = size >= np.finfo(np.float32).tiny
    errors = exact.error(numbers)[normal] / (EPS["float32"] * size[normal])
    return float(np.max(errors, initial=0.0))


# --- gradients --------------------------------------------------------------------------------


def gradient(case: Case, library: Library) -> str:
    """Central differences in float64 along three random directions, extrapolated to no step."""
    found = evaluate(case, library)
    weights = cotangent(found.value.shape)
    rng = np.random.default_rng(1)
    for _ in range(3):
        direction = rng.uniform(-1, 1, case.predictions.shape)

        def slope(step: float, direction: np.ndarray = direction) -> float:
            sides = [changed(case, case.predictions + sign * step * direction) for sign in (1, -1)]
            up, down = (float(np.sum(value_of(side, library) * weights)) for side in sides)
            return (up - down) / (2 * step)

        expected = (4 * slope(STEP) - slope(2 * STEP)) / 3
        along = float(np.sum(found.gradient * direction))
        size = max(float(np.sum(np.abs(found.value) * weights)), case.entry.unit)
        rounding = tolerance("float64", max(case.predictions.size, 1)) * float(np.finfo("float64").eps)
        # The values' rounding, divided by the step; the extrapolation makes it 3/2 as large.
        allowed = rounding * (1.5 * size / STEP + float(np.sum(np.abs(found.gradient))))
        if not abs(along - expected) <= allowed:
            return (
                f"along a direction the gradient is {along:.9g} and the central difference "
                f"{expected:.9g} ({allowed:.2g} allowed between them)"
            )
    return ""


def gradient_of_weights(case: Case, library: Library) -> str:
    """Central differences of NumPy's values along the pixel weights, by three random directions."""
    weights, rng = case.options["pixel_weights"], np.random.default_rng(2)

    def value(weights: np.ndarray) -> float:
        return float(value_of(changed(case, pixel_weights=weights), LIBRARIES["numpy"]))

    def slope(step: float, direction: np.ndarray) -> float:
        return (value(weights + step * direction) - value(weights - step * direction)) / (2 * step)

    for direction in rng.uniform(-1, 1, (3, *weights.shape)):
        expected = (4 * slope(STEP, direction) - slope(2 * STEP, direction)) / 3
        complaint = _along("pixel_weights", case, library, direction, expected, abs(value(weights)))
        if complaint:
            return complaint
    return ""


def gradient_of_targets(case: Case, library: Library) -> str:
    """Differences of NumPy's values from dense targets, 0 and 1 as they are, to the side that is allowed."""
    hard = dense(case).astype(np.float64)
    share = 1 / hard.shape[1] if case.options["mode"] == "multiclass" else 0.5
    rng = np.random.default_rng(3)
    case = changed(case, targets=hard)
    for _ in range(3):  # towards equal shares, each pixel by an amount of its own, so that sums stay 1
        amounts = rng.uniform(0.25, 1, hard.shape)
        amounts = amounts[:, :1] if case.options["mode"] == "multiclass" else amounts
        direction = amounts * (share - hard)
        values = [
            float(value_of(changed(case, targets=hard + i * STEP * direction), LIBRARIES["numpy"]))
            for i in range(4)
        ]
        expected = float(np.dot([-11, 18, -9, 2], values)) / (6 * STEP)
        complaint = _along("targets", case, library, direction, expected, 6 * abs(values[0]))
        if complaint:
            return complaint
    return ""


def _along(
    name: str, case: Case, library: Library, direction: np.ndarray, expected: float, size: float
) -> str:
    """Compare the gradient by an argument, by every call for it, with a difference of values of a size."""
    given = {"targets": library.array(case.targets)} | library.options(case.options)
    predictions, argument = library.array(case.predictions), given[name]

    def loss(argument: Any) -> Any:
        options = given | {name: argument}
        return case.entry.function(predictions, options.pop("targets"), **options)

    found = {"grad": agnoloss.grad(loss)(argument)}
    if library.name == "torch":
        leaf = argument.detach().requires_grad_()
        value = loss(leaf)
        if value.requires_grad:  # of what was rounded to a class, or measured, there is nothing
            value.backward()
            found["backward"] = leaf.grad
    for call, gradient in found.items():
        along = float(np.sum(library.numpy(gradient) * direction))
        rounding = tolerance("float64", max(case.predictions.size, 1)) * float(np.finfo("float64").eps)
        allowed = rounding * (1.5 * max(size, case.entry.unit) / STEP + abs(expected))
        if not abs(along - expected) <= allowed:
            return (
                f"by {call}, along a direction of `{name}`, the gradient is {along:.9g} and the difference "
                f"of values {expected:.9g} ({allowed:.2g} allowed between them)"
            )
    return ""


def kinks(case: Case, library: Library) -> str:
    """Compare gradients with NumPy's where formulas have kinks: at 0, at the targets, saturated."""
    points = {}
    if takes_scores(case):
        points["predictions of 0"] = np.zeros_like(case.predictions)
        points["scores of 1e4"] = np.sign(case.predictions) * HUGE
    if case.targets.shape == case.predictions.shape:
        points["predictions equal to the targets"] = case.targets.astype(np.float64)
    for what, predictions in points.items():
        there = changed(case, predictions)
        with np.errstate(all="ignore"):  # a pole, such as log 0, is no kink
            expected = evaluate(there, LIBRARIES["numpy"])
        if np.all(np.isfinite(expected.gradient)):
            found = evaluate(there, library)
            complaint = apart("gradients", found.gradient, expected.gradient, case.predictions.size)
            if complaint:
                return f"at {what}, here and with NumPy, {complaint}"
    return ""


LAWS = (
    Law("agreement", "value and gradient are exact within rounding", Agreement()),
    Law("gradient", "the gradient is the central difference", gradient),
    Law(
        "kinks",
        "every library gives the same gradient at a kink",
        kinks,
        settings=({}, {"from_logits": False, "targets": "soft"}),
        libraries=("torch", "jax", "cupy", "strict"),
    ),
    Law(
        "half",
        "half precision is float32 of the same input, rounded",
        half,
        settings=({"precision": "full"},),
    ),
    Law("extremes", "value and gradient are finite at scores of 1e4", extremes, own_options=True),
)

OF_ARGUMENTS = (
    Law(
        "gradient of weights",
        "the gradient by pixel weights is the central difference",
        gradient_of_weights,
        settings=({"pixel_weights": "positive"},),
        needs=("pixel_weights",),
    ),
    Law(
        "gradient of targets",
        "the gradient by dense targets is the difference, also where they are 0 or 1",
        gradient_of_targets,
    ),
)

CONFIDENT = Law(
    "confident",
    "where all pixels are certain, each number of float32 is exact relative to itself",
    confident,
    concerns=lambda entry: entry.confident is not None,
)
