"""Focal loss, as a loop."""

import math

import numpy as np

from ._common import over_pixels, per_class, read, weights_of_sides


def focal_loss(
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
    gamma=2.0,
    alpha=None,
    pos_weight=None,
    label_smoothing=0.0,
    reduction="mean",
):
    """Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equation 5.

    multiclass: l_i = -sum_c w_c q_c alpha_c (1 - p_c)^gamma log p_c, alpha one per class.
    binary, multilabel: l = -(w_1 pos_weight alpha q (1 - p)^gamma log p
                              + w_0 (1 - alpha) (1 - q) p^gamma log(1 - p)).
    q are the targets smoothed as in cross entropy, q = (1 - e) y + e / C, of two classes with a sigmoid.
    Without alpha both terms have weight 1. The mean divides as cross entropy does, not by alpha.
    """
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w, w_0 = weights_of_sides(batch, class_weights)
    classes = range(batch.classes)
    if mode == "multiclass" and alpha is not None and np.ndim(alpha) == 0:
        raise ValueError("`alpha` must have one entry per class in multiclass mode.")
    positive = per_class(alpha, batch.classes)
    if mode == "multiclass" and pos_weight is not None:
        raise ValueError("`pos_weight` has no meaning in multiclass mode.")
    more, e = per_class(pos_weight, batch.classes), label_smoothing
    negative = [1.0 if alpha is None else 1 - a for a in positive]

    def softmax_terms(pixel):
        loss = share = 0.0
        for c in classes:
            y = pixel.targets[c]
            q = (1 - e) * y + e / batch.classes
            loss -= w[c] * q * positive[c] * pixel.rests[c] ** gamma * pixel.log_probs[c]
            share += w[c] * y
        return [(pixel.weight * loss, pixel.weight * share)]

    def sigmoid_terms(pixel):
        terms = []
        for c in classes:
            y = pixel.targets[c]
            q = (1 - e) * y + e / 2
            loss = -w[c] * more[c] * positive[c] * q * pixel.rests[c] ** gamma * pixel.log_probs[c]
            loss -= w_0[c] * negative[c] * (1 - q) * pixel.probs[c] ** gamma * pixel.log_rests[c]
            share = w[c] * y + w_0[c] * (1 - y)
            terms.append((pixel.weights[c] * loss, pixel.weights[c] * share))
        return terms

    return over_pixels(batch, softmax_terms if mode == "multiclass" else sigmoid_terms, reduction)


def focal_modulation(cross_entropy, gamma=2.0):
    """(1 - exp(-ce))^gamma ce, element by element."""
    array = np.asarray(cross_entropy, np.float64)
    values = [(-math.expm1(-ce)) ** gamma * ce for ce in array.ravel().tolist()]
    return values[0] if array.ndim == 0 else np.asarray(values).reshape(array.shape)
