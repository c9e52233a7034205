"""Cross entropy and its relatives, as loops."""

import math
from itertools import count

import numpy as np

from ._common import over_pixels, per_class, read, weights_of_classes, weights_of_sides


def cross_entropy_loss(
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
    label_smoothing=0.0,
    pos_weight=None,
    reduction="mean",
):
    """Cross entropy.

    multiclass: l_i = -sum_c w_c q_c log p_c with q = (1 - e) y + e / C; the mean divides by
    sum_i u_i sum_c w_c y_c, as torch.nn.functional.cross_entropy does.
    binary, multilabel: l = -(pos_weight q log p + (1 - q) log(1 - p)) with q = (1 - e) y + e / 2; class
    weights of binary mode are those of two classes.
    Smoothing: Szegedy et al., Rethinking the Inception Architecture, CVPR 2016, section 7.
    """
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w, w_0 = weights_of_sides(batch, class_weights)
    positive = per_class(pos_weight, batch.classes)
    e, classes = label_smoothing, range(batch.classes)
    if mode == "multiclass" and pos_weight is not None:
        raise ValueError("`pos_weight` has no meaning in multiclass mode.")

    def softmax_terms(pixel):
        loss = 0.0
        for c in classes:
            q = (1 - e) * pixel.targets[c] + e / batch.classes
            loss -= w[c] * q * pixel.log_probs[c]
        share = sum(w[c] * pixel.targets[c] for c in classes)
        return [(pixel.weight * loss, pixel.weight * share)]

    def sigmoid_terms(pixel):
        terms = []
        for c in classes:
            q = (1 - e) * pixel.targets[c] + e / 2
            loss = -w[c] * positive[c] * q * pixel.log_probs[c] - w_0[c] * (1 - q) * pixel.log_rests[c]
            share = w[c] * pixel.targets[c] + w_0[c] * (1 - pixel.targets[c])
            terms.append((pixel.weights[c] * loss, pixel.weights[c] * share))
        return terms

    return over_pixels(batch, softmax_terms if mode == "multiclass" else sigmoid_terms, reduction)


def balanced_cross_entropy_loss(
    predictions,
    targets,
    /,
    *,
    mode="binary",
    from_logits=True,
    axis=1,
    ignore_index=None,
    pixel_weights=None,
    class_weights=None,
    beta=None,
    reduction="mean",
):
    """-(beta y log p + (1 - beta) (1 - y) log(1 - p)), beta the share of negatives if not given.

    Xie and Tu, Holistically-Nested Edge Detection, ICCV 2015, equation 2: beta = |Y-| / |Y|, here
    1 - sum(u y) / sum(u) over the valid elements of the batch, per channel.
    """
    if mode == "multiclass":
        raise ValueError("balanced cross entropy is binary or multilabel.")
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w, w_0 = weights_of_sides(batch, class_weights)
    b = per_class(beta, batch.classes)
    if beta is None:
        (pixels,) = batch.pools(per_image=False)
        for c in range(batch.classes):
            positives = sum(px.weights[c] * px.targets[c] for px in pixels)
            everything = sum(px.weights[c] for px in pixels)
            b[c] = 1 - positives / everything if everything else 0.0

    def terms(pixel):
        pairs = []
        for c in range(batch.classes):
            y = pixel.targets[c]
            loss = -w[c] * b[c] * y * pixel.log_probs[c]
            loss -= w_0[c] * (1 - b[c]) * (1 - y) * pixel.log_rests[c]
            share = w[c] * y + w_0[c] * (1 - y)
            pairs.append((pixel.weights[c] * loss, pixel.weights[c] * share))
        return pairs

    return over_pixels(batch, terms, reduction)


def cost_sensitive_cross_entropy_loss(
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
    cost_matrix,
    reduction="mean",
):
    """l_i = -sum_c w_c y_c cost[c, argmax_k p_k] log p_c; the mean does not divide by the costs.

    For a label y this is cost[y, predicted class] times the pixel's cross entropy. It follows the
    definition in DESIGN 5: there is no paper of this name.
    """
    if mode != "multiclass":
        raise ValueError("cost-sensitive cross entropy is multiclass.")
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w = weights_of_classes(batch, class_weights)
    cost = np.asarray(cost_matrix, np.float64).tolist()

    def terms(pixel):
        predicted = max(range(batch.classes), key=lambda c: pixel.scores[c])
        loss = share = 0.0
        for c in range(batch.classes):
            y = pixel.targets[c]
            loss -= w[c] * y * cost[c][predicted] * pixel.log_probs[c]
            share += w[c] * y
        return [(pixel.weight * loss, pixel.weight * share)]

    return over_pixels(batch, terms, reduction)


def top_k_cross_entropy_loss(
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
    k=0.1,
    reduction="mean",
):
    """Mean cross entropy of the hardest max(1, ceil(k n)) of the n valid pixels.

    Pixels (elements in multilabel mode) are ranked over the whole batch by their unweighted cross
    entropy; the weighted mean is then taken over those that are left. Wu, Shen and van den Hengel,
    Bridging Category-level and Instance-level Semantic Image Segmentation, 2016, and
    nnU-Net's TopKLoss.
    """
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w, w_0 = weights_of_sides(batch, class_weights)
    classes = range(batch.classes)

    def entries(pixel):
        """Tuples (cross entropy, the same weighted by class, class share, pixel weight)."""
        if mode == "multiclass":
            loss = -sum(pixel.targets[c] * pixel.log_probs[c] for c in classes)
            weighted = -sum(w[c] * pixel.targets[c] * pixel.log_probs[c] for c in classes)
            share = sum(w[c] * pixel.targets[c] for c in classes)
            return [(loss, weighted, share, pixel.weight)]
        found = []
        for c in classes:
            y = pixel.targets[c]
            loss = -(y * pixel.log_probs[c] + (1 - y) * pixel.log_rests[c])
            weighted = -w[c] * y * pixel.log_probs[c] - w_0[c] * (1 - y) * pixel.log_rests[c]
            found.append((loss, weighted, w[c] * y + w_0[c] * (1 - y), pixel.weights[c]))
        return found

    (pixels,) = batch.pools(per_image=False)
    rows = [entry for pixel in pixels for entry in entries(pixel)]
    losses = [row[0] for row in rows]
    valid = [i for i, row in enumerate(rows) if row[3]]
    # A NaN counts as hardest: it must not be hidden. Among equals the first come first.
    valid.sort(key=lambda i: math.inf if math.isnan(losses[i]) else losses[i], reverse=True)
    # Rounded first, so that 0.07 * 100 = 7.000000000000001 asks for 7.
    kept = set(valid[: max(1, math.ceil(round(k * len(valid), 9)))])
    number = count()

    def terms(pixel):
        pairs = []
        for _, weighted, share, u in entries(pixel):
            u = u if next(number) in kept else 0.0
            pairs.append((u * weighted, u * share) if u else (0.0, 0.0))
        return pairs

    return over_pixels(batch, terms, reduction)


def conservative_loss(
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
    lam=5.0,
    base=math.e,
    eps=1e-6,
    reduction="mean",
):
    """lam (1 + log_a p_t)^2 log_a(-log_a p_t), a = base, p_t clipped to [eps, 1 - eps].

    Zhu et al., Penalizing Top Performers: Conservative Loss for Semantic Segmentation Adaptation,
    ECCV 2018. Soft targets: sum_c y_c of the loss at p_c.
    """
    if mode != "multiclass":
        raise ValueError("conservative loss is multiclass.")
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)
    w = weights_of_classes(batch, class_weights)

    def value(pixel, c):
        p, rest = pixel.probs[c], pixel.rests[c]
        if p < eps:
            log_p = math.log(eps)
        elif rest < eps:
            log_p = math.log1p(-eps)
        else:
            log_p = math.log(p) if p < 0.5 else math.log1p(-rest)
        log_p /= math.log(base)
        return lam * (1 + log_p) ** 2 * math.log(-log_p) / math.log(base)

    def terms(pixel):
        loss = share = 0.0
        for c in range(batch.classes):
            y = pixel.targets[c]
            if y:
                loss += w[c] * y * value(pixel, c)
                share += w[c] * y
        return [(pixel.weight * loss, pixel.weight * share)]

    return over_pixels(batch, terms, reduction)
