"""The Lovász extension of a set function: errors in falling order, dotted with its differences."""

from __future__ import annotations

from collections.abc import Callable

from ..array import Array
from ..batch import Batch
from .probabilities import Probabilities
from .reductions import Classes


def lovasz_extension(
    batch: Batch, errors: str, differences: Callable[..., Array], chosen: Classes
) -> tuple[Array, Array, Array | None]:
    """What `Classes.reduce` takes, of sum_i e_i g_i for each class, of errors sorted so that they fall.

    Errors are a ``"distance"``, |y - p|, or ``"hinge"``, max(0, 1 - z (2 y - 1)). The differences g follow
    from the order, see `weigh` of `Backend.sorted_sums`.
    """
    scores, link = batch.float32_scores, errors
    if errors == "distance":
        link = "softmax" if batch.multiclass else "sigmoid"
        if not batch.from_logits:
            scores, link = Probabilities(batch).probs, "probability"
    foreground = batch.labels if batch.multiclass and batch.labels is not None else batch.one_hot
    valid, weights = (None if x is None else batch.class_axis(x) for x in (batch.valid, batch.given_weights))
    found, _ = batch.backend.sorted_sums(
        scores, foreground, valid, weights, link, differences, chosen.per_image, chosen.matters
    )
    size = batch.add_up(batch.sizes, chosen.per_image) if batch.mode == "multilabel" else None
    return batch.nan_if_invalid(found["sums"]), found["true"], size
