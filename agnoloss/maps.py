"""Distance maps of labels, and weights made of them. No gradient flows through any of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .array import Array
from .backends import Backend, backend_of
from .batch import checks

__dir__ = ["signed_distance_map", "unet_weight_map"].copy  # what is shown when names are completed

Spacing = float | Sequence[float] | None


def signed_distance_map(labels: Array, num_classes: int, spacing: Spacing = None) -> Array:
    """Distance of every pixel to the border of every class, negative inside: what `boundary_loss` takes.

    For each class, with d the Euclidean distance and h the smallest step of the grid::

        outside:  d to the nearest pixel of the class
        inside:  -(d to the nearest pixel outside - h)
        0 everywhere if no pixel of the image is in the class, or every one

    Parameters
    ----------
    labels : array, integer or bool
        Class of each pixel, ``(N, *S)`` with one spatial axis or more. A pixel with any other label
        than ``0 .. num_classes - 1`` is outside every class.
    num_classes : int
        Number of classes C.
    spacing : float or sequence of floats, default 1
        Step of the grid, the same or one along each spatial axis, for voxels that are no cubes.

    Returns
    -------
    array
        ``(N, C, *S)``, on the device of `labels` and in the library's default floating dtype: float64
        for NumPy and CuPy, float32 for PyTorch and JAX unless they are told otherwise.

    Raises
    ------
    TypeError
        If `labels` is no array of integers or bool, or a number is none.
    ValueError
        If there is no spatial axis, or `spacing` has another length or a step that is not positive and
        finite.

    Notes
    -----
    The pixels on the inner side of the border are at 0, as in the published code, where h is 1.

    Exact, by SciPy for NumPy arrays if it is installed, by cupyx for CuPy's in 2-D and 3-D, elsewhere by
    the minimum over every row and column in turn, which runs under ``jax.jit``, ``torch.compile`` and
    ``vmap``.

    References
    ----------
    .. [1] H. Kervadec et al., "Boundary loss for highly unbalanced segmentation", MIDL 2019, equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss.maps import signed_distance_map
    >>> signed_distance_map(np.asarray([[0, 0, 1, 1, 1]]), 2)[0]
    array([[-1.,  0.,  1.,  2.,  3.],
           [ 2.,  1.,  0., -1., -2.]])
    """
    backend, shape = _checked(labels, "labels")
    num_classes = checks.integer("num_classes", num_classes)
    if num_classes < 1:
        raise ValueError(f"`num_classes` must be at least 1; got {num_classes}.")
    steps = checked_spacing(spacing, len(shape) - 1)
    xp, labels = backend.xp, backend.class_indices(labels)
    inside = xp.stack([labels == c for c in range(num_classes)], axis=1)
    return signed_distances(backend, inside, steps, _default_dtype(backend, labels))


def unet_weight_map(
    instances: Array, w0: float = 10.0, sigma: float = 5.0, *,
    balance: tuple[float, float] = (1.0, 1.0), spacing: Spacing = None,
) -> Array:  # fmt: skip
    """Weights that are large on narrow gaps between touching objects, so that a network keeps them apart.

    With d1 and d2 the distances to the nearest and the second nearest instance::

        background:  balance_0 + w0 exp(-(d1 + d2)^2 / (2 sigma^2))
        instances:   balance_1

    Pass it to a loss as `pixel_weights`.

    Parameters
    ----------
    instances : array, integer or bool
        Number of the object each pixel belongs to, 0 for background, ``(N, *S)`` with one spatial axis
        or more. The numbers need not be consecutive.
    w0 : float, default 10
        Weight of a gap of no width.
    sigma : float, default 5
        How wide a gap may be, in the unit of `spacing`.
    balance : (float, float), default (1, 1)
        Weights of background and instances, for classes of unequal size.
    spacing : float or sequence of floats, default 1
        Step of the grid, the same or one along each spatial axis.

    Returns
    -------
    array
        ``(N, *S)``, on the device of `instances` and in the library's default floating dtype: float64
        for NumPy and CuPy, float32 for PyTorch and JAX unless they are told otherwise.

    Raises
    ------
    TypeError
        If `instances` is no array of integers or bool, or a number is none.
    ValueError
        If there is no spatial axis, or a number is out of range.

    Notes
    -----
    An image with fewer than two instances has no gaps. Exact and free of shapes that depend on values:
    see `signed_distance_map`.

    References
    ----------
    .. [1] O. Ronneberger, P. Fischer and T. Brox, "U-Net: Convolutional Networks for Biomedical Image
       Segmentation", MICCAI 2015, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss.maps import unet_weight_map
    >>> unet_weight_map(np.asarray([[1, 0, 2, 0, 0, 0, 0]]), sigma=2.0).round(2)
    array([[1.  , 7.07, 1.  , 2.35, 1.11, 1.  , 1.  ]])
    """
    backend, shape = _checked(instances, "instances")
    steps = checked_spacing(spacing, len(shape) - 1)
    w0, sigma = checks.weight("w0", w0), _positive("sigma", sigma)
    background, foreground = _pair(balance)
    xp, labels = backend.xp, backend.class_indices(instances)
    d1, d2 = backend.nearest_two_distances(labels, steps, _default_dtype(backend, labels))
    # w0 exp(-(d1 + d2)^2 / (2 sigma^2)), 0 where d2 is infinite
    total = (d1 + d2) / sigma
    gap = w0 * xp.exp(-0.5 * (total * total))
    return xp.where(labels == 0, background + gap, foreground)


def signed_distances(backend: Backend, inside: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
    """Signed distance maps (N, C, *S) of classes given by where they are (bool)."""
    xp, shape = backend.xp, inside.shape
    flat = xp.reshape(inside, (shape[0] * shape[1], *shape[2:]))
    to_inside, to_outside = (backend.distance_transform(side, spacing, dtype) for side in (flat, ~flat))
    signed = xp.where(flat, min(spacing) - to_outside, to_inside)
    # the other side of the border is infinitely far where the class is empty or full
    return xp.reshape(xp.where(xp.isinf(signed), 0.0, signed), shape)


def checked_spacing(spacing: Spacing, axes: int, note: str = "") -> tuple[float, ...]:
    """Turn `spacing` into one step for each spatial axis (TypeError, ValueError)."""
    several = isinstance(spacing, Sequence) and not isinstance(spacing, str)
    steps: Any = spacing if several else (1.0 if spacing is None else spacing,) * axes
    if len(steps) != axes:
        raise ValueError(
            f"`spacing` must have length {axes}, one step for each spatial axis; got {spacing!r}.{note}"
        )
    return tuple(_positive("spacing", step) for step in steps)


def _checked(labels: Array, name: str) -> tuple[Backend, tuple[int, ...]]:
    backend = backend_of(labels, name)
    if backend.kind(labels) != "integer":
        raise TypeError(f"`{name}` must be integer or bool; got {labels.dtype}.")
    shape = tuple(labels.shape)
    if len(shape) < 2:
        raise ValueError(f"`{name}` must have shape (N, *S) with one spatial axis or more; got {shape}.")
    return backend, shape


def _positive(name: str, value: Any) -> float:
    number = checks.number(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"`{name}` must be positive and finite; got {value}.")
    return number


def _pair(balance: Any) -> tuple[float, float]:
    if not isinstance(balance, Sequence) or isinstance(balance, str) or len(balance) != 2:
        raise ValueError(f"`balance` must be a pair of weights, (background, instances); got {balance!r}.")
    return checks.weight("balance", balance[0]), checks.weight("balance", balance[1])


def _default_dtype(backend: Backend, like: Array) -> Any:
    """Floating dtype that the library gives a Python float."""
    return backend.constant(0.0, None, like).dtype
