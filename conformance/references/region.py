"""Losses on the overlap of prediction and target, as loops."""

import math
from typing import NamedTuple

from ._common import chosen_classes, over_classes, over_pools, read, weights_of_classes


class Sums(NamedTuple):
    """The sums of one class over a pool of pixels: valid = sum u and the rest as in DESIGN 5."""

    valid: float
    tp: float
    p: float
    t: float


def class_sums(pixels, c, squared=False):
    """TP = sum u min(p, y), P = sum u p, T = sum u y.

    Squared: TP = sum u p y, P = sum u p^2, T = sum u y^2.
    """
    valid = tp = p_sum = t_sum = 0.0
    for pixel in pixels:
        u, p, y = pixel.weights[c], pixel.probs[c], pixel.targets[c]
        valid += u
        tp += u * (p * y if squared else min(p, y))
        p_sum += u * (p * p if squared else p)
        t_sum += u * (y * y if squared else y)
    return Sums(valid, tp, p_sum, t_sum)


def smoothing(smooth):
    """(numerator, denominator) of a number or a pair."""
    top, bottom = smooth if isinstance(smooth, (tuple, list)) else (smooth, smooth)
    return float(top), float(bottom)


def ratio(top, bottom):
    """A score; nothing predicted and nothing true is a perfect one."""
    return 1.0 if bottom == 0 else top / bottom


def dice(sums, smooth):
    """(2 TP + s) / (P + T + s)."""
    top, bottom = smoothing(smooth)
    return ratio(2 * sums.tp + top, sums.p + sums.t + bottom)


def jaccard(sums, smooth):
    """(TP + s) / (P + T - TP + s)."""
    top, bottom = smoothing(smooth)
    return ratio(sums.tp + top, sums.p + sums.t - sums.tp + bottom)


def tversky(sums, alpha, beta, smooth):
    """(TP + s) / (TP + alpha FP + beta FN + s), FP = P - TP, FN = T - TP."""
    top, bottom = smoothing(smooth)
    fp, fn = sums.p - sums.tp, sums.t - sums.tp
    return ratio(sums.tp + top, sums.tp + alpha * fp + beta * fn + bottom)


def by_class(batch, loss_of, class_weights, classes, per_image, average, reduction, squared=False):
    """`loss_of(Sums)` of each class (macro) or of the weighted sums of the classes (micro)."""
    if average not in ("macro", "micro"):
        raise ValueError(f'`average` must be "macro" or "micro"; got {average!r}.')
    w = weights_of_classes(batch, class_weights)
    losses, chosen = [], []
    for pixels in batch.pools(per_image):
        sums = [class_sums(pixels, c, squared) for c in range(batch.classes)]
        kept = chosen_classes(classes, [s.t > 0 for s in sums])
        chosen.append(kept)
        if average == "macro":
            losses.append([loss_of(s) if s.valid else 0.0 for s in sums])
        else:
            pooled = Sums(*(sum(w[c] * sums[c][k] for c in kept) for k in range(4)))
            losses.append(loss_of(pooled) if pooled.valid else 0.0)
    if average == "macro":
        return over_classes(losses, chosen, w, per_image, reduction)
    return over_pools(losses, per_image, reduction)


def dice_loss(
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
    average="macro",
    smooth=1.0,
    squared=False,
    reduction="mean",
):
    """1 - (2 TP + s) / (P + T + s). Milletari et al., V-Net, 3DV 2016, section 3 (squared)."""
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    return by_class(
        batch,
        lambda sums: 1 - dice(sums, smooth),
        *(class_weights, classes, per_image, average, reduction, squared),
    )


def jaccard_loss(
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
    average="macro",
    smooth=1.0,
    squared=False,
    reduction="mean",
):
    """1 - (TP + s) / (P + T - TP + s). Rahman and Wang, ISVC 2016."""
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    return by_class(
        batch,
        lambda sums: 1 - jaccard(sums, smooth),
        *(class_weights, classes, per_image, average, reduction, squared),
    )


def tversky_loss(
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
    average="macro",
    alpha=0.3,
    beta=0.7,
    smooth=1.0,
    reduction="mean",
):
    """1 - (TP + s) / (TP + alpha FP + beta FN + s). Salehi et al., MLMI 2017."""
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    return by_class(
        batch,
        lambda sums: 1 - tversky(sums, alpha, beta, smooth),
        *(class_weights, classes, per_image, average, reduction),
    )


def focal_tversky_loss(
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
    average="macro",
    gamma=4 / 3,
    alpha=0.3,
    beta=0.7,
    smooth=1.0,
    reduction="mean",
):
    """(1 - TI_c)^(1 / gamma). Abraham and Khan, ISBI 2019."""
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    return by_class(
        batch,
        lambda sums: max(1 - tversky(sums, alpha, beta, smooth), 0.0) ** (1 / gamma),
        *(class_weights, classes, per_image, average, reduction),
    )


def log_cosh_dice_loss(
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
    average="macro",
    smooth=1.0,
    squared=False,
    reduction="mean",
):
    """log cosh(1 - Dice_c), with cosh x = 1 + 2 sinh(x/2)^2. Jadon, CIBCB 2020."""
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    return by_class(
        batch,
        lambda sums: math.log1p(2 * math.sinh((1 - dice(sums, smooth)) / 2) ** 2),
        *(class_weights, classes, per_image, average, reduction, squared),
    )


def generalized_dice_loss(
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
    weighting="square",
    smooth=0.0,
    reduction="mean",
):
    """1 - (2 sum_c w_c TP_c + s) / (sum_c w_c (P_c + T_c) + s), w_c = 1/T_c^2, 1/T_c or 1.

    Sudre et al., Generalised Dice Overlap, DLMIA 2017. An absent class has w_c = 0;
    class_weights multiply w_c. One number, or one per image.
    """
    power = {"square": 2, "simple": 1, "uniform": 0}[weighting]
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w = weights_of_classes(batch, class_weights)
    losses = []
    for pixels in batch.pools(per_image):
        sums = [class_sums(pixels, c) for c in range(batch.classes)]
        kept = chosen_classes(classes, [s.t > 0 for s in sums])
        valid = tp = p = t = 0.0
        for c in kept:
            weight = w[c] / sums[c].t ** power if sums[c].t else 0.0
            valid += sums[c].valid
            tp += weight * sums[c].tp
            p += weight * sums[c].p
            t += weight * sums[c].t
        losses.append(1 - dice(Sums(valid, tp, p, t), smooth) if valid else 0.0)
    return over_pools(losses, per_image, reduction)
