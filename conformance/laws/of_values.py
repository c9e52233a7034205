"""Laws about classes and values: their order and coding, where the minimum is, what a weight does."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..suite.agreement import tolerance
from ..suite.cases import Case
from ..suite.libraries import Library
from ..suite.registry import TWO_SIDED, Entry
from .law import Law, Outcome, changed, evaluate, unlike, value_of

MANY = ("multiclass", "multilabel")
HUGE = 1e4
ORDER = (1, 2, 0)
PER_CLASS = ("class_weights", "pos_weight", "alpha", "beta", "cost_matrix")
"""Options with one number for each class, or for each pair of classes."""


def dense(case: Case) -> np.ndarray:
    """Targets (N, C, *S), or (N, *S) in binary mode."""
    if case.targets.shape == case.predictions.shape:
        return case.targets
    return np.moveaxis(np.eye(case.predictions.shape[1], dtype=np.int64)[case.targets], -1, 1)


def axis(case: Case, library: Library) -> str:
    """Move the class axis of predictions and dense targets to each place."""
    first, plain = evaluate(case, library), case.targets.shape != case.predictions.shape
    for place in (0, 2, -1):
        predictions, targets = (np.moveaxis(x, 1, place) for x in (case.predictions, dense(case)))
        moved = changed(case, predictions, case.targets if plain else targets, axis=place)
        found = evaluate(moved, library)
        complaint = unlike(Outcome(found.value, np.moveaxis(found.gradient, place, 1)), first, case)
        if complaint:
            return f"axis={place}: {complaint}"
    return ""


def one_hot(case: Case, library: Library) -> str:
    """Give labels as integers and floats of a one-hot array."""
    labels = evaluate(case, library)
    for dtype in ("int64", "float64"):
        complaint = unlike(evaluate(changed(case, targets=dense(case).astype(dtype)), library), labels, case)
        if complaint:
            return f"one-hot {dtype}: {complaint}"
    return ""


def permutation(case: Case, library: Library) -> str:
    """Renumber the classes, with whatever there is one of for each class."""
    order = np.asarray(ORDER)
    if case.targets.shape == case.predictions.shape:
        targets = case.targets[:, order]
    else:
        targets = np.argsort(order)[case.targets]
    options = {key: _reordered(case.options[key], order) for key in PER_CLASS if key in case.options}
    other = evaluate(changed(case, case.predictions[:, order], targets, **options), library)
    same = Outcome(other.value, other.gradient[:, np.argsort(order)])
    return unlike(same, evaluate(case, library), case)


def _reordered(numbers: Any, order: np.ndarray) -> Any:
    array = np.asarray(numbers)
    for place in range(array.ndim):
        array = np.take(array, order, place)
    return array.tolist()


def minimum(case: Case, library: Library) -> str:
    """Compare a perfect prediction with others: random, opposite, nearly right, one pixel wrong."""
    sure = 64.0 * (2 * dense(case).astype(np.float64) - 1)
    one_wrong = np.array(sure)
    one_wrong[0, ..., 0] *= -1
    least = value_of(changed(case, sure), library)
    # Both round.
    room = 2 * tolerance("float64", case.predictions.size) * float(np.finfo("float64").eps)
    for what, other in {
        "a random prediction": case.predictions,
        "its opposite": -case.predictions,
        "a less sure one": sure / 32,
        "one with a wrong pixel": one_wrong,
    }.items():
        value = value_of(changed(case, other), library)
        # as `not <=`, so that NaN is caught
        if not least <= value + room * max(abs(float(value)), case.entry.unit):
            return f"a perfect prediction costs {least:.9g}, {what} {value:.9g}"
    return ""


def alpha(case: Case, library: Library) -> str:
    """Raise alpha where there are false positives only, and where there are misses only."""
    right = case.targets == 1
    costs = {}
    for what, predictions in {"fp": np.where(right, 1.0, 0.5), "fn": np.where(right, 0.5, 0.0)}.items():
        costs[what] = [value_of(changed(case, predictions, alpha=a), library) for a in (0.25, 0.75)]
    low, high = costs["fp"]
    if not high > low:
        return f"false positives cost {low:.9g} at alpha=0.25 and {high:.9g} at alpha=0.75"
    low, high = costs["fn"]
    room = 2 * tolerance("float64", case.predictions.size) * float(np.finfo("float64").eps)
    if not abs(high - low) <= room * max(abs(float(low)), case.entry.unit):
        return f"misses cost {low:.9g} at alpha=0.25 and {high:.9g} at alpha=0.75"
    return ""


def in_both(entry: Entry) -> bool:
    """Whether a loss has the modes that the law of two classes compares."""
    return {"binary", "multiclass"} <= set(entry.modes)


def two_classes(case: Case, library: Library) -> str:
    """Give scores z as (0, z), probabilities p as (1 - p, p), and ask for class 1 where there is a choice."""
    if "pos_weight" in case.options:
        return ""  # it is in no divisor, where each weight of two classes is
    scores, y, own = (
        case.options.get("from_logits", True),
        case.targets,
        inspect.signature(case.entry.function),
    )
    options: dict[str, Any] = {"mode": "multiclass"} | (
        {"classes": (1,)} if case.entry.takes("classes") else {}
    )
    if "alpha" in case.options and "PerClass" in str(own.parameters["alpha"].annotation):
        alpha = float(np.reshape(case.options["alpha"], ()))
        options["alpha"] = [1 - alpha, alpha]
    first = np.zeros_like(case.predictions) if scores else 1 - case.predictions
    predictions = np.stack([first, case.predictions], axis=1)
    targets = y if y.dtype.kind in "iub" else np.stack([1 - y, y], axis=1)
    softmax = evaluate(changed(case, predictions, targets, **options), library)
    gradient = softmax.gradient[:, 1] - (0.0 if scores else softmax.gradient[:, 0])
    return unlike(evaluate(case, library), Outcome(softmax.value, gradient), case)


def factor_of_zero(case: Case, library: Library) -> str:
    """Rule out the label of a pixel whose class has the weight 0; let its score be far away instead."""
    weights, binary = [0.0, *case.options["class_weights"][1:]], case.options["mode"] == "binary"
    here = case.targets == 0 if binary else dense(case)[:, 0] == 1
    here &= np.cumsum(here).reshape(here.shape) == 1
    ruled_out, far = (np.array(case.predictions) for _ in range(2))
    for scores, size in ((ruled_out, np.inf), (far, HUGE)):
        (scores if binary else scores[:, 0])[here] = size if binary else -size
    found = evaluate(changed(case, ruled_out, class_weights=weights), library)
    return unlike(found, evaluate(changed(case, far, class_weights=weights), library), case)


LAWS = (
    Law("axis", "`axis` is permuted predictions", axis, modes=MANY, needs=("axis",)),
    Law("one-hot", "dense one-hot targets are labels", one_hot, modes=("multiclass",)),
    Law(
        "permutation",
        "permuting classes with their weights leaves the value",
        permutation,
        settings=({}, {"class_weights": "per class"}),
        modes=MANY,
    ),
    Law("minimum", "a perfect prediction is the minimum", minimum, own_options=True),
    Law(
        "two classes",
        "binary is two-class softmax of the scores (0, z), of which class 1 is asked for",
        two_classes,
        settings=(
            {},
            {"targets": "soft"},
            {"from_logits": False},
            {"class_weights": "per class"},
            {"class_weights": "balanced"},
            {"class_weights": "balanced", "targets": "soft", "pixel_weights": "some zero"},
            {"class_weights": "per class", "targets": "soft", "from_logits": False},
            {"class_weights": "balanced", "ignore_index": 255, "pixel_weights": "positive"},
        ),
        modes=("binary",),
        concerns=in_both,
        own_options=True,
    ),
    Law(
        "two classes of pixels",
        "binary is two-class softmax of the scores (0, z), pixel for pixel",
        two_classes,
        settings=tuple(
            {"class_weights": "per class", "targets": targets, "reduction": reduction}
            for targets in ("dense", "soft")
            for reduction in ("sum", "none")
        ),
        modes=("binary",),
        concerns=lambda entry: in_both(entry) and not entry.takes("classes"),
    ),
    Law(
        "alpha",
        "raising alpha raises the cost of false positives, and of nothing else",
        alpha,
        settings=({"from_logits": False},),
        modes=TWO_SIDED,
        needs=("alpha",),
        concerns=lambda entry: entry.takes("alpha") and entry.takes("beta"),
    ),
    Law(
        "factor of zero",
        "a term with the factor 0 is left out, infinite or not",
        factor_of_zero,
        settings=({"class_weights": "per class"},),
        needs=("class_weights",),
    ),
)
