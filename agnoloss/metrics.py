"""Confusion counts that add up over batches, and the scores and metrics made of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from . import words
from .array import Array
from .backends import backend_of
from .batch import Batch, checks
from .docstrings import documented
from .losses.region import dice, jaccard, tversky
from .statistics.class_sums import ClassSums, class_sums, hard_class_sums
from .statistics.reductions import Classes


class Counts(NamedTuple):
    """Confusion counts of each class, arrays ``(C,)`` or ``(N, C)``.

    Attributes
    ----------
    tp, fp, fn : array
        True positives, false positives and false negatives.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts
    >>> one = Counts(np.asarray([1.0]), np.asarray([0.0]), np.asarray([2.0]))
    >>> one.merge(one).fn
    array([4.])
    """

    tp: Array
    fp: Array
    fn: Array

    def merge(self, other: Counts) -> Counts:
        """Add the counts of other batches, ranks or parts of a volume."""
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)


@documented
def confusion(
    predictions: Array, targets: Array, *, hard: bool = False, mode: words.Mode = "multiclass",
    from_logits: bool = True, axis: int = 1, ignore_index: words.IgnoreIndex = None,
    pixel_weights: Array | None = None, num_classes: int | None = None, per_image: bool = False,
    all_reduce: words.AllReduce = None,
) -> Counts:  # fmt: skip
    """Count what is right, false and missed in each class, so that it can be added up.

    Region losses are 1 - scores of soft counts: counts added over batches, devices or chunks of a
    volume give the loss of the whole, and its gradient. ::

        tp = sum u min(p, y),   fp = sum u p - tp,   fn = sum u y - tp

    Words shared with the losses: see `agnoloss.losses`.

    Parameters
    ----------
    hard : bool, default False
        Whether a prediction is the likeliest class, or p > 1/2 in binary and multilabel mode.
        `predictions` may then also be integer label maps ``(N, *S)``.
    num_classes : int, optional
        Number of classes, needed where `predictions` are label maps, except in binary mode.
    per_image : bool, default False
        Whether to keep the counts of each image.

    Returns
    -------
    Counts
        ``tp``, ``fp`` and ``fn``, each ``(C,)``, or ``(N, C)`` if `per_image`.

    References
    ----------
    .. [1] Z. Wang et al., "Dice Semimetric Losses: Optimizing the Dice Score with Soft Labels",
       MICCAI 2023, equation 6.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import confusion, dice_score
    >>> predicted, true = np.asarray([[0, 1, 1, 1]]), np.asarray([[0, 0, 1, 1]])
    >>> counts = confusion(predicted, true, hard=True, num_classes=2)
    >>> [part.tolist() for part in counts]  # tp, fp, fn
    [[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]
    >>> dice_score(counts).round(2).tolist()
    [0.67, 0.8]
    """
    checks.flag("hard", hard)
    checks.flag("per_image", per_image)
    batch = _batch(
        predictions, targets, hard, num_classes, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=None,
        reduction="none", all_reduce=all_reduce,
    )  # fmt: skip
    sums = (hard_class_sums if hard else class_sums)(batch, per_image)
    return Counts(sums.tp, sums.predicted - sums.tp, sums.true - sums.tp)


def _batch(predictions: Array, targets: Array, hard: bool, num_classes: int | None, **options: Any) -> Batch:
    """A batch of scores or probabilities, or of a label map as the probabilities 0 and 1."""
    backend = backend_of(predictions, "predictions")
    if backend.kind(predictions) != "integer":
        batch = Batch(predictions, targets, **options)
        if num_classes is not None and num_classes != batch.num_classes:
            raise ValueError(
                f"`num_classes` must be {batch.num_classes}, the length of the class axis; got {num_classes}."
            )
        return batch
    if not hard:
        raise TypeError(
            f"`predictions` must be real floating, or label maps with `hard=True`; got {predictions.dtype}."
        )
    xp, labels = backend.xp, backend.class_indices(predictions)
    if options["mode"] == "binary":
        one_hot = labels
    elif num_classes is None:
        raise ValueError("`num_classes` must be given where `predictions` are label maps; got None.")
    else:
        classes = xp.reshape(backend.arange(num_classes, labels), (num_classes, *([1] * (labels.ndim - 1))))
        one_hot = xp.expand_dims(labels, axis=1) == classes
    return Batch(xp.astype(one_hot, xp.float32), targets, **(options | {"from_logits": False, "axis": 1}))


def dice_score(counts: Counts, *, smooth: words.Smooth = 0.0, absent: float = 1.0) -> Array:
    """Dice score (F1) of each class from confusion counts: (2 tp + s) / (2 tp + fp + fn + s).

    Parameters
    ----------
    counts : Counts
        Of `confusion`, added up over whatever belongs together.
    smooth : float or (float, float), default 0
        Added to numerator and denominator; a pair sets them apart.
    absent : float, default 1
        Score of a class that is neither in the prediction nor in the target.

    Returns
    -------
    array
        Scores of the shape of the counts.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts, dice_score
    >>> dice_score(Counts(np.asarray([3.0, 0.0]), np.asarray([1.0, 0.0]), np.asarray([1.0, 0.0])))
    array([0.75, 1.  ])
    """
    return _score(partial(dice, smooth=smooth), counts, absent)


def jaccard_score(counts: Counts, *, smooth: words.Smooth = 0.0, absent: float = 1.0) -> Array:
    """Intersection over union of each class: (tp + s) / (tp + fp + fn + s).

    Parameters
    ----------
    counts : Counts
        Of `confusion`, added up over whatever belongs together.
    smooth : float or (float, float), default 0
        Added to numerator and denominator; a pair sets them apart.
    absent : float, default 1
        Score of a class that is neither in the prediction nor in the target.

    Returns
    -------
    array
        Scores of the shape of the counts.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts, jaccard_score
    >>> jaccard_score(Counts(np.asarray([3.0]), np.asarray([1.0]), np.asarray([1.0])))
    array([0.6])
    """
    return _score(partial(jaccard, smooth=smooth), counts, absent)


def tversky_score(
    counts: Counts, *, alpha: float = 0.3, beta: float = 0.7,
    smooth: words.Smooth = 0.0, absent: float = 1.0,
) -> Array:  # fmt: skip
    """Tversky index of each class: (tp + s) / (tp + alpha fp + beta fn + s).

    Parameters
    ----------
    counts : Counts
        Of `confusion`, added up over whatever belongs together.
    alpha, beta : float, defaults 0.3 and 0.7
        Weights of false positives and of false negatives, not negative.
    smooth : float or (float, float), default 0
        Added to numerator and denominator; a pair sets them apart.
    absent : float, default 1
        Score of a class that is neither in the prediction nor in the target.

    Returns
    -------
    array
        Scores of the shape of the counts.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts, tversky_score
    >>> tversky_score(Counts(np.asarray([3.0]), np.asarray([1.0]), np.asarray([1.0])))
    array([0.75])
    """
    alpha, beta = checks.number("alpha", alpha, 0.0), checks.number("beta", beta, 0.0)
    return _score(partial(tversky, alpha=alpha, beta=beta, smooth=smooth), counts, absent)


def _score(formula: Callable[..., Array], counts: Counts, absent: float) -> Array:
    xp = backend_of(counts.tp, "counts").xp
    tp, fp, fn = counts
    sums = ClassSums(tp, tp + fp, tp + fn, xp.ones_like(tp))
    return xp.where(tp + fp + fn == 0, float(absent), formula(xp, sums))


@documented
def iou(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    absent: words.Number = 1.0, num_classes: int | None = None, reduction: words.Reduction = "mean",
    all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Intersection over union of the predicted classes, the metric of segmentation.

    `predictions` may also be integer label maps ``(N, *S)``.
    Words shared with the losses: see `agnoloss.losses`.

    Parameters
    ----------
    absent : float, default 1
        Score of a class that is neither in the prediction nor in the target.
    num_classes : int, optional
        Number of classes, needed where `predictions` are label maps, except in binary mode.
    reduction : {"mean", "sum", "none", "per_image"}, default "mean"
        Weighted mean over classes; weighted sum; every class's weighted score; or the score of each
        image alone. In binary mode the foreground is the only class.

    Returns
    -------
    array
        The score: shape ``()``, ``(C,)`` with ``reduction="none"``, ``(N, C)`` if `per_image` too, ``(N,)``
        with ``reduction="per_image"``.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import iou
    >>> predicted, true = np.asarray([[0, 1, 1, 1]]), np.asarray([[0, 0, 1, 1]])
    >>> print(f'{iou(predicted, true, num_classes=2):.4f}')  # (1/2 + 2/3) / 2
    0.5833
    """
    batch = _batch(
        predictions, targets, True, num_classes, mode=mode, from_logits=from_logits, axis=axis,
        ignore_index=ignore_index, pixel_weights=pixel_weights, class_weights=class_weights,
        reduction=reduction, all_reduce=all_reduce,
    )  # fmt: skip
    chosen = Classes(batch, classes, per_image)
    sums = hard_class_sums(batch, per_image)
    counts = Counts(sums.tp, sums.predicted - sums.tp, sums.true - sums.tp)
    return chosen.reduce(jaccard_score(counts, absent=absent), sums.true, sums.size)
