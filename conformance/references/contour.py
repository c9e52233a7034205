"""Active contour loss, as a loop."""

import math

import numpy as np

from ._common import chosen_classes, over_classes, read, weighted_mean, weights_of_classes


def contour_length(p, u, eps):
    """Sum of u sqrt(sum_a d_a^2 + eps) over the interior, and sum of u; p and u of shape S.

    At i = 0 .. size - 3 (per axis) d_a = p[i + 2] - p[i + 1] along its own axis a, at index i along
    the others: the alignment of the published code. Its weight is that of the interior pixel i + 1.
    """
    total = share = 0.0
    for i in np.ndindex(*(max(size - 2, 0) for size in p.shape)):
        squares = eps
        for a in range(p.ndim):
            ahead = tuple(k + 2 if b == a else k for b, k in enumerate(i))
            here = tuple(k + 1 if b == a else k for b, k in enumerate(i))
            squares += (p[ahead] - p[here]) ** 2
        weight = u[tuple(k + 1 for k in i)]
        total += weight * math.sqrt(squares)
        share += weight
    return total, share


def active_contour_loss(
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
    per_image=False,
    weight=10.0,
    eps=1e-8,
    reduction="mean",
):
    """weight x length + mean(p (y - 1)^2) + mean((1 - p) y^2), per class.

    Chen et al., Learning Active Contour Models for Medical Image Segmentation, CVPR 2019, and
    the authors' code. An ignored pixel has y = p = 0 and weight 0 in every mean.
    Reduced over classes as the region losses are.
    """
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w = weights_of_classes(batch, class_weights)
    losses, chosen = [], []
    for images in [[image] for image in batch.images] if per_image else [batch.images]:
        row, present = [], []
        for c in range(batch.classes):
            length = interior = region = everything = foreground = 0.0
            for image in images:
                p = np.reshape([pixel.probs[c] for pixel in image], batch.space)
                u = np.reshape([pixel.weights[c] for pixel in image], batch.space)
                total, share = contour_length(p, u, eps)
                length += total
                interior += share
                for pixel in image:
                    y = pixel.targets[c]
                    outside = pixel.probs[c] * (y - 1) ** 2
                    inside = (1 - pixel.probs[c]) * y**2
                    region += pixel.weights[c] * (outside + inside)
                    everything += pixel.weights[c]
                    foreground += pixel.weights[c] * y
            contour = weighted_mean(length, interior)
            row.append(weight * contour + weighted_mean(region, everything))
            present.append(foreground > 0)
        losses.append(row)
        chosen.append(chosen_classes(classes, present))
    return over_classes(losses, chosen, w, per_image, reduction)
