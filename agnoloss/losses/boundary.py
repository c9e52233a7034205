"""Losses on the borders of objects: signed distances to them, and the F1 score of finding them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import words
from ..array import Array
from ..backends import backend_of
from ..batch import Batch, checks
from ..batch.values import real
from ..docstrings import documented
from ..maps import Spacing, checked_spacing, signed_distances
from ..statistics.probabilities import Probabilities
from ..statistics.reductions import Classes
from ..statistics.safe_math import divide, scaled
from ..statistics.spatial import class_masks, need_axes, spatial, spatial_weights, sum_spatial

EPS = 1e-7
"""Below precision, recall and F1, as in the published code: a border of length 0 gives 0 and not NaN."""


@documented
def boundary_loss(
    predictions: Array, targets: Array | None, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice | None = None,
    distance_maps: Array | None = None, spacing: float | Sequence[float] | None = None,
    reduction: words.Reduction = "mean", all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Pull a predicted border towards the true one: probability costs its signed distance to the object.

    With phi the signed distance to the border of each class, negative inside::

        loss = sum_ic u_i w_c phi_ic p_ic / sum_ic u_i w_c

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    classes : {"all", "present"} or sequence of ints, optional
        Classes to average over. By default all but class 0, the background, in multiclass mode, and
        every channel otherwise.
    distance_maps : array, optional
        phi, of the shape of `predictions`, computed ahead, as by `maps.signed_distance_map`. `targets`
        are then needed for `ignore_index`, "balanced" and "present" alone, and may be None.
    spacing : float or sequence of floats, default 1
        Step of the grid, the same or one along each spatial axis.
    reduction : {"mean", "sum", "none", "per_image"}, default "mean"
        Weighted mean over the pixels that count; weighted sum; every pixel's weighted loss, for each
        class in the predictions' shape, ``(N, *S)`` in binary mode, 0 where ignored; or the loss of each
        image alone, ``(N,)``.

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
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction, all_reduce=all_reduce)  # fmt: skip
    return signed_overlap(batch, classes, distance_maps, spacing)


def signed_overlap(
    batch: Batch, classes: str | Sequence[int] | None, distance_maps: Array | None, spacing: Spacing
) -> Array:
    """sum_ic u_i w_c phi_ic p_ic / sum_ic u_i w_c, reduced as the batch says."""
    if classes is None:
        classes = range(1, batch.num_classes) if batch.multiclass else "all"
    chosen = Classes(batch, classes, per_image=False)
    if distance_maps is None:
        phi = _distances(batch, chosen.classes, spacing)
    elif spacing is not None:
        raise ValueError(f"`spacing` has no meaning where `distance_maps` are given; got {spacing!r}.")
    else:
        phi = _given_distances(batch, distance_maps)
    xp, terms = batch.xp, phi * Probabilities(batch).probs
    w = chosen.weights(batch.add_up(batch.target_sums))
    if batch.reduction == "none":
        u = 1.0 if batch.weights is None else batch.class_axis(batch.weights)
        return batch.unflatten(batch.nan_if_invalid(scaled(xp, batch.column(w), u * terms)))
    total = xp.sum(scaled(xp, w, batch.add_up(batch.sum_pixels(terms))), axis=-1)
    share = xp.sum(w * batch.add_up(batch.sizes), axis=-1)
    return total if batch.reduction == "sum" else divide(xp, total, share)


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


def _distances(batch: Batch, classes: str | tuple[int, ...], spacing: Any) -> Array:
    """Signed distances (N, C, P) to the classes asked for, 0 for the others."""
    need_axes(batch)
    xp, inside = batch.xp, class_masks(batch)
    indices = range(batch.num_classes) if isinstance(classes, str) else classes
    inside = xp.stack([inside[:, c, ...] for c in indices], axis=1)
    steps = checked_spacing(spacing, len(batch.spatial), batch.layout.note)
    phi = signed_distances(batch.backend, inside, steps, batch.dtype)
    maps = {c: phi[:, k, ...] for k, c in enumerate(indices)}
    nothing = xp.zeros_like(phi[:, 0, ...])
    phi = xp.stack([maps.get(c, nothing) for c in range(batch.num_classes)], axis=1)
    return xp.reshape(phi, batch.predictions.shape)


def _given_distances(batch: Batch, distance_maps: Array) -> Array:
    """Distance maps that the user made, as (N, C, P), 0 where a pixel does not count."""
    xp, shape = batch.xp, batch.layout.shape
    maps = real(batch.backend, "distance_maps", distance_maps, batch.predictions)
    if tuple(maps.shape) != shape:
        raise ValueError(
            f"`distance_maps` must have the shape of `predictions`, {shape}; got {tuple(maps.shape)}."
        )
    phi = batch.layout.flatten(xp, xp.astype(batch.backend.stop_gradient(maps), batch.dtype))
    return phi if batch.valid is None else xp.where(batch.class_axis(batch.valid), phi, 0.0)


@documented
def boundary_f1_loss(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", theta0: int = 3,
    theta: int = 5, reduction: words.Reduction = "mean",
) -> Array:  # fmt: skip
    """Make contours right: 1 - F1 of border pixels found within a tolerance.

    For each image and class, with pool(x, n) the largest value in a window of n pixels a side::

        y_b = pool(1 - y, theta0) - (1 - y),     y_ext = pool(y_b, theta),    the same for p
        precision = sum u p_b y_ext / sum u p_b,   recall = sum u y_b p_ext / sum u y_b
        loss = 1 - 2 precision recall / (precision + recall)

    with 1e-7 added to each denominator.

    Words shared by all losses: see `agnoloss.losses`.

    Parameters
    ----------
    theta0 : int, default 3
        Window that finds the border, in pixels: an odd number from 3 on.
    theta : int, default 5
        Window of the tolerance: a border counts as found within ``(theta - 1) / 2`` pixels. Odd.
    reduction : {"mean", "sum", "none", "per_image"}, default "mean"
        Weighted mean over the classes of each image, then mean over images; weighted sum; the weighted
        loss of every image and class, ``(N, C)``, 0 for classes not chosen; or that of each image, ``(N,)``.

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
    batch = Batch(predictions, targets, mode=mode, from_logits=from_logits, axis=axis,
                  ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
                  reduction=reduction)  # fmt: skip
    need_axes(batch)
    theta0, theta = _window("theta0", theta0, 3), _window("theta", theta, 1)
    chosen = Classes(batch, classes, per_image=True)
    max_pool, u = batch.backend.max_pool, spatial_weights(batch)

    def border(inside: Array) -> tuple[Array, Array]:
        # b = pool(1 - x, theta0) - (1 - x);  ext = pool(b, theta)
        outside = 1 - spatial(batch, inside)
        edge = max_pool(outside, theta0) - outside
        return edge, max_pool(edge, theta)

    y_b, y_ext = border(batch.targets)
    p_b, p_ext = border(Probabilities(batch).probs)
    precision = sum_spatial(batch, p_b * y_ext, u) / (sum_spatial(batch, p_b, u) + EPS)
    recall = sum_spatial(batch, y_b * p_ext, u) / (sum_spatial(batch, y_b, u) + EPS)
    f1 = 2 * precision * recall / (precision + recall + EPS)
    losses = batch.xp.where(batch.sizes == 0, 0.0, 1 - f1)
    return chosen.reduce(batch.nan_if_invalid(losses), batch.target_sums, batch.sizes)


def _window(name: str, value: Any, least: int) -> int:
    """Check the size of a window, which needs a cell in its middle (TypeError, ValueError)."""
    size = checks.integer(name, value)
    if size < least or size % 2 == 0:
        raise ValueError(f"`{name}` must be an odd number of pixels, at least {least}; got {size}.")
    return size
