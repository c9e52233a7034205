"""Ways out for the ends of messages: what may have been meant by shapes, labels and words."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .batch import Batch

Shape = tuple[int, ...]


def of_shapes(shape: Shape, targets: Shape, mode: str, axis: int) -> str:
    """What would make shapes of predictions and targets fit; nothing if that is not likely."""
    given, names = axis % len(shape), (*range(len(shape) - 1), -1)

    def fit(shape: Shape, targets: Shape, axis: int) -> bool:
        i = axis % len(shape)
        if mode == "binary":
            return targets == shape or (shape[i] == 1 and targets == _without(shape, i))
        return shape[i] > 1 and targets in (shape, _without(shape, i), (*shape[:i], 1, *shape[i + 1 :]))

    one_image = "`predictions[None]` and `targets[None]`" + ("" if axis == 1 else " and axis=1")
    ways: list[Any] = [
        *((f"axis={names[i]}", shape, targets, i) for i in range(1, len(shape)) if i != given),
        ("`predictions[None]`", (1, *shape), targets, axis),
        ("`targets[None]`", shape, (1, *targets), given),
        (f"{one_image} (one image) or axis=0 (classes before images)", (1, *shape), (1, *targets), 1),
    ]
    for i, length in enumerate(targets):
        others = _without(targets, i)
        if length == 1:
            ways.append((f"`targets[{':, ' * i}0]`", shape, others, given))
        if len(targets) == len(shape):
            moved = (*others[:given], length, *others[given:])
            ways.append((f"`moveaxis(targets, {names[i]}, {names[given]})`", shape, moved, given))
    for way, *arrays in ways:
        if fit(*arrays):
            return f" With {way} these shapes would fit."
    for i in (given, *range(len(shape))):
        if mode == "binary" and targets == _without(shape, i):
            return (
                f' mode="binary" takes one channel, and axis {names[i]} has {shape[i]}: pass one, as in '
                f'`predictions[{":, " * i}0]`, or use mode="multiclass" or "multilabel".'
            )
    return ""


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def of_label(label: float, batch: Batch) -> str:
    """How a number out of range is left out, if people mark pixels with it; or what else a mask means."""
    if label not in (255, -1, -100) or (batch.dense and batch.multiclass):
        return ""
    ignored = (*batch.ignored, int(label)) if batch.ignored else int(label)
    mask = " If it is the foreground, pass `targets == 255`." if label == 255 and batch.dense else ""
    return f" If it marks what is to be ignored, pass ignore_index={ignored}.{mask}"


_ELSEWHERE = {
    "predictions": "input inputs logits output pred preds y_pred", "targets": "label labels y_true",
    "from_logits": "activation apply_nonlin apply_sigmoid apply_softmax logits other_act sigmoid softmax",
    "axis": "channel_axis class_axis data_format dim", "mode": "task",
    "ignore_index": "ignore ignore_class ignore_label ignore_value",
    "class_weights": "weight weights", "pixel_weights": "mask sample_weight weight weight_map weights where",
    "pos_weight": "pos_weights positive_weight", "label_smoothing": "smooth_factor smoothing",
    "classes=range(1, C)": "do_bg ignore_background include_background",
    "smooth=(numerator, denominator)": "eps epsilon smooth_dr smooth_nr", "eps": "epsilon",
    "per_image=not batch": "batch batch_dice batchwise", "reduction": "reduce size_average",
    "dice_weight": "lambda_dice weight_dice", "cross_entropy_weight": "bce_weight lambda_ce weight_ce",
    "mean": "average avg batchmean elementwise_mean mean_with_sample_weight sum_over_batch_size",
    "multiclass": "categorical softmax", "binary": "sigmoid", "multilabel": "sigmoid", "balanced": "auto",
    " Labels are taken as they are; the length of the class axis says how many classes there are.":
        "n_classes num_classes one_hot to_onehot_y",
    " docs/parity.md shows how to write it.": "jaccard log_loss", " It takes raw scores only.": "from_logits",
}  # fmt: skip
"""Our words, or a sentence where there is none, and what other libraries say."""

TAKERS: dict[str, list[str]] = {}
"""The functions that take a word."""


def of_word(word: object, known: Collection[str], quote: str = "`") -> str:
    """What may be meant by a word that is not known: another library's, another loss's, or spelt wrong."""
    word = str(word)
    theirs = [ours for ours, names in _ELSEWHERE.items() if word in names.split()]
    if theirs and theirs[0].startswith(" "):
        return theirs[0]
    meant = [ours for ours in theirs if ours.partition("=")[0] in known]
    name = (*theirs, word)[0].partition("=")[0]
    if not meant and quote == "`" and name in TAKERS:
        simplest = " and ".join(f"`{taker}`" for taker in sorted(TAKERS[name], key=len)[:2])
        return f" `{name}` is a word of {simplest}."
    meant = meant or difflib.get_close_matches(word.lower(), known, 1, 0.7)
    return f" Did you mean {' or '.join(f'{quote}{ours}{quote}' for ours in meant)}?" if meant else ""
