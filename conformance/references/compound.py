"""Weighted sums of a pixel loss and a region loss, each from its own reference."""

import math

from ._common import LOG_FLOOR, check_reduction, over_pixels, per_class, read, weights_of_sides
from .boundary import boundary_loss
from .cross_entropy import cross_entropy_loss
from .region import by_class, class_sums, dice, dice_loss, generalized_dice_loss


def dice_cross_entropy_loss(
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
    dice_weight=1.0,
    cross_entropy_weight=1.0,
    smooth=1.0,
    squared=False,
    label_smoothing=0.0,
    pos_weight=None,
    reduction="mean",
):
    """dice_weight Dice + cross_entropy_weight CE; `classes` and the like concern the Dice half.

    Class weights of binary mode are those of cross entropy alone.
    """
    check_reduction(reduction, "mean", "sum")
    common = {
        "mode": mode,
        "from_logits": from_logits,
        "axis": axis,
        "ignore_index": ignore_index,
        "pixel_weights": pixel_weights,
        "reduction": reduction,
    }
    region = dice_loss(
        predictions,
        targets,
        class_weights=of_classes(mode, class_weights),
        classes=classes,
        per_image=per_image,
        average=average,
        smooth=smooth,
        squared=squared,
        **common,
    )
    entropy = cross_entropy_loss(
        predictions,
        targets,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        pos_weight=pos_weight,
        **common,
    )
    return dice_weight * region + cross_entropy_weight * entropy


def of_classes(mode, class_weights):
    """Class weights of the Dice half, which has one class in binary mode."""
    return None if mode == "binary" else class_weights


def combo_loss(
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
    alpha=0.5,
    beta=0.5,
    smooth=1.0,
    reduction="mean",
):
    """alpha CE_beta + (1 - alpha) (1 - Dice).

    CE_beta is the mean over elements, one per pixel and class, of
    -(beta y log p + (1 - beta) (1 - y) log(1 - p)). Taghanaki et al., Combo Loss, CMIG 2019,
    where Dice is subtracted: the paper's value is this minus (1 - alpha).
    """
    check_reduction(reduction, "mean", "sum")
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w, w_0 = weights_of_sides(batch, class_weights)

    def terms(pixel):
        loss = share = 0.0
        for c in range(batch.classes):
            y, u = pixel.targets[c], pixel.weights[c]
            loss -= u * w[c] * beta * y * pixel.log_probs[c]
            loss -= u * w_0[c] * (1 - beta) * (1 - y) * pixel.log_rests[c]
            share += u * (w[c] * y + w_0[c] * (1 - y))
        return [(loss, share)]

    entropy = over_pixels(batch, terms, reduction)
    region = by_class(
        batch,
        lambda sums: 1 - dice(sums, smooth),
        *(of_classes(mode, class_weights), classes, per_image, average, reduction),
    )
    return alpha * entropy + (1 - alpha) * region


def exponential_logarithmic_loss(
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
    dice_weight=0.8,
    cross_entropy_weight=0.2,
    gamma_dice=0.3,
    gamma_cross_entropy=0.3,
    smooth=1.0,
    reduction="mean",
):
    """dice_weight mean_c (-ln Dice_c)^gd + cross_entropy_weight mean_i w_y (-ln p_y)^gc.

    Wong et al., 3D Segmentation with Exponential Logarithmic Loss, MICCAI 2018, equations 1 to 3:
    w_c = sqrt(sum_k T_k / T_c), unless class_weights are given; a plain mean over valid pixels.
    With a sigmoid, each channel is a problem of two classes, y = 1 and y = 0, with their own w.
    """
    check_reduction(reduction, "mean", "sum")
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    (pixels,) = batch.pools(per_image=False)
    sums = [class_sums(pixels, c) for c in range(batch.classes)]

    def rarity(everything, count):
        return math.sqrt(everything / count) if count else 0.0

    if class_weights is not None:
        positive, negative = weights_of_sides(batch, class_weights)
    elif mode == "multiclass":
        positive = [rarity(sum(s.t for s in sums), s.t) for s in sums]
        negative = per_class(0.0, batch.classes)
    else:
        positive = [rarity(s.valid, s.t) for s in sums]
        negative = [rarity(s.valid, s.valid - s.t) for s in sums]

    def terms(pixel):
        loss = share = 0.0
        for c in range(batch.classes):
            u, y = pixel.weights[c], pixel.targets[c]
            loss += u * y * positive[c] * (-pixel.log_probs[c]) ** gamma_cross_entropy
            if mode != "multiclass":
                rest = (-pixel.log_rests[c]) ** gamma_cross_entropy
                loss += u * (1 - y) * negative[c] * rest
                share += u
        return [(loss, pixel.weight if mode == "multiclass" else share)]

    def region_of(sums):
        score = max(dice(sums, smooth), LOG_FLOOR)  # a class without any overlap stays finite
        return max(-math.log(score), 0.0) ** gamma_dice

    entropy = over_pixels(batch, terms, reduction)
    region = by_class(
        batch, region_of, of_classes(mode, class_weights), classes, per_image, average, reduction
    )
    return dice_weight * region + cross_entropy_weight * entropy


def dice_boundary_loss(
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
    per_image=False,
    alpha=0.5,
    weighting="square",
    smooth=0.0,
    distance_maps=None,
    spacing=None,
    reduction="mean",
):
    """alpha x generalized Dice + (1 - alpha) x boundary (Kervadec et al., MIDL 2019).

    classes=None leaves each half its own default: all, and all but class 0.
    """
    check_reduction(reduction, "mean", "sum")
    common = {
        "mode": mode,
        "from_logits": from_logits,
        "axis": axis,
        "ignore_index": ignore_index,
        "pixel_weights": pixel_weights,
        "class_weights": class_weights,
        "reduction": reduction,
    }
    region = generalized_dice_loss(
        predictions,
        targets,
        classes="all" if classes is None else classes,
        per_image=per_image,
        weighting=weighting,
        smooth=smooth,
        **common,
    )
    border = boundary_loss(
        predictions,
        targets,
        classes=classes,
        distance_maps=distance_maps,
        spacing=spacing,
        **common,
    )
    return alpha * region + (1 - alpha) * border
