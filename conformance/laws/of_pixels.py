"""Laws about pixels: which of them count, how much, and where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..suite.cases import Case
from ..suite.differentiation import cotangent
from ..suite.libraries import Library
from .law import Law, Outcome, changed, evaluate, unlike, value_of

IGNORED = 255


def ignored_at(case: Case, where: Any) -> Case:
    """The case with the pixels at an index of the last axes ignored."""
    targets = np.array(case.targets)
    targets[where] = IGNORED
    return changed(case, targets=targets, ignore_index=IGNORED)


def ignoring(case: Case, library: Library) -> str:
    """Ignore a column of each image, with other scores in it; delete it."""
    gone = [1]
    kept = np.delete(np.arange(case.predictions.shape[-1]), gone)
    other = np.array(case.predictions)
    other[..., gone] *= -3
    deleted = evaluate(changed(case, case.predictions[..., kept], case.targets[..., kept]), library)
    gradient = np.zeros_like(other)
    gradient[..., kept] = deleted.gradient
    ignored = evaluate(ignored_at(changed(case, other), (..., gone)), library)
    return unlike(ignored, Outcome(deleted.value, gradient), case)


def zero_weight(case: Case, library: Library) -> str:
    """Give a weight of 0 to the first column; ignore it."""
    weights = np.array(case.options["pixel_weights"])
    weights[..., 0] = 0
    zero = evaluate(changed(case, pixel_weights=weights), library)
    return unlike(zero, evaluate(ignored_at(case, (..., 0)), library), case)


def _unweighted(case: Case) -> Case:
    options = {key: value for key, value in case.options.items() if not key.endswith("_weights")}
    return changed(Case(case.name, case.entry, case.predictions, case.targets, options, case.exact))


def unit_pixel_weights(case: Case, library: Library) -> str:
    """Weigh every pixel with 1."""
    ones = np.ones_like(case.options["pixel_weights"])
    plain = _unweighted(case)
    return unlike(evaluate(changed(plain, pixel_weights=ones), library), evaluate(plain, library), case)


def unit_class_weights(case: Case, library: Library) -> str:
    """Weigh every class with 1."""
    ones, plain = [1.0] * len(case.options["class_weights"]), _unweighted(case)
    return unlike(evaluate(changed(plain, class_weights=ones), library), evaluate(plain, library), case)


def doubling_pixel_weights(case: Case, library: Library) -> str:
    """Double the weights of all pixels."""
    doubled = changed(case, pixel_weights=2 * case.options["pixel_weights"])
    return unlike(evaluate(doubled, library), evaluate(case, library), case)


def doubling_class_weights(case: Case, library: Library) -> str:
    """Double the weights of all classes."""
    doubled = changed(case, class_weights=[2 * weight for weight in case.options["class_weights"]])
    return unlike(evaluate(doubled, library), evaluate(case, library), case)


def by_image(case: Case, library: Library) -> str:
    """Give the images one after the other."""
    whole, alone = evaluate(changed(case, reduction="per_image"), library), []
    for n in range(len(case.predictions)):
        own = {key: x[n : n + 1] for key, x in case.options.items() if key == "pixel_weights"}
        alone.append(
            evaluate(changed(case, case.predictions[n : n + 1], case.targets[n : n + 1], **own), library)
        )
    shares = cotangent((len(alone),))  # of which the gradient of the whole is that of a sum
    gradient = np.concatenate([share * image.gradient for share, image in zip(shares, alone, strict=True)])
    return unlike(whole, Outcome(np.stack([image.value for image in alone]), gradient), case)


def splitting(case: Case, library: Library) -> str:
    """Split images, then pixels, in two; each half learns the other's sums through `all_reduce`."""
    whole = evaluate(case, library)
    for axis in (0, -1):
        halves = [
            changed(case, *(np.take(x, half, axis) for x in (case.predictions, case.targets)))
            for half in ([0], range(1, case.targets.shape[axis]))
        ]
        others = _sums_of_the_others(halves, library)
        found = [
            evaluate(changed(half, all_reduce=_Adding(other)), library)
            for half, other in zip(halves, others, strict=True)
        ]
        gradient = np.concatenate([half.gradient for half in found], axis=axis)
        for half in found:
            complaint = unlike(Outcome(half.value, gradient), whole, case)
            if complaint:
                return f"split along axis {axis}: {complaint}"
    return ""


class _Adding:
    """An `all_reduce` that adds, call by call, what another process has; it notes its own."""

    def __init__(self, others: list[Any]) -> None:
        self.others = others
        self.own: list[Any] = []

    def __call__(self, part: Any) -> Any:
        calls = len(self.own)
        self.own.append(part)
        # a second evaluation, for the gradient, starts over
        return part + self.others[calls % len(self.others)] if self.others else part


class _Replacing(_Adding):
    """An `all_reduce` that gives the known totals, and what is not known yet as it is."""

    def __call__(self, part: Any) -> Any:
        calls = len(self.own)
        self.own.append(part)
        return self.others[calls] if calls < len(self.others) else part


def _sums_of_the_others(halves: list[Case], library: Library) -> list[list[Any]]:
    """Every sum of the second half, and of the first; a sum may depend on the totals before it."""
    totals: list[Any] = []
    sums: list[list[Any]] = [[], []]
    while True:
        known = [_Replacing(totals) for _ in halves]
        for half, reduce in zip(halves, known, strict=True):
            value_of(changed(half, all_reduce=reduce), library)
        if len(known[0].own) <= len(totals):
            return sums[::-1]
        for part, reduce in zip(sums, known, strict=True):
            part.append(reduce.own[len(totals)])
        totals.append(sums[0][-1] + sums[1][-1])


def nan(case: Case, library: Library) -> str:
    """Put a NaN into the first and into the last pixel; then into one that is ignored."""
    for where in (0, -1):
        spoilt = np.array(case.predictions)
        spoilt.reshape(-1)[where] = np.nan
        with np.errstate(invalid="ignore"):  # a warning would be welcome as well
            value = value_of(changed(case, spoilt), library)
        if not np.isnan(value):
            return f"the value is {value:.9g} with a NaN at flat index {where % spoilt.size}"
    clean = ignored_at(case, (..., 0))
    spoilt = np.array(case.predictions)
    spoilt[..., 0] = np.nan
    found = evaluate(changed(clean, spoilt), library)
    complaint = unlike(found, evaluate(clean, library), case)
    return f"with NaN in ignored pixels {complaint}" if complaint else ""


def empty_channel(case: Case, library: Library) -> str:
    """Ignore all of a channel; take it away."""
    kept = [c for c in range(case.predictions.shape[1]) if c != 1]
    options = {}
    if "class_weights" in case.options:
        options["class_weights"] = [case.options["class_weights"][c] for c in kept]
    ignored = evaluate(ignored_at(case, (slice(None), 1)), library)
    without = changed(case, case.predictions[:, kept], case.targets[:, kept], **options)
    without = evaluate(without, library)
    gradient = np.zeros_like(case.predictions)
    gradient[:, kept] = without.gradient
    return unlike(ignored, Outcome(without.value, gradient), case)


WEIGHED = {"pixel_weights": "positive"}
BY_CLASS = {"class_weights": "per class"}
OF_PIXELS = ("ignore_index", "pixel_weights")

LAWS = (
    Law(
        "ignoring",
        "ignoring pixels is deleting them",
        ignoring,
        settings=({}, {"class_weights": "balanced"}),
        needs=("ignore_index",),
    ),
    Law("zero weight", "a weight of 0 is ignoring", zero_weight, settings=(WEIGHED,), needs=OF_PIXELS),
    Law(
        "unit pixel weights",
        "pixel weights of 1 are no weights",
        unit_pixel_weights,
        settings=(WEIGHED,),
        needs=("pixel_weights",),
    ),
    Law(
        "unit class weights",
        "class weights of 1 are no weights",
        unit_class_weights,
        settings=(BY_CLASS,),
        needs=("class_weights",),
    ),
    Law(
        "doubling",
        "doubling all pixel weights changes no mean",
        doubling_pixel_weights,
        settings=(WEIGHED,),
        needs=("pixel_weights",),
    ),
    Law(
        "doubling unsmoothed",
        "doubling all pixel weights changes no mean at smooth=0",
        doubling_pixel_weights,
        settings=(WEIGHED | {"smooth": 0.0},),
        needs=("pixel_weights",),
        concerns=lambda entry: entry.takes("smooth"),
    ),
    Law(
        "doubling class weights",
        "doubling all class weights changes no mean",
        doubling_class_weights,
        settings=(BY_CLASS,),
        needs=("class_weights",),
    ),
    Law(
        "splitting",
        "adding the sums of parts of the pixels or of the batch gives the whole",
        splitting,
        settings=({}, {"class_weights": "balanced"}),
        needs=("all_reduce",),
    ),
    Law(
        "empty channel",
        "a channel with nothing valid is as if it were not there",
        empty_channel,
        settings=({}, BY_CLASS, {"per_image": True}),
        modes=("multilabel",),
        needs=("ignore_index",),
    ),
    Law(
        "per image",
        'reduction="per_image" is the loss of each image alone',
        by_image,
        settings=({}, {"class_weights": "balanced"}, WEIGHED, {"per_image": True, **WEIGHED}),
        needs=("reduction",),
        own_options=True,
    ),
    Law("nan", "NaN in, NaN out, except in ignored pixels", nan, needs=("ignore_index",)),
)
