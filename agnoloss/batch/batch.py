"""Checked predictions and targets, brought to (N, C, P): what every statistic is made of."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

from ..array import Array
from ..backends import backend_of, resolve_backend
from . import checks, options, values
from .layout import Layout
from .lazy_property import lazy_property

MODES = ("multiclass", "multilabel", "binary")
REDUCTIONS = ("mean", "sum", "per_image", "none")


class Batch:
    """Checked predictions and targets, from arguments as the losses take them.

    In multiclass mode arrays per pixel are ``(N, P)``; in binary and multilabel mode each element
    ``(N, C, P)`` is a problem of its own and weights are ``(N, 1, P)`` or ``(N, C, P)``. `modes` are
    those in which the loss has a meaning; one that is `compound` has no values of pixels; `numbers` are
    options that may be arrays. Where `decided`, predictions may be integers, 1 where a class is predicted
    and 0 elsewhere. `by_image` says that each image is a batch of its own, in the reduction "per_image".

    `num_classes` is the length of the class axis, 1 in binary mode; `spatial` the shape of an image, S;
    `dtype` that of sums. `dense` says that targets have the shape of predictions, as always in binary
    mode. `predictions` (N, C, P) keep their dtype, `given_targets` are integers or of `dtype`, (N, P) or
    (N, C, P), `pixel_weights` have the shape of `weights`, `given_class_weights` are as given. `label_guard`
    () or (N,) is 1, or NaN if a target is out of range that could not be looked at; None if all were.
    """

    def __init__(
        self, predictions: Array, targets: Array, *, mode: str, from_logits: bool, axis: int,
        ignore_index: int | Sequence[int] | None, pixel_weights: Array | None,
        class_weights: Sequence[float] | Array | str | None, reduction: str,
        all_reduce: Callable[[Array], Array] | None = None, numbers: tuple[Any, ...] = (),
        modes: tuple[str, ...] = MODES, compound: bool = False, decided: bool = False,
    ) -> None:  # fmt: skip
        checks.choice("mode", mode, modes)
        checks.choice("reduction", reduction, REDUCTIONS[:3] if compound else REDUCTIONS)
        checks.flag("from_logits", from_logits)
        predictions, backend = resolve_backend(predictions, targets, pixel_weights, class_weights, *numbers)
        self.backend, self.xp = backend, backend.xp
        kind = backend.kind(predictions)
        self.decided = decided and kind == "integer"
        if kind not in ("floating", "half") and not self.decided:
            raise TypeError(f"`predictions` must be real floating; got {predictions.dtype}.")
        self.ignored = checks.labels_to_ignore(ignore_index)
        owner = backend_of(targets, "targets")
        if owner is backend:
            targets = backend.convert(targets, owner, "targets", predictions)
        self.layout = layout = Layout(predictions.shape, targets.shape, mode, axis)
        self.mode, self.multiclass, self.from_logits = mode, mode == "multiclass", from_logits
        self.reduction, self.all_reduce = reduction, all_reduce
        self.by_image = reduction == "per_image"
        if self.by_image:
            self.keep_sums('reduction="per_image"')
        self.spatial, self.num_classes, self.dense = layout.spatial, layout.num_classes, layout.dense
        self.dtype = self.xp.float32 if kind == "half" else predictions.dtype
        if self.decided:
            self.dtype = backend.constant(0.0, None, predictions).dtype
        self.integer_targets = values.check_kind(self, targets, owner) == "integer"
        self.one_is_true = self.integer_targets and 1 not in self.ignored
        outliers = owner.outliers(targets, 0, self.highest, self.ignored)
        if owner is not backend:
            targets = backend.convert(targets, owner, "targets", predictions)
        self.predictions = layout.flatten(self.xp, predictions)
        per_pixel = (self.predictions.shape[0], self.predictions.shape[2])
        flat = layout.flatten(self.xp, targets) if self.dense else self.xp.reshape(targets, per_pixel)
        self.given_targets = values.comparable(self, flat)
        self.looks: list[Array] = []
        self.pixel_weights = values.pixel_weights(self, pixel_weights)
        self.label_guard = values.label_guard(self, outliers)
        self.given_class_weights = class_weights

    @property
    def highest(self) -> int:
        """Largest target there can be."""
        return 1 if self.dense or self.mode == "binary" else self.num_classes - 1

    def keep_sums(self, option: str) -> None:
        """Refuse sums over devices where an option keeps those of each image (ValueError)."""
        if self.all_reduce is not None:
            raise ValueError(
                f"`all_reduce` adds sums over devices, but {option} keeps one for each image; average the "
                "losses of the devices instead."
            )

    def chunk(
        self, predictions: Array, targets: Array, pixel_weights: Array | None, class_weights: Array | None
    ) -> Batch:
        """The same batch with other pixels, on the backend that owns these."""
        other = copy.copy(self)
        other.backend = backend_of(predictions, "predictions")
        other.xp = other.backend.xp
        half = other.backend.kind(predictions) == "half"
        other.dtype = other.xp.float32 if half else predictions.dtype
        for name in LAZY:
            other.__dict__.pop(name, None)
        other.predictions, other.given_targets = predictions, targets
        other.pixel_weights, other.class_weights = pixel_weights, class_weights
        return other

    # --- which pixels count, and how much ---------------------------------------------------

    @lazy_property
    def valid(self) -> Array | None:
        """Where a pixel or element counts; None if all do."""
        xp, valid = self.xp, None
        for label in self.ignored:
            here = self.backend.differs(self.given_targets, label)
            valid = here if valid is None else valid & here
        if valid is not None and not self.multiclass and not self.dense:
            valid = xp.expand_dims(valid, axis=1)
        if self.pixel_weights is not None:
            given = xp.astype(self.pixel_weights, self.dtype) != 0  # bool ones have no zero to compare with
            valid = given if valid is None else valid & given
        return valid

    @lazy_property
    def weights(self) -> Array | None:
        """Weight of each pixel or element, exactly 0 where it does not count; None if all are 1."""
        if self.pixel_weights is None:
            return None if self.valid is None else self.xp.astype(self.valid, self.dtype)
        return self.xp.where(self.valid, self.xp.astype(self.pixel_weights, self.dtype), 0.0)

    @property
    def given_weights(self) -> Array | None:
        """`weights` where weights were given, which `valid` does not say all of."""
        return None if self.pixel_weights is None else self.weights

    @lazy_property
    def class_weights(self) -> Array | None:
        """Weights of the classes (C,), or (N, C) `by_image`; of 0 and 1 in binary mode; None if all are 1."""
        return options.class_weights(self, self.given_class_weights)

    def weighted(self, values: Array) -> Array:
        """Values per pixel or element times their weights."""
        return values if self.weights is None else values * self.weights

    def class_axis(self, per_pixel: Array) -> Array:
        """Give an array per pixel a class axis of length 1, so that it broadcasts to (N, C, P)."""
        return self.xp.expand_dims(per_pixel, axis=1) if self.multiclass else per_pixel

    def column(self, per_class: Array) -> Array:
        """An array (C,) as (1, C, 1), one (N, C) as (N, C, 1)."""
        if per_class.ndim == 2:
            return self.xp.expand_dims(per_class, axis=2)
        return self.xp.reshape(per_class, (1, -1, 1))

    # --- targets ----------------------------------------------------------------------------

    @lazy_property
    def counted(self) -> Array | None:
        """`valid` in the shape of the targets as given."""
        if self.valid is None or self.multiclass == (not self.dense):
            return self.valid
        if self.multiclass:
            return self.xp.expand_dims(self.valid, axis=1)
        return self.valid if self.dense else self.xp.any(self.valid, axis=1)

    @lazy_property
    def labels(self) -> Array | None:
        """Class of each pixel (N, P), in range everywhere; None where targets are dense."""
        return None if self.dense else self.backend.class_indices(self.given_targets, self.num_classes)

    @lazy_property
    def targets(self) -> Array:
        """Dense targets (N, C, P), in range everywhere."""
        if self.labels is not None or self.one_is_true:
            return self.xp.astype(self.one_hot, self.dtype)
        return self.xp.astype(values.counted_targets(self, fill=0), self.dtype)

    @lazy_property
    def one_hot(self) -> Array:
        """Which class a pixel has, (N, C, P): its label, or the targets above one half."""
        if self.labels is not None:
            return self.is_class(self.labels)
        return self.given_targets == 1 if self.one_is_true else self.targets > 0.5

    def is_class(self, labels: Array) -> Array:
        """Where each class is that of labels (N, P): (N, C, P)."""
        classes = self.xp.reshape(self.backend.arange(self.num_classes, labels), (1, -1, 1))
        return self.xp.expand_dims(labels, axis=1) == classes

    @lazy_property
    def target_sums(self) -> Array:
        """Weight of each class in the targets of each image, T_c = sum_i u_i y_ic: (N, C)."""
        if self.multiclass and self.labels is not None:
            u = self.weights
            if u is None:
                u = self.xp.zeros_like(self.labels, dtype=self.dtype) + 1.0
            return self.backend.class_sums(u, self.labels, self.num_classes)
        return self.sum_pixels(self.targets)

    @lazy_property
    def sizes(self) -> Array:
        """Weight of all that counts in each image, sum_i u_i: (N, C)."""
        nothing = self.xp.zeros_like(self.target_sums)
        if self.multiclass and self.labels is not None:  # what counts is of one class each
            return nothing + self.xp.sum(self.target_sums, axis=1, keepdims=True)
        if self.weights is None:
            return nothing + self.predictions.shape[2]
        return nothing + self.xp.sum(self.class_axis(self.weights), axis=2)

    # --- predictions ------------------------------------------------------------------------

    @lazy_property
    def float32_scores(self) -> Array:
        """Predictions in float32 or wider, once: gradients by two casts would add up in half precision."""
        given = self.predictions
        return given if given.dtype == self.dtype else self.xp.astype(given, self.dtype)

    @lazy_property
    def scores(self) -> Array:
        """Raw scores or probabilities (N, C, P) in float32 or wider, harmless where ignored."""
        if self.valid is None:
            return self.float32_scores
        harmless = 0.0 if self.from_logits else 0.5
        return self.xp.where(self.class_axis(self.valid), self.float32_scores, harmless)

    # --- sums and results -------------------------------------------------------------------

    def sum_pixels(self, values: Array) -> Array:
        """Weighted sum over the pixels of each image: (N, C, P) to (N, C)."""
        if self.weights is not None:
            values = values * self.class_axis(self.weights)
        return self.xp.sum(values, axis=2)

    def add_up(self, sums: Array, per_image: bool = False) -> Array:
        """Sums of all images, and devices, from those of each image; or these, NaN if labels are wrong."""
        sums = self.nan_if_invalid(sums)
        if per_image or self.by_image:
            return sums
        sums = self.xp.sum(sums, axis=0)
        return sums if self.all_reduce is None else self.all_reduce(sums)

    def nan_if_invalid(self, values: Array) -> Array:
        """Values, NaN if a label is out of range that could not be looked at; integers as they are."""
        guard = self.label_guard
        if guard is None or self.backend.kind(values) == "integer":
            return values
        if self.by_image:
            guard = self.xp.reshape(guard, (-1, *[1 for _ in values.shape[1:]]))
        return values * guard

    def unflatten(self, values: Array) -> Array:
        """Values per pixel (N, P) to (N, *S), per element (N, C, P) to the predictions' shape."""
        if self.mode == "binary":
            values = self.xp.squeeze(values, axis=1)
        return self.layout.unflatten(self.xp, values)

    def constant(self, values: Any) -> Array:
        """Python numbers as an array of the dtype and on the device that sums have."""
        return self.backend.constant(values, self.dtype, self.predictions)

    def number(
        self, name: str, value: Any, low: float = -math.inf, high: float = math.inf, above: bool = False
    ) -> Array:
        """A number of an option, see `options.number`."""
        return options.number(self.backend, self.dtype, name, value, low, high, above, self.predictions)

    per_class = options.per_class


LAZY = tuple(name for name, member in vars(Batch).items() if isinstance(member, lazy_property))
