"""What the docstrings of all losses say in the same words, filled in where they name it."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import indent
from typing import TypeVar

_F = TypeVar("_F", bound=Callable[..., object])

_INPUT = """\
predictions : array, real floating
    Scores (logits) or probabilities with batch and class axes, ``(N, C, *S)`` if ``axis=1``, any
    number of spatial axes, none included; in binary mode ``(N, *S)``, or with a class axis of
    length 1. float16 and bfloat16 are computed in float32.
targets : array
    Labels without the class axis, integer or bool, ``(N, *S)``; or dense, of the shape of
    `predictions`: one-hot or soft, integer, bool or floating, from 0 to 1. Of the same library and
    device as `predictions` (JAX takes NumPy's too)."""

_MODE = """\
mode : {{"multiclass", "multilabel", "binary"}}, default {default}
    Softmax over `axis`, sigmoid of each channel, or one sigmoid channel."""

_LOGITS = """\
from_logits : bool, default True
    Whether `predictions` are raw scores; otherwise they are probabilities (multiclass ones are
    divided by their sum) and every argument of a logarithm is at least 1e-7."""

_OPTIONS = """\
axis : int, default 1
    Class axis of `predictions`; -1 for channels-last.
ignore_index : int or sequence of ints, optional
    Labels that take no part in anything: value, gradient, counts, means. In dense multilabel
    targets it leaves out that element.
pixel_weights : array, ``(N, *S)``, optional
    Weight of each pixel, not negative; 0 leaves it out as if ignored."""

_CLASS_WEIGHTS = """\
class_weights : sequence or array of length C, or "balanced", optional
    Weight of each class, and of its share in the divisor of the mean. "balanced" is
    total / (C x count) from this batch, 0 for an absent class."""

_ALL_REDUCE = """\
all_reduce : callable, optional
    Applied to the sums over pixels before the formula, to add them up over devices, for example
    ``lambda x: jax.lax.psum(x, "data")``."""

_PER_IMAGE = """\
per_image : bool, default {default}
    Whether each image has counts of its own: the mean over its classes, then over images (an image
    with no class left counts 0). False pools the batch."""

_CLASSES = """\
classes : {{"all", "present"}} or sequence of ints, default "{default}"
    Classes to average over: all, those present in the targets, or these indices."""

_AVERAGE = """\
average : {"macro", "micro"}, default "macro"
    A score for each class and then the mean; or the counts of the chosen classes added up first."""

_SMOOTH = """\
smooth : float or (float, float), default 1
    Added to numerator and denominator; a pair sets them apart. 0 / 0 scores 1 (loss 0)."""

_PIXEL_REDUCTION = """\
reduction : {"mean", "sum", "none"}, default "mean"
    Weighted mean over the pixels that count; weighted sum; or every pixel's weighted loss,
    ``(N, *S)``, in multilabel mode ``(N, C, *S)``, 0 where ignored."""

_CLASS_REDUCTION = """\
reduction : {"mean", "sum", "none"}, default "mean"
    Weighted mean over classes; weighted sum; or every class's weighted loss, ``(C,)``, ``(N, C)``
    if `per_image`, 0 for classes not chosen."""

_RETURNS = """\
Returns
-------
array
    The loss: shape ``()`` unless ``reduction="none"``; float32 for inputs of half precision,
    otherwise the dtype of `predictions`. 0, with gradient 0, if nothing is left to average."""

_RAISES = """\
Raises
------
TypeError
    If an argument is no array, of another library or of a dtype that has no meaning here.
ValueError
    If a shape, length or choice is wrong, or a label is out of range where looking costs nothing
    (NumPy, PyTorch and concrete JAX arrays on a CPU). Elsewhere such a loss is NaN."""

_ONLY_MULTICLASS = """\
mode : {"multiclass"}, default "multiclass"
    Softmax over `axis`; this loss has no other mode."""

_BINARY = (
    _MODE.format(default='"binary"').replace('"multiclass", ', "").replace("Softmax over `axis`, s", "S")
)
_ANY = _MODE.format(default='"multiclass"')

_TEXTS = {
    "common": "\n".join((_INPUT, _ANY, _LOGITS, _OPTIONS, _CLASS_WEIGHTS)),
    "binary_common": "\n".join((_INPUT, _BINARY, _LOGITS, _OPTIONS, _CLASS_WEIGHTS)),
    "binary_scores": "\n".join((_INPUT, _BINARY, _OPTIONS, _CLASS_WEIGHTS)),
    "multiclass_common": "\n".join((_INPUT, _ONLY_MULTICLASS, _LOGITS, _OPTIONS, _CLASS_WEIGHTS)),
    "input": _INPUT,
    "options_of_counts": "\n".join((_ANY, _LOGITS, _OPTIONS)),
    "pooling": "\n".join((_CLASSES.format(default="all"), _PER_IMAGE.format(default="False"), _AVERAGE)),
    "classes": _CLASSES.format(default="all"),
    "present_classes": _CLASSES.format(default="present"),
    "average": _AVERAGE,
    "per_image": _PER_IMAGE.format(default="False"),
    "each_image": _PER_IMAGE.format(default="True"),
    "smooth": _SMOOTH,
    "pixel_reduction": _PIXEL_REDUCTION,
    "class_reduction": _CLASS_REDUCTION,
    "all_reduce": _ALL_REDUCE,
    "raises": _RAISES,
    "outcome": f"{_RETURNS}\n\n{_RAISES}",
}


def documented(function: _F) -> _F:
    """Fill ``{name}`` in a docstring with the text of that name above."""
    doc = function.__doc__
    if doc is not None:  # None under python -OO
        for name, text in _TEXTS.items():
            doc = doc.replace(f"    {{{name}}}", indent(text, "    "))
        function.__doc__ = doc
    return function
