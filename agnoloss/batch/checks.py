"""Checks of arguments: each error names the argument, what was expected and what came."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from . import hints

PROBABILITY_SLACK = 1e-3
"""How far outside [0, 1] a probability may lie: rounding of half precision and of interpolation."""


def choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Check an option that is one of a few words (ValueError)."""
    if not (isinstance(value, str) and value in choices):
        hint = hints.of_word(value, choices, '"')
        if isinstance(value, str) and value == "none":
            hint = " Compound losses and scalars have no values per pixel or class."
        expected = " or ".join(f'"{word}"' for word in choices)
        raise ValueError(f"`{name}` must be {expected}; got {value!r}.{hint}")


def flag(name: str, value: Any) -> bool:
    """Check an option that is True or False (TypeError)."""
    if not isinstance(value, bool):
        raise TypeError(f"`{name}` must be True or False; got {value!r}.")
    return value


def integer(name: str, value: Any) -> int:
    """Check an option that is one whole number (TypeError)."""
    try:
        return _index(value)
    except TypeError:
        raise TypeError(f"`{name}` must be an int; got {value!r}.") from None


def _index(value: Any) -> int:
    """``operator.index``, to which a bool is no number (TypeError)."""
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def number(
    name: str, value: Any, low: float = -math.inf, high: float = math.inf, above: bool = False
) -> float:
    """Check an option that is one number from `low`, or above it, to `high` (TypeError, ValueError)."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"`{name}` must be a number; got {value!r}.")
    value = float(value)
    # comparisons alone: dynamo traces no isfinite of a number that it keeps symbolic
    if not (-math.inf < value < math.inf and low <= value <= high) or (above and value == low):
        limits = "finite" if low == -math.inf else f"at least {low}"
        limits = f"from {low} to {high}" if high < math.inf else limits
        limits = f"above {low}" + (f" and up to {high}" if high < math.inf else "") if above else limits
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


def nested_numbers(name: str, value: Any, classes: int, scalar: bool, axes: int) -> list[Any]:
    """Numbers of a sequence of one for each class, or of one sequence for each if there are two axes."""
    if isinstance(value, (str, Real)) or not isinstance(value, Sequence):
        either = "a number or " if scalar else ""
        numbers = "numbers" if axes == 1 else f"sequences of {classes} numbers"
        raise TypeError(
            f"`{name}` must be {either}a sequence of {classes} {numbers}, one for each class; got {value!r}."
        )
    inner = (len(value[0]),) if axes == 2 and len(value) and isinstance(value[0], Sequence) else ()
    per_class_shape(name, (len(value), *inner), classes, scalar, axes)
    if axes == 1:
        return list(value)
    return [number for row in value for number in nested_numbers(name, row, classes, False, 1)]


def smooth_pair(smooth: Any) -> Sequence[Any]:
    """What is to be added to the numerator and to the denominator."""
    pair = smooth if isinstance(smooth, Sequence) and not isinstance(smooth, str) else (smooth, smooth)
    if len(pair) != 2:
        raise ValueError(f"`smooth` must be a number or a pair (numerator, denominator); got {smooth!r}.")
    return pair


def labels_to_ignore(ignore_index: Any) -> tuple[int, ...]:
    """Turn `ignore_index` into a tuple of ints (TypeError)."""
    if ignore_index is None:
        return ()
    several = ignore_index if isinstance(ignore_index, Iterable) else (ignore_index,)
    try:
        if isinstance(ignore_index, (str, bytes)):
            raise TypeError
        return tuple(_index(label) for label in several)
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
        indices = tuple(_index(c) for c in classes)
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
