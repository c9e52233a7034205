"""Where the classes and pixels lie in arrays of given shapes."""

from __future__ import annotations

import math
from typing import Any

from ..array import Array
from . import checks, hints


class Layout:
    """Where the classes and pixels lie in predictions and targets of given shapes.

    `dense` says that the targets have the shape of the predictions, or that the mode is binary; others are
    labels, without a class axis or with one of length 1. `num_classes` is the length of the class axis, 1
    in binary mode; `spatial` is S, the shape of an image; `note` is for messages about it.
    """

    def __init__(self, predictions: tuple[int, ...], targets: tuple[int, ...], mode: str, axis: int) -> None:
        self.shape = shape = tuple(predictions)
        targets = tuple(targets)
        axis = checks.integer("axis", axis)
        self.axis = self._class_axis(shape, targets, mode, axis)
        self.num_classes = 1 if self.axis is None else shape[self.axis]
        fitting = shapes_of_targets(shape, self.axis)
        self.dense = same(targets, shape) or mode == "binary"
        if not any(same(targets, fits) for fits in fitting):
            raise ValueError(
                f"`targets` must have shape {fitting[1]} for predictions of shape {shape} with "
                f"axis={axis}; got {targets}." + hints.of_shapes(shape, targets, mode, axis)
            )
        self.spatial = fitting[1][1:]
        self.note = ""
        if mode == "binary" and self.axis is not None and same(targets, shape):
            self.note = (
                f" Axis {self.axis}, of length 1 in both, is the class axis: images of one row need one "
                "besides, as `predictions[:, None]` and `targets[:, None]`."
            )

    @staticmethod
    def _class_axis(shape: tuple[int, ...], targets: tuple[int, ...], mode: str, axis: int) -> int | None:
        inside = -len(shape) <= axis < len(shape)
        if mode == "binary":
            if not shape:
                raise ValueError("`predictions` must have shape (N, *S); got ().")
            has_axis = inside and len(shape) > 1 and shape[axis] == 1 and len(targets) >= len(shape) - 1
            has_axis = has_axis and (len(targets) != len(shape) or targets == shape)
            return axis % len(shape) if has_axis else None
        if len(shape) < 2 or not inside:
            lone = " One example needs `predictions[None]` and `targets[None]`." if len(shape) == 1 else ""
            raise ValueError(
                f"`predictions` must have a batch axis and a class axis at axis={axis}; got shape {shape}."
                + lone
            )
        if mode == "multiclass" and shape[axis] < 2:
            raise ValueError(
                f"`predictions` must have two classes or more in multiclass mode; got shape {shape} "
                f'with axis={axis}. For one class use mode="binary".'
            )
        return axis % len(shape)

    @property
    def channels_last(self) -> bool:
        """Whether the class axis comes after those of the pixels."""
        return self.axis not in (None, 0, 1) and self.axis == len(self.shape) - 1

    def flatten(self, xp: Any, array: Array) -> Array:
        """Bring an array of the predictions' shape to (N, C, P), without a copy where possible."""
        if self.axis is None or not same(tuple(array.shape), self.shape):  # no class axis: one class
            return xp.reshape(array, (array.shape[0], 1, math.prod(array.shape[1:])))
        images, pixels = self.shape[1 if self.axis == 0 else 0], math.prod(self.spatial)
        if self.axis == 1:
            return xp.reshape(array, (images, self.num_classes, pixels))
        if self.axis == 0:
            return xp.permute_dims(xp.reshape(array, (self.num_classes, images, pixels)), (1, 0, 2))
        if self.axis == len(self.shape) - 1:
            return xp.permute_dims(xp.reshape(array, (images, pixels, self.num_classes)), (0, 2, 1))
        order = (0, self.axis, *(i for i in range(1, len(self.shape)) if i != self.axis))
        return xp.reshape(xp.permute_dims(array, order), (images, self.num_classes, pixels))

    def unflatten(self, xp: Any, values: Array) -> Array:
        """Bring values (N, P) to (N, *S), values (N, C, P) to the predictions' shape."""
        values = xp.reshape(values, (*values.shape[:-1], *self.spatial))
        if self.axis in (None, 1) or values.ndim < len(self.shape):
            return values
        order = [0, *range(2, values.ndim)]
        order.insert(self.axis, 1)
        return xp.permute_dims(values, tuple(order))


def same(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether two shapes are equal. Lengths first: torch.export would compare sizes and fix them."""
    return len(a) == len(b) and a == b


def shapes_of_targets(shape: tuple[int, ...], axis: int | None) -> tuple[tuple[int, ...], ...]:
    """Of dense ones, and of labels without a class axis and with one of length 1, beside predictions."""
    if axis is None:
        return shape, shape
    return shape, shape[:axis] + shape[axis + 1 :], (*shape[:axis], 1, *shape[axis + 1 :])
