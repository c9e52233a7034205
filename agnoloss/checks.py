"""Checks of arguments: each error names the argument, what was expected and what came."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from .backends.base import Array

PROBABILITY_SLACK = 1e-3
"""How far outside [0, 1] a probability may lie: rounding of half precision and of interpolation."""


def choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Check an option that is one of a few words (ValueError)."""
    if not (isinstance(value, str) and value in choices):
        hint = " Compound losses and scalars have no values per pixel or class." if value == "none" else ""
        expected = " or ".join(f'"{word}"' for word in choices)
        raise ValueError(f"`{name}` must be {expected}; got {value!r}.{hint}")


def flag(name: str, value: Any) -> None:
    """Check an option that is True or False (TypeError)."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be True or False; got {value!r}.")


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """Check an option that is one number in a range (TypeError, ValueError)."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"`{name}` must be a number; got {value!r}.")
    value = float(value)
    # comparisons alone: dynamo traces no isfinite of a number that it keeps symbolic
    if not (-math.inf < value < math.inf and low <= value <= high):
        limits = "finite" if low == -math.inf else f"at least {low}"
        limits = f"from {low} to {high}" if high < math.inf else limits
        raise ValueError(f"`{name}` must be {limits}; got {value}.")
    return value


def weight(name: str, value: Any, high: float = math.inf) -> float:
    """Check one weight: a finite number, not negative (TypeError, ValueError)."""
    return number(name, value, 0.0, high)


def per_class_shape(name: str, shape: tuple[int, ...], classes: int, scalar: bool, axes: int = 1) -> None:
    """Check that an option has one number for each class, or for each pair of classes (ValueError)."""
    shape = tuple(shape)
    if shape != (classes,) * axes and not (scalar and shape == ()):
        either = "be a number or " if scalar else ""
        expected = f"have length {classes}, one number for each class"
        if axes == 2:
            expected = f"have shape {(classes, classes)}"
        raise ValueError(f"`{name}` must {either}{expected}; got shape {shape}.")


def nested_numbers(name: str, value: Any, classes: int, scalar: bool, axes: int, high: float) -> list[Any]:
    """Check a sequence of one number for each class, nested if there are two axes."""
    if isinstance(value, (str, Real)) or not isinstance(value, Sequence):
        either = "a number or " if scalar else ""
        numbers = "numbers" if axes == 1 else f"sequences of {classes} numbers"
        raise TypeError(
            f"`{name}` must be {either}a sequence of {classes} {numbers}, one for each class; got {value!r}."
        )
    inner = (len(value[0]),) if axes == 2 and len(value) and isinstance(value[0], Sequence) else ()
    per_class_shape(name, (len(value), *inner), classes, scalar, axes)
    if axes == 1:
        return [weight(name, number, high) for number in value]
    return [nested_numbers(name, row, classes, False, 1, high) for row in value]


def smooth_pair(smooth: Any) -> tuple[float, float]:
    """Split `smooth` into what is added to the numerator and to the denominator."""
    pair = smooth if isinstance(smooth, Sequence) and not isinstance(smooth, str) else (smooth, smooth)
    if len(pair) != 2:
        raise ValueError(f"`smooth` must be a number or a pair (numerator, denominator); got {smooth!r}.")
    above, below = (number("smooth", part, 0.0) for part in pair)
    return above, below


def labels_to_ignore(ignore_index: Any) -> tuple[int, ...]:
    """Turn `ignore_index` into a tuple of ints (TypeError)."""
    if ignore_index is None:
        return ()
    several = ignore_index if isinstance(ignore_index, Iterable) else (ignore_index,)
    try:
        if isinstance(ignore_index, (str, bytes)):
            raise TypeError
        return tuple(operator.index(label) for label in several)
    except TypeError:
        raise TypeError(
            f"`ignore_index` must be an int, several ints or None; got {ignore_index!r}."
        ) from None


def class_indices(classes: Any, num_classes: int) -> str | tuple[int, ...]:
    """Check `classes`: a word, or indices of classes (TypeError, ValueError)."""
    if isinstance(classes, str):
        choice("classes", classes, ("all", "present"))
        return classes
    try:
        indices = tuple(operator.index(c) for c in classes)
    except TypeError:
        raise TypeError(
            f'`classes` must be "all", "present" or a sequence of class indices; got {classes!r}.'
        ) from None
    if not indices or len(set(indices)) < len(indices) or any(not 0 <= c < num_classes for c in indices):
        raise ValueError(
            f"`classes` must hold different indices from 0 to {num_classes - 1}, at least one; "
            f"got {classes!r}."
        )
    return indices


class Layout:
    """Where the classes and pixels lie in arrays of given shapes.

    Parameters
    ----------
    predictions, targets : tuple of ints
        Shapes of the inputs.
    mode : str
        Mode of the loss.
    axis : int
        Class axis of the predictions.

    Attributes
    ----------
    dense : bool
        Whether the targets have the shape of the predictions.
    spatial : tuple of ints
        S, the shape of an image.
    num_classes : int
        Length of the class axis, 1 in binary mode.
    last : bool
        Whether the class axis comes after those of the pixels.
    """

    def __init__(self, predictions: tuple[int, ...], targets: tuple[int, ...], mode: str, axis: int) -> None:
        self.shape = shape = tuple(predictions)
        targets = tuple(targets)
        try:
            axis = operator.index(axis)
        except TypeError:
            raise TypeError(f"`axis` must be an int; got {axis!r}.") from None
        self.axis = self._class_axis(shape, targets, mode, axis)
        if self.axis is None:
            self.num_classes, without = 1, shape
        else:
            self.num_classes = shape[self.axis]
            without = shape[: self.axis] + shape[self.axis + 1 :]
        self.dense = _same(targets, shape) or mode == "binary"
        self.last = self.axis not in (None, 0, 1) and self.axis == len(shape) - 1
        if not (_same(targets, shape) or _same(targets, without)):
            guess = _other_axis(shape, targets, self.axis)
            raise ValueError(
                f"`targets` must have shape {without} for predictions of shape {shape} with "
                f"axis={axis}; got {targets}."
                + (f" With axis={guess} these shapes would fit." if guess is not None else "")
            )
        self.spatial = without[1:]

    @staticmethod
    def _class_axis(shape: tuple[int, ...], targets: tuple[int, ...], mode: str, axis: int) -> int | None:
        inside = -len(shape) <= axis < len(shape)
        if mode == "binary":
            if not shape:
                raise ValueError("`predictions` must have shape (N, *S); got ().")
            has_axis = inside and len(shape) > 1 and shape[axis] == 1 and len(targets) >= len(shape) - 1
            if has_axis and len(targets) == len(shape) and targets != shape:
                has_axis = False
            return axis % len(shape) if has_axis else None
        if len(shape) < 2 or not inside:
            raise ValueError(
                f"`predictions` must have a batch axis and a class axis at axis={axis}; got shape {shape}."
            )
        if mode == "multiclass" and shape[axis] < 2:
            raise ValueError(
                f"`predictions` must have two classes or more in multiclass mode; got shape {shape} "
                f'with axis={axis}. For one class use mode="binary".'
            )
        return axis % len(shape)

    def flatten(self, xp: Any, array: Array) -> Array:
        """Bring an array of the predictions' shape to (N, C, P), without a copy where possible."""
        if self.axis is None or not _same(tuple(array.shape), self.shape):  # no class axis: one class
            return xp.reshape(array, (array.shape[0], 1, math.prod(array.shape[1:])))
        batch = 1 if self.axis == 0 else 0
        images = self.shape[batch]
        pixels = math.prod(self.spatial)
        if self.axis == 1:
            return xp.reshape(array, (images, self.num_classes, pixels))
        if self.axis == 0:
            flat = xp.reshape(array, (self.num_classes, images, pixels))
            return xp.permute_dims(flat, (1, 0, 2))
        if self.last:
            flat = xp.reshape(array, (images, pixels, self.num_classes))
            return xp.permute_dims(flat, (0, 2, 1))
        order = (0, self.axis, *(i for i in range(1, len(self.shape)) if i != self.axis))
        return xp.reshape(xp.permute_dims(array, order), (images, self.num_classes, pixels))


def _other_axis(shape: tuple[int, ...], targets: tuple[int, ...], axis: int | None) -> int | None:
    """Find another class axis that would explain the targets' shape."""
    for guess in range(len(shape)):
        if guess != axis and _same(shape[:guess] + shape[guess + 1 :], targets):
            return guess if guess < len(shape) - 1 else -1
    return None


def _same(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether two shapes are equal. Lengths first: torch.export would compare sizes and fix them."""
    return len(a) == len(b) and a == b
