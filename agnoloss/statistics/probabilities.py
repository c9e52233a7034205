"""Probabilities of a batch and their logarithms, each computed at most once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..array import Array
from ..batch import Batch
from ..batch.checks import PROBABILITY_SLACK
from ..batch.decisions import undecided
from ..batch.lazy_property import lazy_property
from .safe_math import scaled

LOWEST_PROBABILITY = 1e-7
"""Least argument of a logarithm where probabilities are given: Keras's epsilon, float32's reach."""


class Side:
    """One side of a decision: log p and 1 - p, each computed only if a loss asks for it."""

    def __init__(self, log_p: Callable[[], Array], complement: Callable[[], Array]) -> None:
        self._log_p, self._complement = log_p, complement

    log_p = property(lambda self: self._log_p())
    complement = property(lambda self: self._complement())


class Probabilities:
    """Probabilities of a batch.

    `together` is what will be asked of the rule besides, see `Backend.softmax_sums`: one pass gives it all.
    """

    def __init__(self, batch: Batch, *together: str) -> None:
        self.batch, self.backend, self.xp = batch, batch.backend, batch.xp
        self.of_labels = batch.multiclass and batch.from_logits and not batch.dense
        self._together, self._alone = together, False
        self._found: dict[str, Array] = {}

    def of_pixels(self, part: Batch, log_p: Array) -> Probabilities:
        """Of some pixels, log p of the label alone, which is to be differentiated."""
        chunk = Probabilities(part)
        chunk._found, chunk._alone = {"log_p": log_p}, True
        return chunk

    def of_rule(self, *names: str) -> tuple[Array, ...]:
        """Outputs of the softmax's rule, of scores whose targets are labels."""
        if not self._found.keys() >= set(names):
            assert not self._alone, "a chunk of pixels has no derivative but that of its label's log p"
            batch = self.batch
            wanted = tuple(dict.fromkeys((*names, *(() if self._found else self._together))))
            given = batch.float32_scores, batch.labels, batch.valid, batch.given_weights
            last = batch.layout.channels_last
            self._found |= self.backend.softmax_sums(*given, wanted, channels_last=last)[0]
        return tuple([self._found[name] for name in names])

    # --- of every class ---------------------------------------------------------------------

    @lazy_property
    def probs(self) -> Array:
        """Probabilities (N, C, P)."""
        batch, xp = self.batch, self.xp
        if batch.from_logits:
            return xp.exp(self.log_probs)
        given = batch.scores
        wrong = given < -PROBABILITY_SLACK
        if not batch.multiclass:
            wrong = wrong | (given > 1 + PROBABILITY_SLACK)
        given = xp.where(wrong, math.nan, given)
        if not batch.multiclass:
            return given
        total = xp.sum(given, axis=1, keepdims=True)
        return given / xp.where(total == 0, math.nan, total)

    @lazy_property
    def complements(self) -> Array:
        """1 - p, (N, C, P)."""
        if self.batch.from_logits and not self.batch.multiclass:
            return self.xp.exp(self.log_complements)
        return 1.0 - self.probs

    @lazy_property
    def log_probs(self) -> Array:
        """log p, (N, C, P)."""
        assert not self._alone, "a chunk of pixels has no derivative but that of its label's log p"
        if not self.batch.from_logits:
            return self._log(self.probs)
        hook = self.backend.log_softmax if self.batch.multiclass else self.backend.log_sigmoid
        return hook(self.batch.scores)

    @lazy_property
    def log_complements(self) -> Array:
        """log(1 - p), (N, C, P)."""
        if not self.batch.from_logits:
            return self._log(self.complements)
        if not self.batch.multiclass:
            return self.backend.log_sigmoid(-self.batch.scores)
        # Of the likeliest class by the sum of the others: 1 - p has lost its digits there.
        xp, log_p, here = self.xp, self.log_probs, self.decisions
        others = xp.where(here, -math.inf, log_p)
        top = self.backend.stop_gradient(xp.max(others, axis=1, keepdims=True))
        alone = top == -math.inf  # no other class has a probability: 0 is not divided by 0 on the way back
        total = xp.sum(xp.exp(others - xp.where(alone, 0.0, top)), axis=1, keepdims=True)
        rest = top + xp.log(xp.where(alone, 1.0, total))
        return xp.where(here, rest, xp.log1p(-xp.exp(xp.where(here, -1.0, log_p))))

    @lazy_property
    def argmax(self) -> Array:
        """Predicted class of each pixel (N, P), multiclass; no gradient flows through it."""
        scores = self.backend.stop_gradient(self.batch.scores)
        return self.backend.class_indices(self.xp.argmax(scores, axis=1), self.batch.num_classes)

    @lazy_property
    def decisions(self) -> Array:
        """Whether it is the predicted class, or p > 1/2 in binary and multilabel mode, (N, C, P)."""
        if self.batch.decided:
            return self.batch.predictions == 1
        return self.batch.is_class(self.argmax) if self.batch.multiclass else self.probs > 0.5

    @lazy_property
    def undecided(self) -> Array:
        """Where there is no decision, (N, C, P), or (N, 1, P) of a pixel's classes together."""
        batch, xp = self.batch, self.xp
        if batch.decided:
            return undecided(batch)
        if not (batch.multiclass and batch.from_logits):
            return self.probs != self.probs
        top = xp.max(batch.scores, axis=1, keepdims=True)
        return ~((top > -math.inf) & (top < math.inf))  # where the softmax is NaN

    def _log(self, probs: Array) -> Array:
        """Logarithm of at least 1e-7, with gradient 0 where the argument was raised."""
        raised = probs < LOWEST_PROBABILITY
        return self.xp.log(self.xp.where(raised, LOWEST_PROBABILITY, probs))

    # --- of what is true --------------------------------------------------------------------

    @lazy_property
    def target_log_probs(self) -> Array:
        """log p of each pixel's label (N, P); of each element's side (N, C, P), of integer targets."""
        if self.of_labels:
            return self.of_rule("log_p")[0]
        batch = self.batch
        if not batch.multiclass and batch.from_logits:
            targets = batch.given_targets if batch.dense else batch.targets
            given = batch.float32_scores, targets, batch.valid, batch.given_weights
            return self.backend.sigmoid_sums(*given, ("log_p",))[0]["log_p"]
        return self._log(self._target_probs)

    @lazy_property
    def _target_probs(self) -> Array:
        if self.batch.multiclass:
            return self.backend.gather(self.probs, self.batch.labels)
        return self.xp.where(self.batch.one_hot, self.probs, self.complements)

    @lazy_property
    def target_complements(self) -> Array:
        """1 - p of what is true, with all its digits where p is nearly 1."""
        if self.batch.from_logits:
            return -self.xp.expm1(self.target_log_probs)
        return 1.0 - self._target_probs

    def over_targets(
        self, function: Callable[[Side], Array], *factors: Array | None, smoothing: Array | None = None
    ) -> Array:
        """sum_c y_c f_c w_c f(log p_c, 1 - p_c) for each pixel (N, P), multiclass.

        Where targets are labels f is evaluated at the pixel's class alone. Factors f_c are (C,),
        (N, C, P), or None for 1; smoothing e, if any, turns y into y (1 - e) + e / C.
        """
        if self.batch.dense or smoothing is not None:
            assert not self._alone, "a chunk of pixels has no derivative but that of its label's log p"
            y = self.batch.targets
            if smoothing is not None:  # a pixel without a class has none to spread
                known = self.xp.astype(self.xp.any(y != 0, axis=1, keepdims=True), y.dtype)
                y = y * (1 - smoothing) + known * (smoothing / self.batch.num_classes)
            values = y * function(Side(lambda: shared(self.xp, y, self.log_probs), lambda: self.complements))
        else:
            values = function(Side(lambda: self.target_log_probs, lambda: self.target_complements))
        return self._scaled(values, factors)

    def target_share(self, *factors: Array | None) -> Array | None:
        """sum_c y_c f_c w_c for each pixel (N, P), multiclass; None if it is 1 for every label."""
        return self._scaled(self.batch.targets if self.batch.dense else None, factors)

    def _scaled(self, values: Array | None, factors: tuple[Array | None, ...]) -> Array:
        batch, of_classes = self.batch, values is not None and values.ndim == 3
        for factor in factors:
            if factor is None:
                continue
            if of_classes:
                factor = batch.column(factor) if factor.ndim < 3 else factor
            else:
                factor = self.backend.gather(factor, batch.labels)
            values = factor if values is None else scaled(self.xp, factor, values)
        return self.xp.sum(values, axis=1) if of_classes else values

    def mixed_log_probs(self, mix: Array | None) -> Array:
        """sum_c m_c log p_c for each pixel (N, P), multiclass, 0 of one without a class; m is 1 if None."""
        batch = self.batch
        if self.of_labels and (mix is None or mix.ndim == 1):
            assert not self._alone, "a chunk of pixels has no derivative but that of its label's log p"
            m = batch.constant([1.0] * batch.num_classes) if mix is None else mix
            given = batch.float32_scores, batch.labels, batch.valid, batch.given_weights
            found = self.backend.softmax_sums(*given, ("log_p", "mixed"), m)[0]
            self._found.setdefault("log_p", found["log_p"])
            return found["mixed"]
        log_p = self.log_probs if mix is None else scaled(self.xp, batch.column(mix), self.log_probs)
        total = self.xp.sum(log_p, axis=1)
        return self.xp.where(self.xp.any(batch.targets != 0, axis=1), total, 0.0) if batch.dense else total

    @lazy_property
    def side_weights(self) -> tuple[Array, Array]:
        """Class weights of y and of 1 - y, binary and multilabel; 1.0 if there are none."""
        w = self.batch.class_weights
        if w is None:
            return 1.0, 1.0
        return (w[..., 1:], w[..., :1]) if self.batch.mode == "binary" else (w, w)

    def side_share(self) -> Array | None:
        """w_1 y + w_0 (1 - y), the share of each element in the mean's divisor; None if all are 1."""
        if self.batch.class_weights is None:
            return None
        true, false = (self.batch.column(w) for w in self.side_weights)
        return true if true is false else true * self.batch.targets + false * (1 - self.batch.targets)

    def over_sides(
        self, function: Callable[[Side], Array], positive: Array = 1.0, negative: Array = 1.0,
        smoothing: Array | None = None,
    ) -> Array:  # fmt: skip
        """a y f(log p, 1 - p) + b (1 - y) f(log(1 - p), p) for each element, binary and multilabel.

        Where targets are integers f is evaluated at the side that is true alone. The factors a and b
        are numbers or (C,); smoothing e, if any, turns y into y (1 - e) + e / 2.
        """
        batch = self.batch
        positive, negative = (x if isinstance(x, float) else batch.column(x) for x in (positive, negative))
        if batch.integer_targets and smoothing is None:
            values = function(Side(lambda: self.target_log_probs, lambda: self.target_complements))
            if all(isinstance(factor, float) and factor == 1 for factor in (positive, negative)):
                return values
            y = batch.targets
            return scaled(self.xp, positive * y + negative * (1 - y), values)
        y = batch.targets if smoothing is None else batch.targets * (1 - smoothing) + smoothing / 2
        true = function(Side(lambda: shared(self.xp, y, self.log_probs), lambda: self.complements))
        false = function(Side(lambda: shared(self.xp, 1 - y, self.log_complements), lambda: self.probs))
        return scaled(self.xp, positive, y * true) + scaled(self.xp, negative, (1 - y) * false)


def shared(xp: Any, y: Array, log_p: Array) -> Array:
    """log p, but 0 where it is infinite and has no share y in the targets: 0 log 0 is 0.

    Elsewhere it stays, since the derivative by y is log p also at y = 0.
    """
    return xp.where((y == 0) & (log_p == -math.inf), 0.0, log_p)
