"""Confusion counts that add up over batches, and the scores and metrics made of them.

Every score takes `counts` of `confusion`, added up over whatever belongs together; `absent` is the score
of a class that is neither in the prediction nor in the target.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from . import words
from .array import Array
from .backends import Backend, backend_of, resolve_backend
from .batch import Batch, checks, decisions
from .batch.options import number
from .docstrings import documented
from .losses.region import dice, jaccard, tversky
from .losses.region_variants import WEIGHTINGS, generalized_dice
from .statistics.class_sums import UNKNOWN, ClassSums, class_sums, hard_class_sums
from .statistics.reductions import Classes


class Counts(NamedTuple):
    """Confusion counts of each class, arrays ``(C,)`` or ``(N, C)``, that add up with ``+`` and ``sum``.

    Attributes
    ----------
    tp, fp, fn : array
        True positives, false positives and false negatives.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts
    >>> one = Counts(np.asarray([1]), np.asarray([0]), np.asarray([2]))
    >>> sum([one, one]).fn, (one + one == one.merge(one))
    (array([4]), True)
    """

    tp: Array
    fp: Array
    fn: Array

    def __add__(self, other: object) -> Counts:
        """Add the counts of other batches, ranks or parts of a volume."""
        if not isinstance(other, Counts):
            return NotImplemented
        tp, backend = self.tp + other.tp, backend_of(self.tp, "counts")
        if backend.kind(tp) == "integer":  # what is unknown stays so, as NaN does
            tp = backend.xp.where((self.tp < 0) | (other.tp < 0), UNKNOWN, tp)
        return Counts(tp, self.fp + other.fp, self.fn + other.fn)

    def __radd__(self, other: object) -> Counts:
        """``sum`` starts from 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def merge(self, other: Counts) -> Counts:
        """The same as ``+``."""
        return self + other


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
        `predictions` may then also be decisions: label maps ``(N, *S)``, which are integers, in
        multiclass mode; masks of the shape of scores, integer or bool, in every mode.
    num_classes : int, optional
        Number of classes, needed for label maps, and for integers of the shape of targets: these are
        taken for a one-hot map where `axis` has as many.
    per_image : bool, default False
        Whether to keep the counts of each image.

    Returns
    -------
    Counts
        ``tp``, ``fp`` and ``fn``, each ``(C,)``, or ``(N, C)`` if `per_image`. Hard counts of integer
        targets without pixel weights are integers, exact up to 2^63, in JAX without 64 bits up to 2^31;
        where a prediction is NaN ``tp`` is then negative, and scores are NaN.

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
    [[1, 2], [0, 1], [1, 0]]
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
    return _counts((hard_class_sums if hard else class_sums)(batch, per_image))


def _counts(sums: ClassSums) -> Counts:
    return Counts(sums.tp, sums.predicted - sums.tp, sums.true - sums.tp)


def _batch(
    predictions: Array, targets: Array, hard: bool, num_classes: int | None, axis: int, mode: str,
    **options: Any,
) -> Batch:  # fmt: skip
    """A batch of scores, probabilities or decisions."""
    backend, labels = backend_of(predictions, "predictions"), None
    backend_of(targets, "targets")
    if backend.kind(predictions) == "integer":
        if not hard:
            raise TypeError(
                "`predictions` must be real floating, or decisions with `hard=True`; got "
                f"{predictions.dtype}."
            )
        given = backend, predictions, tuple(targets.shape), mode, num_classes, axis
        predictions, labels = decisions.as_masks(*given)
    batch = Batch(predictions, targets, axis=axis, mode=mode, decided=True, **options)
    if num_classes is not None and num_classes != batch.num_classes:
        raise ValueError(
            f"`num_classes` must be {batch.num_classes}, the length of the class axis; got {num_classes}."
        )
    if batch.decided:
        decisions.check(batch, labels)
    return batch


@documented
def dice_score(counts: Counts, *, smooth: words.Smooth = 0.0, absent: words.Number = 1.0) -> Array:
    """Dice score (F1) of each class from confusion counts: (2 tp + s) / (2 tp + fp + fn + s).

    Words shared by all scores: see `agnoloss.metrics`.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts, dice_score
    >>> dice_score(Counts(np.asarray([3.0, 0.0]), np.asarray([1.0, 0.0]), np.asarray([1.0, 0.0])))
    array([0.75, 1.  ])
    """
    return _score(dice, counts, absent, smooth)


@documented
def jaccard_score(counts: Counts, *, smooth: words.Smooth = 0.0, absent: words.Number = 1.0) -> Array:
    """Intersection over union of each class: (tp + s) / (tp + fp + fn + s).

    Words shared by all scores: see `agnoloss.metrics`.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts, jaccard_score
    >>> jaccard_score(Counts(np.asarray([3.0]), np.asarray([1.0]), np.asarray([1.0])))
    array([0.6])
    """
    return _score(jaccard, counts, absent, smooth)


@documented
def tversky_score(
    counts: Counts, *, alpha: words.Number = 0.3, beta: words.Number = 0.7,
    smooth: words.Smooth = 0.0, absent: words.Number = 1.0,
) -> Array:  # fmt: skip
    """Tversky index of each class: (tp + s) / (tp + alpha fp + beta fn + s).

    Words shared by all scores: see `agnoloss.metrics`.

    Parameters
    ----------
    alpha, beta : float, defaults 0.3 and 0.7
        Weights of false positives and of false negatives, not negative.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts, tversky_score
    >>> tversky_score(Counts(np.asarray([3.0]), np.asarray([1.0]), np.asarray([1.0])))
    array([0.75])
    """
    return _score(tversky, counts, absent, smooth, alpha=alpha, beta=beta)


@documented
def generalized_dice_score(
    counts: Counts, *, weighting: str = "square", smooth: words.Smooth = 0.0, absent: words.Number = 1.0
) -> Array:
    """Dice score of all classes together: (2 sum_c w_c tp_c + s) / (sum_c w_c (2 tp_c + fp_c + fn_c) + s).

    Words shared by all scores: see `agnoloss.metrics`.

    Parameters
    ----------
    weighting : {"square", "simple", "uniform"}, default "square"
        w_c = 1 / (tp_c + fn_c)^2, 1 / (tp_c + fn_c) or 1; 0 for a class that is not in the target.

    Returns
    -------
    array
        One score, ``()``, or ``(N,)`` for counts of each image; `absent` where nothing is in either.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import Counts, generalized_dice_score
    >>> counts = Counts(np.asarray([3, 1]), np.asarray([1, 0]), np.asarray([0, 1]))
    >>> print(f"{generalized_dice_score(counts):.4f}")  # 2 (3/9 + 1/4) / (7/9 + 3/4)
    0.7636
    """
    checks.choice("weighting", weighting, WEIGHTINGS)
    tp, backend = resolve_backend(_floating(counts).tp, absent, smooth, name="counts")
    xp, sums = backend.xp, _class_sums(backend, _floating(counts))
    score = xp.squeeze(generalized_dice(xp, sums, weighting, smooth), axis=-1)
    absent = number(backend, tp.dtype, "absent", absent, beside=tp)
    return xp.where(xp.sum(sums.predicted + sums.true, axis=-1) == 0, absent, score)


def _score(
    formula: Callable[..., Array], counts: Counts, absent: words.Number, smooth: words.Smooth,
    **weights: words.Number,
) -> Array:  # fmt: skip
    tp, backend = resolve_backend(_floating(counts).tp, absent, smooth, *weights.values(), name="counts")
    weights = {name: number(backend, tp.dtype, name, w, 0.0, beside=tp) for name, w in weights.items()}
    absent = number(backend, tp.dtype, "absent", absent, beside=tp)
    sums = _class_sums(backend, _floating(counts))
    nowhere = sums.predicted + sums.true == 0
    return backend.xp.where(nowhere, absent, formula(sums, smooth=smooth, **weights))


def _class_sums(backend: Backend, counts: Counts) -> ClassSums:
    tp, fp, fn = (backend.convert(count, backend_of(count, "counts"), "counts") for count in counts)
    return ClassSums(tp, tp + fp, tp + fn, backend.xp.ones_like(tp))


def _floating(counts: Counts, dtype: Any = None) -> Counts:
    """Whole numbers in a floating dtype, by default the library's; NaN where they are unknown."""
    backend = backend_of(counts.tp, "counts")
    if backend.kind(counts.tp) != "integer":
        return counts
    nan = backend.constant(math.nan, dtype, counts.tp)
    tp, fp, fn = (backend.xp.astype(count, nan.dtype) for count in counts)
    return Counts(backend.xp.where(counts.tp < 0, nan, tp), fp, fn)


@documented
def iou(
    predictions: Array, targets: Array, *, mode: words.Mode = "multiclass", from_logits: bool = True,
    axis: int = 1, ignore_index: words.IgnoreIndex = None, pixel_weights: Array | None = None,
    class_weights: words.ClassWeights = None, classes: words.ClassChoice = "all", per_image: bool = False,
    absent: words.Number = 1.0, num_classes: int | None = None, reduction: words.Reduction = "mean",
    all_reduce: words.AllReduce = None,
) -> Array:  # fmt: skip
    """Intersection over union of the predicted classes, the metric of segmentation.

    `predictions` may also be decisions, label maps or masks, as `confusion` takes them.
    Words shared with the losses: see `agnoloss.losses`.

    Parameters
    ----------
    num_classes : int, optional
        Number of classes, needed for label maps, see `confusion`.
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
        reduction=reduction, all_reduce=all_reduce, numbers=(absent,),
    )  # fmt: skip
    chosen = Classes(batch, classes, per_image)
    sums = hard_class_sums(batch, per_image)
    counts = _floating(_counts(sums), batch.dtype)
    return chosen.reduce(jaccard_score(counts, absent=absent), counts.tp + counts.fn, sums.size)
