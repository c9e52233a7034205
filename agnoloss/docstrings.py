"""What the docstrings of all losses say in the same words, added to them when they are imported.

A docstring in the source describes what is a loss's own. `documented` adds the shared parameters of its
signature, Returns and Raises, so that ``help`` shows everything and an editor shows text.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TypeVar, cast

from .batch import hints

_F = TypeVar("_F", bound=Callable[..., object])

_SHARED = """\
predictions : array, real floating
    Scores (logits) or probabilities with batch and class axes, ``(N, C, *S)`` if ``axis=1``, any
    number of spatial axes, none included; in binary mode ``(N, *S)``, or with a class axis of
    length 1. float16 and bfloat16 are computed in float32.
targets : array
    Labels, integer or bool, ``(N, *S)``, or with a class axis of length 1; or dense, of the shape of
    `predictions`: one-hot or soft, integer, bool or floating, from 0 to 1. Over multiclass ones' classes
    they sum to 1 at most, to 0 where a pixel has no class. Of the same library and device as
    `predictions` (JAX takes NumPy's too). In binary mode, where both have length 1 at `axis`, that is
    the class axis: images of one row ``(N, 1, W)`` need one besides, as ``x[:, None]``.
mode : {"multiclass", "multilabel", "binary"}
    Softmax over `axis`, sigmoid of each channel, or one sigmoid channel.
from_logits : bool
    Whether `predictions` are raw scores; otherwise they are probabilities (multiclass ones are
    divided by their sum) and every argument of a logarithm is at least 1e-7.
axis : int
    Class axis of `predictions`; -1 for channels-last.
ignore_index : int or sequence of ints
    Labels that take no part in anything: value, gradient, counts, means. In dense multilabel
    targets it leaves out that element.
pixel_weights : array, ``(N, *S)`` or ``(N,)``
    Weight of each pixel or image, in multilabel mode also of each element, in the shape of
    `predictions`; not negative; 0 leaves it out as if ignored, with gradient 0 by that weight too.
class_weights : sequence or array of length C, or "balanced"
    Weight of each class, and of its share in the divisor of the mean. "balanced" is
    total / (C x count) from this batch, 0 for an absent class. In binary mode two: weights of 0 and
    of 1, as in a softmax of the scores (0, z); losses that are made of counts have no use for them there.
classes : {"all", "present"} or sequence of ints
    Classes to average over: all, those present in the targets, or these indices.
per_image : bool
    Whether each image has counts of its own: the mean over its classes, then over images (an image
    with no class left counts 0). False pools the batch.
average : {"macro", "micro"}
    A score for each class and then the mean; or the counts of the chosen classes added up first.
smooth : float or (float, float)
    Added to numerator and denominator; a pair sets them apart. 0 / 0 scores 1 (loss 0).
reduction : {"mean", "sum", "none", "per_image"}
    Weighted mean over the pixels that count; weighted sum; every pixel's weighted loss, ``(N, *S)``,
    in multilabel mode in the predictions' shape, 0 where ignored; or the loss of each image alone, ``(N,)``.
counts : Counts
    Of `confusion`, added up over whatever belongs together.
absent : float
    Score of a class that is neither in the prediction nor in the target.
all_reduce : callable
    Applied to the sums over pixels before the formula, to add them up over devices, for example
    ``lambda x: jax.lax.psum(x, "data")``. Not with sums of each image.
"""

_WITHOUT_SOFTMAX = """\
mode : {"multilabel", "binary"}
    Sigmoid of each channel, or one sigmoid channel.
"""

_OF_CLASSES = """\
reduction : {"mean", "sum", "none", "per_image"}
    Weighted mean over classes; weighted sum; every class's weighted loss, ``(C,)``, ``(N, C)`` if
    `per_image`, 0 for classes not chosen; or the loss of each image alone, ``(N,)``.
"""

_RETURNS = """\
array
    The loss: shape ``()`` unless `reduction` says otherwise; float32 for inputs of half precision,
    otherwise the dtype of `predictions`. 0, with gradient 0, if nothing is left to average."""

_SCORES = """\
array
    Scores of the shape of the counts."""

_RAISES = """\
TypeError
    If an argument is no array, of another library or of a dtype that has no meaning here.
ValueError
    If a shape, length or choice is wrong, or a label is out of range where looking costs nothing
    (NumPy, PyTorch and concrete JAX arrays on a CPU). Elsewhere such a loss is NaN."""


def documented(function: _F) -> _F:
    """Add what a docstring leaves to the words of all losses; None, under python -OO, stays None.

    The error of a keyword that the function does not take says what may have been meant.
    """
    name, parameters = function.__name__, inspect.signature(function).parameters
    known = frozenset(parameters)
    for word in known:
        hints.TAKERS.setdefault(word, []).append(name)

    @wraps(function)
    def loss(*args: object, **kwargs: object) -> object:
        for word in kwargs:
            if word not in known:
                hint = hints.of_word(word, known)
                raise TypeError(f"{name}() got an unexpected keyword argument {word!r}.{hint}")
        return function(*args, **kwargs)

    # of one code, compilers would keep what they compiled for all losses together
    loss.__code__ = loss.__code__.replace(co_name=name)  # type: ignore[attr-defined]
    if function.__doc__ is None:
        return cast(_F, loss)
    summary, *parts = re.split(r"^(\w[\w ]*)\n-+\n", inspect.cleandoc(function.__doc__), flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    texts = _shared(parameters) | _entries(sections.pop("Parameters", ""))
    # An entry of two names, "alpha, beta : float", stands once, where the first of them is.
    entries = dict.fromkeys(texts[name] for name in parameters if name in texts)
    usual = {"Returns": _SCORES} if "counts" in parameters else {"Returns": _RETURNS, "Raises": _RAISES}
    usual |= {title: sections.pop(title) for title in usual if title in sections}
    sections = {"Parameters": "\n".join(entries), **usual, **sections}
    blocks = [f"{title}\n{'-' * len(title)}\n{text.strip()}" for title, text in sections.items()]
    loss.__doc__ = "\n\n".join([summary.strip(), *blocks])
    return cast(_F, loss)


def _shared(parameters: Mapping[str, inspect.Parameter]) -> dict[str, str]:
    """The shared entries that fit a signature, with its defaults."""
    entries = _entries(_SHARED)
    if "per_image" in parameters:
        entries |= _entries(_OF_CLASSES)
    if "mode" in parameters and parameters["mode"].default == "binary":
        entries |= _entries(_WITHOUT_SOFTMAX)
    for name in entries.keys() & parameters.keys():
        head, _, text = entries[name].partition("\n")
        entries[name] = f"{head}{_default(parameters[name].default)}\n{text}"
    return entries


def _entries(text: str) -> dict[str, str]:
    """Entries of a Parameters section by name; one of two names stands under both."""
    entries = re.split(r"^(?=\w)", text.strip(), flags=re.MULTILINE)
    return {name: e.rstrip() for e in entries for name in e.partition(" : ")[0].split(", ") if name}


def _default(value: object) -> str:
    if value is inspect.Parameter.empty:
        return ""
    if value is None:
        return ", optional"
    shown = f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else value
    return f", default {shown}"
