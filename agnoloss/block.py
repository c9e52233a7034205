"""A block of pixels: probabilities, targets and weights, each computed at most once."""

from __future__ import annotations

import math
from collections.abc import Callable

from . import checks
from .backends.base import Array
from .once import once
from .setting import Setting, Side

LOWEST_PROBABILITY = 1e-7
"""Least argument of a logarithm where probabilities are given: Keras's epsilon, float32's reach."""


class Block:
    """Some pixels of the input, (n, C, p), with everything that is the same in every loss.

    In multiclass mode arrays per pixel are ``(n, p)``; in binary and multilabel mode each element
    ``(n, C, p)`` is a problem of its own and weights are ``(n, 1, p)`` or ``(n, C, p)``.

    Parameters
    ----------
    setting : Setting
        What it shares with the other blocks of the input.
    predictions : array, (n, C, p)
        Raw scores or probabilities, of any floating dtype.
    targets : array, (n, p) or (n, C, p)
        Labels or dense targets.
    pixel_weights : array, (n, p), or None
        Weights as the user gave them.
    """

    def __init__(
        self, setting: Setting, predictions: Array, targets: Array, pixel_weights: Array | None
    ) -> None:
        self.setting = setting
        self.backend, self.xp = setting.backend, setting.backend.xp
        self.num_classes, self.dtype = setting.num_classes, setting.dtype
        self.multiclass = setting.mode == "multiclass"
        self.from_logits = setting.from_logits
        self.predictions, self.raw, self.pixel_weights = predictions, targets, pixel_weights

    # --- which pixels count, and how much ---------------------------------------------------

    @once
    def _raw_targets(self) -> Array:
        """Targets as given, integers wide enough to be compared with every label."""
        if self.backend.kind(self.raw) == "floating":
            return self.xp.astype(self.raw, self.dtype)
        return self.backend.labels(self.raw)

    @once
    def valid(self) -> Array | None:
        """Where a pixel or element counts; None if all do."""
        xp = self.xp
        valid = None
        for label in self.setting.ignored:
            here = ~self.backend.is_label(self._raw_targets, label)
            valid = here if valid is None else valid & here
        if valid is not None and not self.multiclass and not self.setting.dense:
            valid = xp.expand_dims(valid, axis=1)
        if self.pixel_weights is not None:
            # bool weights have no zero to compare with: they say themselves where a pixel counts
            given = self._per_element(xp.astype(self.pixel_weights, self.dtype) != 0)
            valid = given if valid is None else valid & given
        return valid

    @once
    def weights(self) -> Array | None:
        """Weight of each pixel or element, exactly 0 where it does not count; None if all are 1."""
        if self.pixel_weights is None:
            return None if self.valid is None else self.backend.ones_where(self.valid, self.dtype)
        weights = self._per_element(self.xp.astype(self.pixel_weights, self.dtype))
        return self.backend.masked(weights, self.valid)

    def _per_element(self, per_pixel: Array) -> Array:
        return per_pixel if self.multiclass else self.xp.expand_dims(per_pixel, axis=1)

    def weighted(self, values: Array) -> Array:
        """Values per pixel or element times their weights."""
        return values if self.weights is None else values * self.weights

    def total(self, values: Array) -> Array:
        """Weighted sum in each image, (n,), of values (n, p) or (n, C, p)."""
        values = self.weighted(values)
        return self.xp.sum(values, axis=tuple(range(1, values.ndim)))

    def total_weight(self, shape: tuple[int, ...], like: Array) -> Array:
        """`total` of values of a shape that are all 1; another total tells what kind of array it is."""
        if self.weights is None:
            return self.xp.zeros_like(like) + math.prod(shape[1:])  # sizes stay symbolic in torch.export
        weights = self.xp.broadcast_to(self.weights, shape)
        return self.xp.sum(weights, axis=tuple(range(1, len(shape))))

    def class_axis(self, per_pixel: Array) -> Array:
        """Give an array per pixel a class axis of length 1, so that it broadcasts to (n, C, p)."""
        return self.xp.expand_dims(per_pixel, axis=1) if self.multiclass else per_pixel

    @once
    def class_weights(self) -> Array | None:
        """Weights of the classes as (1, C, 1), or None."""
        weights = self.setting.class_weights
        return None if weights is None else self.column(weights)

    def column(self, per_class: Array) -> Array:
        """An array (C,) as (1, C, 1)."""
        return self.xp.reshape(per_class, (1, -1, 1))

    def per_channel(self, value: Array) -> Array:
        """A number, or an array () or (C,), so that it broadcasts to (n, C, p)."""
        return value if isinstance(value, float) else self.column(value)

    def per_element(self, loss: Array) -> tuple[Array, Array | None]:
        """Weigh a loss (n, C, p) of binary or multilabel mode by class: the loss and its share."""
        weights = self.class_weights
        if weights is None:
            return loss, None
        return loss * weights, self.xp.broadcast_to(weights, loss.shape)

    # --- targets ----------------------------------------------------------------------------

    @once
    def counted(self) -> Array | None:
        """`valid` in the shape of the targets as given."""
        if self.valid is None or self.multiclass == (not self.setting.dense):
            return self.valid
        if self.multiclass:
            return self.xp.expand_dims(self.valid, axis=1)
        return self.valid if self.setting.dense else self.xp.squeeze(self.valid, axis=1)

    def counted_targets(self, fill: int) -> Array:
        """Targets as given, with a harmless value where they do not count."""
        if self.counted is None:
            return self._raw_targets
        return self.xp.where(self.counted, self._raw_targets, fill)

    def outside(self, low: int, high: int) -> Array:
        """Where a target that counts is out of range."""
        outside = (self._raw_targets < low) | (self._raw_targets > high)
        return outside if self.counted is None else outside & self.counted

    @once
    def labels(self) -> Array | None:
        """Class of each pixel (n, p), in range everywhere; None where targets are dense."""
        if self.setting.dense:
            return None
        return self.backend.in_range(self._raw_targets, self.num_classes)

    @once
    def targets(self) -> Array:
        """Dense targets (n, C, p), in range everywhere."""
        if self.labels is not None:
            return self.xp.astype(self.is_class, self.dtype)
        if self.hard and 1 not in self.setting.ignored:
            return self.backend.ones_where(self.backend.is_label(self._raw_targets, 1), self.dtype)
        return self.xp.astype(self.counted_targets(fill=0), self.dtype)

    @once
    def is_class(self) -> Array:
        """Which class a pixel has, (n, C, p): its label, or the targets above one half."""
        return self.targets > 0.5 if self.labels is None else self._one_hot(self.labels)

    def _one_hot(self, labels: Array) -> Array:
        classes = self.xp.reshape(self.backend.arange(self.num_classes, labels), (1, -1, 1))
        return self.xp.expand_dims(labels, axis=1) == classes

    @once
    def target_counts(self) -> Array:
        """Weight of each class in the targets, T_c = sum_i u_i y_ic: (n, C)."""
        if self.multiclass and self.labels is not None:
            ones = self._ones if self.weights is None else self.weights
            return self.backend.class_sums(ones, self.labels, self.num_classes)
        return self.sum_pixels(self.targets)

    @once
    def _ones(self) -> Array:
        """1 for each pixel (n, p) whose target is a label."""
        return self.xp.ones_like(self.raw, dtype=self.dtype)

    # --- predictions ------------------------------------------------------------------------

    @once
    def wide(self) -> Array:
        """Predictions in float32 or wider, once: gradients by two casts would add up in half precision."""
        return self.backend.widened(self)

    @once
    def scores(self) -> Array:
        """Raw scores or probabilities (n, C, p) in float32 or wider, harmless where ignored."""
        scores = self.wide
        if self.valid is None:
            return scores
        if self.from_logits:
            return self.backend.masked(scores, self.class_axis(self.valid))
        return self.xp.where(self.class_axis(self.valid), scores, 0.5)

    @once
    def probs(self) -> Array:
        """Probabilities (n, C, p)."""
        if self.from_logits:
            hook = self.backend.softmax if self.multiclass else self.backend.sigmoid
            return hook(self.scores)
        xp, given = self.xp, self.scores
        wrong = given < -checks.PROBABILITY_SLACK
        if not self.multiclass:
            wrong = wrong | (given > 1 + checks.PROBABILITY_SLACK)
        given = xp.where(wrong, math.nan, given)
        if not self.multiclass:
            return given
        total = xp.sum(given, axis=1, keepdims=True)
        return given / xp.where(total == 0, math.nan, total)

    @once
    def complements(self) -> Array:
        """1 - p, (n, C, p)."""
        if self.from_logits and not self.multiclass:
            return self.backend.sigmoid_complement(self.scores)
        return 1.0 - self.probs

    @once
    def log_probs(self) -> Array:
        """log p, (n, C, p)."""
        if not self.from_logits:
            return self._log(self.probs)
        hook = self.backend.log_softmax if self.multiclass else self.backend.log_sigmoid
        return hook(self.scores)

    @once
    def normaliser(self) -> tuple[Array, Array]:
        """Largest score and log of the sum of exponentials above it, (n, p) each; multiclass scores."""
        return self.backend.normaliser(self)

    @once
    def log_complements(self) -> Array:
        """log(1 - p), (n, C, p)."""
        if not self.from_logits:
            return self._log(self.complements)
        if not self.multiclass:
            return self.backend.log_sigmoid(-self.scores)
        # Of the likeliest class by the sum of the others: 1 - p has lost its digits there.
        xp, log_p = self.xp, self.log_probs
        here = self.predicts
        others = xp.where(here, -math.inf, log_p)
        top = self.backend.stop_gradient(xp.max(others, axis=1, keepdims=True))
        alone = top == -math.inf  # no other class has a probability: 0 is not divided by 0 on the way back
        total = xp.sum(xp.exp(others - xp.where(alone, 0.0, top)), axis=1, keepdims=True)
        rest = top + xp.log(xp.where(alone, 1.0, total))
        return xp.where(here, rest, xp.log1p(-xp.exp(xp.where(here, -1.0, log_p))))

    @once
    def likeliest(self) -> Array:
        """Predicted class of each pixel (n, p), multiclass; no gradient flows through it."""
        return self.backend.labels(self.xp.argmax(self.scores, axis=1))

    @once
    def predicts(self) -> Array:
        """Whether it is the predicted class, (n, C, p), multiclass."""
        return self._one_hot(self.likeliest)

    def _log(self, probs: Array) -> Array:
        """Logarithm of at least 1e-7, with gradient 0 where the argument was raised."""
        raised = probs < LOWEST_PROBABILITY
        return self.xp.log(self.xp.where(raised, LOWEST_PROBABILITY, probs))

    # --- sums -------------------------------------------------------------------------------

    @once
    def shared_log_probs(self) -> Array:
        """log p where a class has a share in the targets, else 0: 0 log 0 is 0, and so is its gradient."""
        return self.xp.where(self.targets == 0, 0.0, self.log_probs)

    def over_targets(self, function: Callable[[Side], Array], *factors: Array | None) -> Array:
        """sum_c y_c f_c w_c f(log p_c, 1 - p_c) for each pixel (n, p), multiclass.

        Where targets are labels the function is evaluated at the pixel's class alone.

        Parameters
        ----------
        function : callable
            f of a `Side`.
        factors : arrays, (C,) or (n, C, p), or None
            One number for each class, or each class of each pixel; None for 1.
        """
        if self.setting.dense:
            values = function(Side(lambda: self.shared_log_probs, lambda: self.complements)) * self.targets
        else:
            values = function(Side(lambda: self.target_log_probs, lambda: self.target_complements))
        return self._scaled(values, factors)

    def target_share(self, *factors: Array | None) -> Array | None:
        """sum_c y_c f_c w_c for each pixel (n, p), multiclass; None if it is 1 for every label."""
        return self._scaled(self.targets if self.setting.dense else None, factors)

    def _scaled(self, values: Array | None, factors: tuple[Array | None, ...]) -> Array:
        for factor in factors:
            if factor is None:
                continue
            if self.setting.dense:
                factor = self.column(factor) if factor.ndim == 1 else factor
            else:
                pick = self.backend.lookup if factor.ndim == 1 else self.backend.gather
                factor = pick(factor, self.labels)
            values = factor if values is None else values * factor
        return self.xp.sum(values, axis=1) if self.setting.dense else values

    def over_sides(
        self,
        function: Callable[[Side], Array],
        positive: Array = 1.0,
        negative: Array = 1.0,
        smoothing: float = 0.0,
    ) -> Array:
        """a y f(log p, 1 - p) + b (1 - y) f(log(1 - p), p) for each element, binary and multilabel.

        Where targets are integers the function is evaluated at the side that is true alone.

        Parameters
        ----------
        function : callable
            f of a `Side`.
        positive, negative : number or array, () or (C,)
            a and b.
        smoothing : float
            e, which turns y into y (1 - e) + e / 2.
        """
        positive, negative = self.per_channel(positive), self.per_channel(negative)
        if self.hard and not smoothing:
            values = function(Side(lambda: self.target_log_probs, lambda: self.target_complements))
            if isinstance(positive, float) and positive == negative:
                return values if positive == 1 else values * positive
            y = self.targets
            return (positive * y + negative * (1 - y)) * values
        y = self.targets * (1 - smoothing) + smoothing / 2 if smoothing else self.targets
        true = function(Side(lambda: self.log_probs, lambda: self.complements))
        false = function(Side(lambda: self.log_complements, lambda: self.probs))
        return positive * y * true + negative * (1 - y) * false

    @once
    def signs(self) -> Array:
        """1 where an element's target is above one half, -1 elsewhere; binary and multilabel."""
        return 2 * (self.targets if self.hard else self.xp.astype(self.is_class, self.dtype)) - 1

    @once
    def margins(self) -> Array:
        """How far scores lie on the side that is true, z (2 y - 1), binary and multilabel."""
        return self.scores * self.signs

    @once
    def hard(self) -> bool:
        """Whether targets are integers, so that each is one class or one side."""
        return self.backend.kind(self.raw) != "floating"

    @once
    def target_log_probs(self) -> Array:
        """log p of what is true: of each pixel's label (n, p); of each element's side (n, C, p)."""
        if not self.multiclass and self.from_logits:
            return self.backend.log_sigmoid(self.margins)
        if self.multiclass and self.from_logits:
            return self.backend.label_log_probs(self)
        return self._log(self.target_probs)

    @once
    def target_probs(self) -> Array:
        """p of what is true."""
        if self.from_logits:
            return self.xp.exp(self.target_log_probs)
        if self.multiclass:
            return self.backend.gather(self.probs, self.labels)
        return self.xp.where(self.is_class, self.probs, self.complements)

    @once
    def target_complements(self) -> Array:
        """1 - p of what is true."""
        if self.from_logits and not self.multiclass:
            return self.backend.sigmoid_complement(self.margins)
        return 1.0 - self.target_probs

    @once
    def prob_sums(self) -> Array:
        """Weighted sums of probabilities, P_c = sum_i u_i p_ic: (n, C)."""
        if self.setting.closed_form:
            return self.backend.prob_sums(self)
        return self.sum_pixels(self.probs)

    def sum_pixels(self, values: Array) -> Array:
        """Weighted sum over the pixels of each image: (n, C, p) to (n, C)."""
        if self.weights is not None:
            values = values * self.class_axis(self.weights)
        return self.xp.sum(values, axis=2)

    def sizes(self) -> Array:
        """Weight of all that counts, sum_i u_i: (n, C)."""
        nothing = self.xp.zeros_like(self.target_counts)
        if self.multiclass and self.labels is not None:  # what counts is of one class each
            return nothing + self.xp.sum(self.target_counts, axis=1, keepdims=True)
        if self.weights is None:
            return nothing + self.predictions.shape[2]
        return nothing + self.xp.sum(self.class_axis(self.weights), axis=2)

    def sum_labels(self, values: Array) -> Array:
        """Weighted sum of values per pixel (n, p) for each label: (n, C)."""
        return self.backend.class_sums(self.weighted(values), self.labels, self.num_classes)
