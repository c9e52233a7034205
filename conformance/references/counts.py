"""Confusion counts and the scores made of them, as loops."""

from typing import NamedTuple

import numpy as np

from ._common import chosen_classes, over_classes, read, weights_of_classes


class Counts(NamedTuple):
    """Per class, (C,) or (N, C)."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray

    def __add__(self, other):
        """The counts of both."""
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def _read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights, num_classes):
    """A batch; integers or bools are decisions: masks, or label maps where a number of classes says so."""
    predictions = np.asarray(predictions)
    if predictions.dtype.kind in "iub":
        from_logits = False
        if mode == "multiclass" and num_classes is not None:
            one_hot = predictions[..., np.newaxis] == np.arange(num_classes)
            predictions = np.moveaxis(one_hot, -1, axis)
        predictions = predictions.astype(np.float64)
    return read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)


def _counts(batch, hard, per_image):
    """tp = sum u min(p, y), fp = sum u p - tp, fn = sum u y - tp; hard: p is 0 or 1."""
    pools = batch.pools(per_image)
    tp, fp, fn = (np.zeros((len(pools), batch.classes)) for _ in range(3))
    for n, pixels in enumerate(pools):
        for pixel in pixels:
            best = max(range(batch.classes), key=lambda c: pixel.probs[c])
            for c in range(batch.classes):
                u, p, y = pixel.weights[c], pixel.probs[c], pixel.targets[c]
                if hard:
                    p = float(best == c) if batch.mode == "multiclass" else float(p > 0.5)
                overlap = min(p, y)
                tp[n, c] += u * overlap
                fp[n, c] += u * (p - overlap)
                fn[n, c] += u * (y - overlap)
    return Counts(tp, fp, fn) if per_image else Counts(tp[0], fp[0], fn[0])


def confusion(
    predictions,
    targets,
    /,
    *,
    hard=False,
    mode="multiclass",
    from_logits=True,
    axis=1,
    ignore_index=None,
    pixel_weights=None,
    num_classes=None,
    per_image=False,
):
    """True positives, false positives, false negatives per class; hard counts argmax or p > 0.5."""
    batch = _read(
        predictions,
        targets,
        *(mode, from_logits, axis, ignore_index, pixel_weights, num_classes),
    )
    return _counts(batch, hard, per_image)


def tversky_score(counts, *, alpha=0.3, beta=0.7, smooth=0.0, absent=1.0):
    """(tp + s) / (tp + alpha fp + beta fn + s) per class; `absent` where all three are 0."""
    top, bottom = smooth if isinstance(smooth, (tuple, list)) else (smooth, smooth)
    tp, fp, fn = (np.asarray(count, np.float64) for count in counts)
    scores = np.zeros(tp.shape)
    for at in np.ndindex(*tp.shape):
        if tp[at] == fp[at] == fn[at] == 0:
            scores[at] = absent
        else:
            denominator = tp[at] + alpha * fp[at] + beta * fn[at] + bottom
            if denominator == 0:  # the error that occurred has weight 0
                scores[at] = 1.0 if top == 0 else np.inf
            else:
                scores[at] = (tp[at] + top) / denominator
    return scores


def dice_score(counts, *, smooth=0.0, absent=1.0):
    """(2 tp + s) / (2 tp + fp + fn + s), which is Tversky's at 1/2, 1/2 and s/2."""
    top, bottom = smooth if isinstance(smooth, (tuple, list)) else (smooth, smooth)
    pair = (top / 2, bottom / 2)
    return tversky_score(counts, alpha=0.5, beta=0.5, smooth=pair, absent=absent)


def jaccard_score(counts, *, smooth=0.0, absent=1.0):
    """(tp + s) / (tp + fp + fn + s), which is Tversky's at 1, 1."""
    return tversky_score(counts, alpha=1.0, beta=1.0, smooth=smooth, absent=absent)


def generalized_dice_score(counts, *, weighting="square", smooth=0.0, absent=1.0):
    """(2 sum_c w_c tp_c + s) / (sum_c w_c (2 tp_c + fp_c + fn_c) + s), w_c = 1 / (tp_c + fn_c)^k."""
    power = {"square": 2, "simple": 1, "uniform": 0}[weighting]
    top, bottom = smooth if isinstance(smooth, (tuple, list)) else (smooth, smooth)
    scores = []
    for rows in zip(*(np.atleast_2d(count).tolist() for count in counts), strict=True):
        above, below = float(top), float(bottom)
        for tp, fp, fn in zip(*rows, strict=True):
            weight = 1 / (tp + fn) ** power if tp + fn else 0.0
            above += 2 * weight * tp
            below += weight * (2 * tp + fp + fn)
        if not any(map(any, rows)):
            scores.append(absent)
        else:
            scores.append(above / below if below else 1.0)
    return np.asarray(scores) if np.ndim(counts[0]) == 2 else scores[0]


def iou(
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
    absent=1.0,
    num_classes=None,
    reduction="mean",
):
    """tp / (tp + fp + fn) of argmax or p > 0.5 against the targets, mean or per class."""
    batch = _read(
        predictions,
        targets,
        *(mode, from_logits, axis, ignore_index, pixel_weights, num_classes),
    )
    counts = _counts(batch, True, per_image)
    scores = np.atleast_2d(jaccard_score(counts, absent=absent))
    present = np.atleast_2d(counts.tp + counts.fn) > 0
    chosen = [chosen_classes(classes, row.tolist()) for row in present]
    weights = weights_of_classes(batch, class_weights)
    return over_classes(scores.tolist(), chosen, weights, per_image, reduction)
