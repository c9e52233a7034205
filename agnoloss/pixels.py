"""The one door for inputs: check them, bring them to (N, C, P), hand them out in blocks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

from . import checks
from .backends import Backend, backend_of, is_array, take_in
from .backends.base import Array
from .block import Block
from .once import once
from .setting import Setting

MODES = ("multiclass", "multilabel", "binary")
REDUCTIONS = ("mean", "sum", "none")


class Pixels:
    """Checked predictions and targets, as the sums over pixels that losses are made of.

    Parameters
    ----------
    predictions, targets : array
        As the losses take them.
    mode, from_logits, axis, ignore_index, pixel_weights, class_weights, reduction, all_reduce
        As the losses take them.
    modes : tuple of str
        Modes the loss has a meaning in.
    reductions : tuple of str
        Reductions it has a meaning in.

    Attributes
    ----------
    num_classes : int
        Length of the class axis, 1 in binary mode.
    predictions : array, (N, C, P)
        Scores or probabilities, of the dtype that was given.
    targets : array, (N, P) or (N, C, P)
        Labels or dense targets, as given.
    pixel_weights : array, (N, P), or None
        As given.
    setting : Setting
        What every block shares.
    """

    def __init__(
        self,
        predictions: Array,
        targets: Array,
        *,
        mode: str,
        from_logits: bool,
        axis: int,
        ignore_index: int | Sequence[int] | None,
        pixel_weights: Array | None,
        class_weights: Sequence[float] | Array | str | None,
        reduction: str,
        all_reduce: Callable[[Array], Array] | None = None,
        modes: tuple[str, ...] = MODES,
        reductions: tuple[str, ...] = REDUCTIONS,
    ) -> None:
        checks.choice("mode", mode, modes)
        checks.choice("reduction", reduction, reductions)
        checks.flag("from_logits", from_logits)
        predictions, backend = take_in(predictions, targets, pixel_weights, class_weights)
        self.backend = backend
        self.xp = backend.xp
        if backend.kind(predictions) != "floating":
            raise TypeError(f"`predictions` must be real floating; got {predictions.dtype}.")
        ignored = checks.labels_to_ignore(ignore_index)
        owner = backend_of(targets, "targets")
        layout = checks.Layout(predictions.shape, targets.shape, mode, axis)
        self.mode, self.reduction, self.all_reduce = mode, reduction, all_reduce
        self.spatial, self.num_classes = layout.spatial, layout.num_classes
        self.dtype = self.xp.float32 if backend.is_half(predictions) else predictions.dtype
        self.setting = Setting(
            backend, mode, from_logits, ignored, layout.dense, layout.num_classes, layout.last, self.dtype
        )
        self._check_kind(targets, owner)
        fits = owner.within(targets, 0, self._highest, ignored)
        extremes = None if fits is None else (0, 0) if fits else owner.extremes(targets, ignored)
        targets = backend.adopt(targets, owner, "targets")
        self.predictions = layout.flatten(self.xp, predictions)
        if layout.dense:
            self.targets = layout.flatten(self.xp, targets)
        else:
            self.targets = self.xp.reshape(targets, self._shape())
        self.pixel_weights = self._pixel_weights(pixel_weights, predictions.shape)
        self.setting.trust = self._checked_values(extremes)
        self.setting.class_weights = self._class_weights(class_weights)

    @property
    def class_weights(self) -> Array | None:
        """Weights of the classes (C,), made from the targets if "balanced" was asked for."""
        return self.setting.class_weights

    # --- evaluation -------------------------------------------------------------------------

    @once
    def whole(self) -> Block:
        """Every pixel in one block, for losses that are no sums."""
        return Block(self.setting, self.predictions, self.targets, self.pixel_weights)

    def sum(
        self, *statistics: Callable[[Block], Any], per_image: bool = False, whole: bool = False
    ) -> list[Any]:
        """Add up statistics over all pixels, in one pass.

        Parameters
        ----------
        statistics : callables
            Each takes a `Block` and returns a (named) tuple of small arrays whose first axis is
            the images of the block.
        per_image : bool
            Keep one sum for each image instead of adding the images up.
        whole : bool
            Evaluate them on the whole input at once: because pixels depend on each other, or
            because predictions, the one large array, take no part.

        Returns
        -------
        list
            What each statistic returned, summed.
        """
        if whole:
            sums = [statistic(self.whole) for statistic in statistics]
        else:
            sums = self.backend.sum_blocks(self, statistics)
        return [self._finish(part, per_image) for part in sums]

    def sum_sorted(
        self,
        errors: Callable[[Block], Array],
        weigh: Callable[..., Array],
        per_image: bool,
        matters: Callable[[int, float], bool],
    ) -> tuple[Array, Array]:
        """Sum, for each class, the errors of pixels with weights that follow from their order.

        Parameters
        ----------
        errors : callable
            Errors (n, C, p) of a block, not negative.
        weigh : callable
            ``weigh(backend, dtype, foreground, background, intersection, union)``: weights of pixels
            sorted so that their errors fall, from the weight of each on the side of the class and on
            the other, and those of intersection and union before the first of them. No gradient
            flows through them.
        per_image : bool
            Sort the pixels of each image by themselves instead of all together.
        matters : callable
            Whether a class is of use, given its index and its weight in the targets; where that
            costs nothing to know, the others are not sorted and their sum is 0.

        Returns
        -------
        tuple of arrays, (C,) or (N, C)
            The sums, and the weight of each class in the targets.
        """
        sums, true = self.backend.sum_sorted(self, errors, weigh, per_image, matters)
        return self.trusted(sums), true

    def on(self, backend: Backend, convert: Callable[[Any], Any]) -> Pixels:
        """The same input on another backend, with every array converted."""
        other = copy.copy(self)
        other.__dict__.pop("whole", None)
        other.backend, other.xp = backend, backend.xp
        other.predictions, other.targets = convert(self.predictions), convert(self.targets)
        other.pixel_weights = convert(self.pixel_weights)
        half = backend.is_half(other.predictions)
        other.dtype = backend.xp.float32 if half else other.predictions.dtype
        other.setting = replace(
            self.setting,
            backend=backend,
            dtype=other.dtype,
            class_weights=convert(self.setting.class_weights),
            trust=convert(self.setting.trust),
        )
        return other

    def _finish(self, sums: Any, per_image: bool) -> Any:
        finished = []
        for part in sums:
            if self.setting.trust is not None:
                part = part * self.setting.trust
            if not per_image:
                part = self.xp.sum(part, axis=0)
                if self.all_reduce is not None:
                    part = self.all_reduce(part)
            finished.append(part)
        return type(sums)(*finished) if hasattr(sums, "_fields") else tuple(finished)

    def trusted(self, values: Array) -> Array:
        """Values of `whole`, NaN if a label is out of range that could not be looked at."""
        return values if self.setting.trust is None else values * self.setting.trust

    def restore(self, values: Array) -> Array:
        """Values per pixel (N, P) to (N, *S), per element (N, C, P) to (N, C, *S)."""
        if self.mode == "binary":
            values = self.xp.squeeze(values, axis=1)
        return self.xp.reshape(values, (*values.shape[:-1], *self.spatial))

    # --- options that come as numbers or arrays ---------------------------------------------

    def per_class(
        self, name: str, value: Any, scalar: bool = False, high: float = math.inf, axes: int = 1
    ) -> Array:
        """Turn an option into an array (C,), or into a number where `scalar` allows one.

        Parameters
        ----------
        name : str
            Name of the option, for errors.
        value : number, sequence or array
            What the user gave.
        scalar : bool
            Whether one number may stand for all classes.
        high : float
            Largest number that has a meaning.
        axes : int
            1, or 2 for an array (C, C).

        Raises
        ------
        TypeError
            If it is no number, sequence of numbers or array of the predictions' library.
        ValueError
            If its shape does not fit the number of classes, or a number is negative, above `high`
            or not finite.
        """
        if is_array(value):
            other = backend_of(value, name)
            if other is not self.backend and other.library == "numpy":
                value = value.tolist()  # a NumPy array of one number per class is as good as a list
            else:
                value = self.backend.adopt(value, other, name)
                if self.backend.kind(value) == "other":
                    raise TypeError(f"`{name}` must be real; got {value.dtype}.")
                checks.per_class_shape(name, value.shape, self.num_classes, scalar, axes)
                extremes = self.backend.extremes(value)
                if extremes is not None:
                    checks.weight(name, extremes[0], high)
                    checks.weight(name, extremes[1], high)
                return self.xp.astype(value, self.dtype)
        if isinstance(value, Real) and scalar:
            return checks.weight(name, value, high)
        rows = checks.nested_numbers(name, value, self.num_classes, scalar, axes, high)
        return self.constant(rows)

    def _class_weights(self, value: Any) -> Array | None:
        if value is None:
            return None
        if not isinstance(value, str):
            return self.per_class("class_weights", value)
        checks.choice("class_weights", value, ("balanced",))
        (counts,) = self.sum(lambda block: (block.target_counts,), whole=True)
        count = counts[0]
        # total / (C x count); an absent class gets 0
        safe = self.xp.where(count == 0, 1.0, count)
        share = self.xp.sum(count) / (self.num_classes * safe)
        return self.xp.where(count == 0, 0.0, share)

    def constant(self, values: Any) -> Array:
        """Python numbers as an array of the dtype and on the device that sums have."""
        return self.backend.constant(values, self.dtype, self.predictions)

    @property
    def _highest(self) -> int:
        """Largest target there can be."""
        return 1 if self.setting.dense or self.mode == "binary" else self.num_classes - 1

    def _shape(self) -> tuple[int, int]:
        """(N, P)."""
        return self.predictions.shape[0], self.predictions.shape[2]

    # --- checks of values and arrays --------------------------------------------------------

    def _check_kind(self, targets: Array, owner: Backend) -> None:
        kind = owner.kind(targets)
        if kind == "other":
            raise TypeError(f"`targets` must be integer, bool or real floating; got {targets.dtype}.")
        if kind == "floating" and not self.setting.dense:
            raise TypeError(
                f"`targets` without a class axis are labels and must be integer or bool; got {targets.dtype}."
            )
        if self.setting.dense and self.mode == "multiclass" and self.setting.ignored:
            raise ValueError(
                "`ignore_index` has no meaning for dense multiclass targets; got "
                f"{self.setting.ignored}. Pass `pixel_weights` with 0 where a pixel is to be ignored."
            )

    def _pixel_weights(self, weights: Array | None, shape: tuple[int, ...]) -> Array | None:
        if weights is None:
            return None
        other = backend_of(weights, "pixel_weights")
        weights = self.backend.adopt(weights, other, "pixel_weights")
        if self.backend.kind(weights) == "other":
            raise TypeError(f"`pixel_weights` must be real; got {weights.dtype}.")
        if self.backend.within(weights, 0, math.inf) is False:
            extremes = self.backend.extremes(weights)
            if extremes is not None and extremes[0] < 0:
                raise ValueError(f"`pixel_weights` must not be negative; got {extremes[0]}.")
        expected = (self.predictions.shape[0], *self.spatial)
        if tuple(weights.shape) not in (expected, *([tuple(shape)] if self.mode == "binary" else [])):
            raise ValueError(
                f"`pixel_weights` must have shape {expected} for predictions of shape "
                f"{tuple(shape)}; got {tuple(weights.shape)}."
            )
        return self.xp.reshape(weights, self._shape())

    def _checked_values(self, extremes: tuple[float, float] | None) -> Array | None:
        """Look for targets and probabilities out of range where that costs nothing.

        Returns
        -------
        array or None
            Where values cannot be looked at, an array () to multiply with: 1, or NaN if a target
            is out of range. None where they were looked at and are in order.
        """
        xp, backend = self.xp, self.backend
        low, high = 0, self._highest
        if not self.setting.from_logits:
            self._check_probabilities()
        if extremes is not None:
            if low <= extremes[0] and extremes[1] <= high:
                return None
            if self.pixel_weights is not None or extremes[0] != extremes[0]:  # weights of 0, or NaN
                found = backend.extremes(self.whole.outside(low, high))
                if found is not None and not found[1]:
                    return None
                extremes = backend.extremes(self.whole.counted_targets(fill=low))
        if extremes is not None:
            worst = extremes[0] if extremes[0] < low else extremes[1]
            what = "labels" if not self.setting.dense or self.mode == "binary" else "values"
            raise ValueError(
                f"`targets` must hold {what} from {low} to {high}"
                f"{f' or {self.setting.ignored}' if self.setting.ignored else ''}; got {worst}."
            )
        return xp.where(xp.any(self.whole.outside(low, high)), math.nan, self.constant(1.0))

    def _check_probabilities(self) -> None:
        high = math.inf if self.mode == "multiclass" else 1 + checks.PROBABILITY_SLACK
        low = -checks.PROBABILITY_SLACK
        if self.backend.within(self.predictions, low, high) is not False:
            return
        extremes = self.backend.extremes(self.whole.scores)
        if extremes is not None and (extremes[0] < low or extremes[1] > high):
            worst = extremes[0] if extremes[0] < low else extremes[1]
            raise ValueError(
                "`predictions` must be probabilities, from 0 to 1, with from_logits=False; got "
                f"{worst}. For raw scores, leave from_logits=True."
            )
