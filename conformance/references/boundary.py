"""Losses on the borders of the classes, as loops."""

import numpy as np

from ._common import (
    check_reduction,
    chosen_classes,
    over_classes,
    read,
    read_maps,
    weighted_mean,
    weights_of_classes,
)
from .maps import signed_distances


def boundary_loss(
    predictions,
    targets,
    /,
    *,
    mode="multiclass",
    from_logits=True,
    axis=1,
    ignore_index=None,
    pixel_weights=None,
    class_weights=None,
    classes=None,
    distance_maps=None,
    spacing=None,
    reduction="mean",
):
    """Mean over images, chosen classes and pixels of phi p; phi < 0 inside the target.

    Kervadec et al., Boundary loss for highly unbalanced segmentation, MIDL 2019.
    classes=None: all but class 0 in multiclass mode, else all. An ignored pixel is outside every
    class when phi is computed, and has weight 0. reduction="none" gives the predictions' shape, in
    binary mode (N, *S).
    """
    check_reduction(reduction, "mean", "sum", "none")
    if targets is None:  # only shapes and pixel weights are needed then
        if isinstance(class_weights, str) or classes == "present":
            raise ValueError("`targets` are needed to count the classes.")
        targets, ignore_index = np.zeros(np.shape(predictions)), None
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w = weights_of_classes(batch, class_weights)
    phi = None if distance_maps is None else read_maps(distance_maps, targets, mode, axis)

    (pixels,) = batch.pools(per_image=False)
    if classes is None:
        kept = list(range(1 if mode == "multiclass" else 0, batch.classes))
    else:
        counts = [sum(px.weights[c] * px.targets[c] for px in pixels) for c in range(batch.classes)]
        kept = chosen_classes(classes, [count > 0 for count in counts])

    losses = np.zeros((len(batch.images), batch.classes, len(batch.images[0])))
    share = 0.0
    for n, image in enumerate(batch.images):
        for c in kept:
            if phi is None:
                inside = [pixel.targets[c] > 0.5 for pixel in image]
                distances = signed_distances(inside, batch.space, spacing)
            else:
                distances = phi[n][c]
            for i, pixel in enumerate(image):
                weight = w[c] * pixel.weights[c]
                if weight:  # the given map may hold anything where a pixel is ignored
                    losses[n, c, i] = weight * distances[i] * pixel.probs[c]
                    share += weight
    if reduction == "none":
        if mode == "binary":
            return losses.reshape(len(losses), *batch.space)
        return np.moveaxis(losses.reshape(len(losses), batch.classes, *batch.space), 1, axis)
    total = float(np.sum(losses))
    return total if reduction == "sum" else weighted_mean(total, share)


EPS = 1e-7  # below precision, recall and BF1


def max_pool(grid, size):
    """Largest value in the window of odd `size` about each point, cut off at the borders."""
    if size % 2 == 0:
        raise ValueError(f"a window needs an odd size to have a centre; got {size}.")
    pooled = np.zeros(grid.shape)
    for point in np.ndindex(*grid.shape):
        window = tuple(slice(max(i - size // 2, 0), i + size // 2 + 1) for i in point)
        pooled[point] = grid[window].max()
    return pooled


def boundary_f1(p, y, u, theta0, theta):
    """BF1 of one class in one image, all three arrays of shape S.

    y_b = pool(1 - y, theta0) - (1 - y), its extension pool(y_b, theta), the same for p;
    precision = sum(p_b y_ext) / sum(p_b), recall = sum(y_b p_ext) / sum(y_b).
    """
    y_border = max_pool(1 - y, theta0) - (1 - y)
    p_border = max_pool(1 - p, theta0) - (1 - p)
    y_extended, p_extended = max_pool(y_border, theta), max_pool(p_border, theta)
    hit = found = p_length = y_length = 0.0
    for point in np.ndindex(*p.shape):
        hit += u[point] * p_border[point] * y_extended[point]
        found += u[point] * y_border[point] * p_extended[point]
        p_length += u[point] * p_border[point]
        y_length += u[point] * y_border[point]
    precision, recall = hit / (p_length + EPS), found / (y_length + EPS)
    return 2 * precision * recall / (precision + recall + EPS)


def boundary_f1_loss(
    predictions,
    targets,
    /,
    *,
    mode="multiclass",
    from_logits=True,
    axis=1,
    ignore_index=None,
    pixel_weights=None,
    class_weights=None,
    classes="all",
    theta0=3,
    theta=5,
    reduction="mean",
):
    """1 - BF1 per image and class, then the mean over classes, then over images.

    Bokhovkin and Burnaev, Boundary Loss for Remote Sensing Imagery Semantic Segmentation, ISNN
    2019. An ignored pixel is outside every class (y = p = 0) and has weight 0.
    reduction="none" gives (N, C).
    """
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w = weights_of_classes(batch, class_weights)
    losses, chosen = [], []
    for image in batch.images:
        row, present = [], []
        for c in range(batch.classes):
            p = np.reshape([pixel.probs[c] for pixel in image], batch.space)
            y = np.reshape([pixel.targets[c] for pixel in image], batch.space)
            u = np.reshape([pixel.weights[c] for pixel in image], batch.space)
            row.append(1 - boundary_f1(p, y, u, theta0, theta) if np.any(u) else 0.0)
            present.append(bool(np.any(u * y > 0)))
        losses.append(row)
        chosen.append(chosen_classes(classes, present))
    return over_classes(losses, chosen, w, True, reduction)
