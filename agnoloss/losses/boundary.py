"""Losses on the borders of objects: signed distances to them, and the F1 score of finding them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..backends import backend_of
from ..backends.base import Array
from ..docstrings import documented
from ..elementary import divide
from ..grid import cell_weights, cells, members, need_axes, sum_cells
from ..maps import checked_spacing, signed_distances
from ..pixels import Pixels
from ..reductions import Classes
from ..remembered import remembered

EPS = 1e-7
"""Below precision, recall and F1, as in the published code: a border of length 0 gives 0 and not NaN."""


@remembered
@documented
def boundary_loss(
    predictions: Array,
    targets: Array | None,
    /,
    *,
    mode: str = "multiclass",
    from_logits: bool = True,
    axis: int = 1,
    ignore_index: int | Sequence[int] | None = None,
    pixel_weights: Array | None = None,
    class_weights: Sequence[float] | Array | str | None = None,
    classes: str | Sequence[int] | None = None,
    distance_maps: Array | None = None,
    spacing: float | Sequence[float] | None = None,
    reduction: str = "mean",
    all_reduce: Callable[[Array], Array] | None = None,
) -> Array:
    """Pull a predicted border towards the true one: probability costs its signed distance to the object.

    With phi the signed distance to the border of each class, negative inside::

        loss = sum_ic u_i w_c phi_ic p_ic / sum_ic u_i w_c

    Parameters
    ----------
    {common}
    classes : {"all", "present"} or sequence of ints, optional
        Classes to average over. By default all but class 0, the background, in multiclass mode, and
        every channel otherwise.
    distance_maps : array, optional
        phi, of the shape of `predictions`, computed ahead, as by `maps.signed_distance_map`. `targets`
        are then needed for `ignore_index`, "balanced" and "present" alone, and may be None.
    spacing : float or sequence of floats, default 1
        Step of the grid, the same or one along each spatial axis.
    {pixel_reduction}
        For each class in multiclass mode too, ``(N, C, *S)``.
    {all_reduce}

    {outcome}

    Notes
    -----
    The loss is negative where it is good, and its gradient does not vanish at the optimum: it is meant
    to be added to a region loss. An ignored pixel is outside every class when distances are measured.
    Soft targets count as inside above 1/2. No gradient flows through the distances.

    References
    ----------
    .. [1] H. Kervadec et al., "Boundary loss for highly unbalanced segmentation", MIDL 2019, equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import boundary_loss
    >>> p, y = np.asarray([[0.5, 0.5, 1.0, 1.0, 0.0]]), np.asarray([[0, 0, 1, 1, 1]])
    >>> boundary_loss(p, y, mode="binary", from_logits=False)  # phi = 2 1 0 -1 -2
    np.float64(0.1)
    """
    if targets is None:
        targets = _no_targets(predictions, ignore_index, class_weights, classes, distance_maps)
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    layout = checks.Layout(predictions.shape, targets.shape, mode, axis)
    return border(pixels, layout, classes, distance_maps, spacing)


def border(
    pixels: Pixels,
    layout: checks.Layout,
    classes: str | Sequence[int] | None,
    distance_maps: Array | None,
    spacing: float | Sequence[float] | None,
) -> Array:
    """sum_ic u_i w_c phi_ic p_ic / sum_ic u_i w_c, reduced as `pixels` says."""
    if classes is None:
        classes = range(1, pixels.num_classes) if pixels.mode == "multiclass" else "all"
    chosen = Classes(pixels, classes, per_image=False)
    if distance_maps is None:
        phi = _distances(pixels, chosen.classes, spacing)
    elif spacing is not None:
        raise ValueError(f"`spacing` has no meaning where `distance_maps` are given; got {spacing!r}.")
    else:
        phi = _given_distances(pixels, layout, distance_maps)
    xp, block = pixels.xp, pixels.whole
    terms = phi * block.probs
    sums = (block.sum_pixels(terms), block.sizes(), block.target_counts)
    ((total, size, true),) = pixels.sum(lambda _: sums, whole=True)
    w = chosen.weights(true)
    if pixels.reduction == "none":
        u = 1.0 if block.weights is None else block.class_axis(block.weights)
        return pixels.restore(pixels.trusted(block.column(w) * u * terms))
    total, share = xp.sum(w * total), xp.sum(w * size)
    return total if pixels.reduction == "sum" else divide(xp, total, share)


def _no_targets(
    predictions: Array, ignore_index: Any, class_weights: Any, classes: Any, distance_maps: Any
) -> Array:
    """Stand-in for targets that are not needed, or a ValueError that says what needs them."""
    needs = {
        "to compute the distances; or pass `distance_maps`": distance_maps is None,
        "for `ignore_index`; or pass `pixel_weights`": ignore_index is not None,
        'for class_weights="balanced"': isinstance(class_weights, str),
        'for classes="present"': isinstance(classes, str) and classes == "present",
    }
    for why, needed in needs.items():
        if needed:
            raise ValueError(f"`targets` are needed {why}; got None.")
    return backend_of(predictions, "predictions").xp.zeros_like(predictions)


def _distances(pixels: Pixels, classes: str | tuple[int, ...], spacing: Any) -> Array:
    """Signed distances (N, C, P) to the classes asked for, 0 for the others."""
    need_axes(pixels)
    xp, inside = pixels.xp, members(pixels)
    indices = range(pixels.num_classes) if isinstance(classes, str) else classes
    inside = xp.stack([inside[:, c, ...] for c in indices], axis=1)
    steps = checked_spacing(spacing, len(pixels.spatial))
    phi = signed_distances(pixels.backend, inside, steps, pixels.dtype)
    maps = {c: phi[:, k, ...] for k, c in enumerate(indices)}
    nothing = xp.zeros_like(phi[:, 0, ...])
    phi = xp.stack([maps.get(c, nothing) for c in range(pixels.num_classes)], axis=1)
    return xp.reshape(phi, pixels.whole.scores.shape)


def _given_distances(pixels: Pixels, layout: checks.Layout, distance_maps: Array) -> Array:
    """Distance maps that the user made, as (N, C, P), 0 where a pixel does not count."""
    backend, xp, block = pixels.backend, pixels.xp, pixels.whole
    maps = backend.adopt(distance_maps, backend_of(distance_maps, "distance_maps"), "distance_maps")
    if backend.kind(maps) == "other":
        raise TypeError(f"`distance_maps` must be real; got {maps.dtype}.")
    if tuple(maps.shape) != layout.shape:
        raise ValueError(
            f"`distance_maps` must have the shape of `predictions`, {layout.shape}; got {tuple(maps.shape)}."
        )
    phi = layout.flatten(xp, xp.astype(backend.stop_gradient(maps), pixels.dtype))
    return phi if block.valid is None else xp.where(block.class_axis(block.valid), phi, 0.0)


@remembered
@documented
def boundary_f1_loss(
    predictions: Array,
    targets: Array,
    /,
    *,
    mode: str = "multiclass",
    from_logits: bool = True,
    axis: int = 1,
    ignore_index: int | Sequence[int] | None = None,
    pixel_weights: Array | None = None,
    class_weights: Sequence[float] | Array | str | None = None,
    classes: str | Sequence[int] = "all",
    theta0: int = 3,
    theta: int = 5,
    reduction: str = "mean",
) -> Array:
    """Make contours right: 1 - F1 of border pixels found within a tolerance.

    For each image and class, with pool(x, n) the largest value in a window of n pixels a side::

        y_b = pool(1 - y, theta0) - (1 - y),     y_ext = pool(y_b, theta),    the same for p
        precision = sum u p_b y_ext / sum u p_b,   recall = sum u y_b p_ext / sum u y_b
        loss = 1 - 2 precision recall / (precision + recall)

    with 1e-7 added to each denominator.

    Parameters
    ----------
    {common}
    {classes}
    theta0 : int, default 3
        Window that finds the border, in pixels: an odd number from 3 on.
    theta : int, default 5
        Window of the tolerance: a border counts as found within ``(theta - 1) / 2`` pixels. Odd.
    reduction : {"mean", "sum", "none"}, default "mean"
        Weighted mean over the classes of each image, then mean over images; weighted sum; or the
        weighted loss of every image and class, ``(N, C)``, 0 for classes not chosen.

    {outcome}

    Notes
    -----
    A class without a border in target or prediction has loss 1. An ignored pixel is outside every
    class, so objects have a border beside it. Between equal values in a window the gradient goes to the
    first, in the order of memory.

    References
    ----------
    .. [1] A. Bokhovkin and E. Burnaev, "Boundary Loss for Remote Sensing Imagery Semantic
       Segmentation", ISNN 2019, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import boundary_f1_loss
    >>> y = np.asarray([[0, 0, 0, 1, 1, 1, 0, 0, 0]])
    >>> p = np.asarray([[0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    >>> print(f"{boundary_f1_loss(p, y, mode='binary', from_logits=False, theta=1):.4f}")
    1.0000
    >>> print(f"{boundary_f1_loss(p, y, mode='binary', from_logits=False, theta=3):.4f}")
    0.0000
    """
    pixels = Pixels(
        predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction,
    )  # fmt: skip
    need_axes(pixels)
    theta0, theta = _window("theta0", theta0, 3), _window("theta", theta, 1)
    chosen = Classes(pixels, classes, per_image=True)
    xp, block, u = pixels.xp, pixels.whole, cell_weights(pixels)

    def border(inside: Array) -> tuple[Array, Array]:
        # b = pool(1 - x, theta0) - (1 - x);  ext = pool(b, theta)
        outside = 1 - cells(pixels, inside)
        edge = pixels.backend.max_pool(outside, theta0) - outside
        return edge, pixels.backend.max_pool(edge, theta)

    y_b, y_ext = border(block.targets)
    p_b, p_ext = border(block.probs)
    precision = sum_cells(pixels, p_b * y_ext, u) / (sum_cells(pixels, p_b, u) + EPS)
    recall = sum_cells(pixels, y_b * p_ext, u) / (sum_cells(pixels, y_b, u) + EPS)
    f1 = 2 * precision * recall / (precision + recall + EPS)
    losses = xp.where(block.sizes() == 0, 0.0, 1 - f1)
    return chosen.reduce(pixels.trusted(losses), block.target_counts)


def _window(name: str, value: Any, least: int) -> int:
    """Check the size of a window, which needs a cell in its middle (TypeError, ValueError)."""
    try:
        size = operator.index(value)
    except TypeError:
        raise TypeError(f"`{name}` must be an int; got {value!r}.") from None
    if size < least or size % 2 == 0:
        raise ValueError(f"`{name}` must be an odd number of pixels, at least {least}; got {size}.")
    return size
