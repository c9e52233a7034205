"""The way out that a message ends with: it is there where it helps, and it is true."""

import copy
import inspect
import itertools
import pickle
import re

import numpy as np
import pytest

import agnoloss
from agnoloss import dice_loss

# Shapes

FIT = " With {} these shapes would fit."
ONE_CHANNEL = (
    ' mode="binary" takes one channel, and axis {} has {}: pass one, as in `predictions{}`, or use '
    'mode="multiclass" or "multilabel".'
)
ONE_IMAGE = "`predictions[None]` and `targets[None]`{} (one image) or axis=0 (classes before images)"


@pytest.mark.parametrize(
    ("of_predictions", "of_targets", "options", "hint"),
    [
        # another class axis: of two classes or more, in binary mode of one
        ((2, 8, 8, 3), (2, 8, 8), {}, FIT.format("axis=-1")),
        ((2, 3, 8, 8), (2, 8, 8), {"axis": -1}, FIT.format("axis=1")),
        ((2, 8, 3, 8), (2, 8, 8), {}, FIT.format("axis=2")),
        ((2, 8, 8, 1), (2, 8, 8), {"mode": "binary"}, FIT.format("axis=-1")),
        ((2, 8, 1, 8), (2, 8, 8), {}, ""),
        # batch axes
        ((4, 8, 8), (8, 8), {}, FIT.format(ONE_IMAGE.format(""))),
        ((3, 2, 5, 6), (2, 5, 6), {}, FIT.format(ONE_IMAGE.format(""))),
        ((4, 8, 8), (8, 8), {"axis": -1}, FIT.format(ONE_IMAGE.format(" and axis=1"))),
        ((1, 8, 8), (8, 8), {"mode": "binary"}, FIT.format("`targets[None]`")),
        ((4, 8, 8), (1, 8, 8), {}, FIT.format("`predictions[None]`")),
        ((1, 4, 8, 8), (8, 8), {}, FIT.format("`targets[None]`")),
        ((1, 2, 4, 1), (2, 4, 1), {}, FIT.format("`targets[None]`")),  # one-hot
        # an axis of length 1 that only the targets have
        ((2, 3, 8, 8), (2, 8, 8, 1), {}, FIT.format("`targets[:, :, :, 0]`")),
        ((2, 8, 8), (2, 1, 8, 8), {"mode": "binary"}, FIT.format("`targets[:, 0]`")),
        # one-hot targets with their classes elsewhere
        ((2, 3, 8, 8), (2, 8, 8, 3), {}, FIT.format("`moveaxis(targets, -1, 1)`")),
        ((2, 8, 8, 3), (2, 3, 8, 8), {"axis": -1}, FIT.format("`moveaxis(targets, 1, -1)`")),
        ((2, 3, 8, 8), (3, 2, 8, 8), {"mode": "multilabel"}, FIT.format("`moveaxis(targets, 0, 1)`")),
        # several channels in binary mode
        ((2, 2, 8, 8), (2, 8, 8), {"mode": "binary"}, ONE_CHANNEL.format(1, 2, "[:, 0]")),
        ((2, 8, 8, 3), (2, 8, 8), {"mode": "binary"}, ONE_CHANNEL.format(-1, 3, "[:, :, :, 0]")),
        ((2, 2, 8, 8), (2, 8, 8), {"mode": "binary", "axis": 0}, ONE_CHANNEL.format(0, 2, "[0]")),
        # nothing likely
        ((4, 19, 64, 64), (4, 64, 32), {}, ""),
        ((2, 4), (), {"mode": "binary"}, ""),
        ((2, 3, 4), (2, 5), {"mode": "binary", "axis": 7}, ""),
    ],
    ids=str,
)
def test_what_would_make_shapes_fit(of_predictions, of_targets, options, hint):
    z, y = np.zeros(of_predictions), np.zeros(of_targets, np.int64)
    with pytest.raises(ValueError, match=f"; got {re.escape(f'{of_targets}.{hint}')}$"):
        dice_loss(z, y, **options)


def test_a_channel_of_the_hinge():
    hint = re.escape(ONE_CHANNEL.format(-1, 2, "[:, :, :, 0]"))
    with pytest.raises(ValueError, match=f"{hint}$"):
        agnoloss.lovasz_hinge_loss(np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 1), np.int64))


def test_one_example_needs_a_batch_axis():
    hint = re.escape("got shape (3,). One example needs `predictions[None]` and `targets[None]`.")
    with pytest.raises(ValueError, match=hint):
        dice_loss(np.zeros(3), np.asarray(1))


@pytest.mark.parametrize("mode", ["multiclass", "multilabel", "binary"])
def test_every_way_out_of_shapes_is_one(mode):
    """Of all small shapes: what a message advises is done, and the loss takes it."""
    some = [shape for n in (1, 2, 3, 4) for shape in itertools.product((1, 2, 3), repeat=n)]
    ways = 0
    for shape, of_targets in itertools.product((s for s in some if len(s) in (2, 3)), some):
        arrays = {"predictions": np.zeros(shape), "targets": np.zeros(of_targets, np.int64)}
        for axis in range(len(shape)):
            for way in ways_out(arrays, {"mode": mode, "axis": axis}):
                taken, options = dict(arrays), {"mode": mode, "axis": axis}
                for step in way.split(" and "):
                    if step.startswith("axis="):
                        options["axis"] = int(step[5:])
                        assert options["axis"] % len(shape) != axis or "[None]" in way
                    else:
                        name = "predictions" if "predictions" in step else "targets"
                        taken[name] = eval(step.strip("`"), {"moveaxis": np.moveaxis, **arrays})
                dice_loss(**taken, **options)
                ways += 1
    assert ways > 500


def ways_out(arrays, options):
    """What the message advises, if there is one: without the words in brackets."""
    try:
        dice_loss(**arrays, **options)
    except ValueError as error:
        for way in re.findall(r"With (.*) these shapes would fit|as in (`.*`), or use", str(error)):
            return re.sub(r" \(.*?\)", "", "".join(way)).split(" or ")
    return []


# Labels


@pytest.mark.parametrize(
    ("label", "options", "hint"),
    [
        (255, {}, " If it marks what is to be ignored, pass ignore_index=255."),
        (-1, {}, " If it marks what is to be ignored, pass ignore_index=-1."),
        (-100, {}, " If it marks what is to be ignored, pass ignore_index=-100."),
        (255, {"ignore_index": 7}, " If it marks what is to be ignored, pass ignore_index=(7, 255)."),
        (255, {"mode": "multilabel"}, " If it marks what is to be ignored, pass ignore_index=255."),
        (3, {}, ""),
        (256, {}, ""),
    ],
)
def test_labels_that_mark_what_is_to_be_ignored(label, options, hint):
    with pytest.raises(ValueError, match=f"; got {label}\\.{re.escape(hint)}$"):
        dice_loss(np.zeros((2, 3, 4)), np.full((2, 4), label), **options)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64])
def test_a_mask_of_0_and_255(dtype):
    z, y = np.zeros((2, 3, 4)), np.full((2, 3, 4), 255, dtype)
    ways = "pass ignore_index=255. If it is the foreground, pass `targets == 255`."
    for mode in ("binary", "multilabel"):
        with pytest.raises(ValueError, match=re.escape(ways)):
            dice_loss(z, y, mode=mode)
        assert dice_loss(z, y == 255, mode=mode) > 0
        assert dice_loss(z, y, mode=mode, ignore_index=255) == 0


def test_no_label_is_ignored_of_dense_multiclass_targets():
    with pytest.raises(ValueError, match=r"; got -1\.0\.$"):
        dice_loss(np.zeros((2, 3, 4)), np.full((2, 3, 4), -1.0))


# Words of other libraries


@pytest.mark.parametrize(
    ("loss", "word", "hint"),
    [
        (dice_loss, "weight", "Did you mean `class_weights` or `pixel_weights`?"),
        (agnoloss.cross_entropy_loss, "weight", "Did you mean `class_weights` or `pixel_weights`?"),
        (agnoloss.active_contour_loss, "weights", "Did you mean `class_weights` or `pixel_weights`?"),
        (dice_loss, "sample_weight", "Did you mean `pixel_weights`?"),
        (dice_loss, "smooth_nr", "Did you mean `smooth=(numerator, denominator)`?"),
        (dice_loss, "smooth_dr", "Did you mean `smooth=(numerator, denominator)`?"),
        (dice_loss, "eps", "Did you mean `smooth=(numerator, denominator)`?"),
        (agnoloss.active_contour_loss, "epsilon", "Did you mean `eps`?"),
        (dice_loss, "include_background", "Did you mean `classes=range(1, C)`?"),
        (dice_loss, "size_average", "Did you mean `reduction`?"),
        (dice_loss, "ignore_label", "Did you mean `ignore_index`?"),
        (dice_loss, "apply_softmax", "Did you mean `from_logits`?"),
        (dice_loss, "softmax", "Did you mean `from_logits`?"),
        (dice_loss, "sigmoid", "Did you mean `from_logits`?"),
        (dice_loss, "logits", "Did you mean `predictions` or `from_logits`?"),
        (dice_loss, "target", "Did you mean `targets`?"),
        (dice_loss, "dim", "Did you mean `axis`?"),
        (dice_loss, "batch", "Did you mean `per_image=not batch`?"),
        (agnoloss.dice_cross_entropy_loss, "lambda_ce", "Did you mean `cross_entropy_weight`?"),
        (agnoloss.cross_entropy_loss, "pos_weights", "Did you mean `pos_weight`?"),
        # of another loss
        (dice_loss, "pos_weights", "`pos_weight` is a word of "),
        (dice_loss, "label_smoothing", "`label_smoothing` is a word of "),
        (agnoloss.cross_entropy_loss, "classes", "`classes` is a word of `iou` and `dice_loss`."),
        (agnoloss.cross_entropy_loss, "include_background", "`classes` is a word of `iou` and "),
        # of none
        (dice_loss, "num_classes", "Labels are taken as they are; the length of the class axis says"),
        (dice_loss, "to_onehot_y", "Labels are taken as they are; the length of the class axis says"),
        (dice_loss, "log_loss", "docs/parity.md shows how"),
        (agnoloss.lovasz_hinge_loss, "from_logits", "It takes raw scores only."),
        # spelt wrong
        (dice_loss, "from_logit", "Did you mean `from_logits`?"),
        (dice_loss, "ignore_indices", "Did you mean `ignore_index`?"),
        (agnoloss.iou, "num_class", "Did you mean `num_classes`?"),
        (dice_loss, "cat", ""),
    ],
)
def test_what_a_keyword_may_mean(loss, word, hint):
    expected = f"{loss.__name__}() got an unexpected keyword argument '{word}'.{' ' if hint else ''}{hint}"
    with pytest.raises(TypeError, match=f"^{re.escape(expected)}"):
        loss(np.zeros((2, 3, 4)), np.zeros((2, 4), np.int64), **{word: 1})


def test_a_keyword_with_a_value_is_one_that_can_be_passed():
    z, y = np.zeros((2, 3, 4)), np.zeros((2, 4), np.int64)
    assert np.isfinite(dice_loss(z, y, classes=range(1, 3), smooth=(0, 1e-5)))


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"reduction": "batchmean"}, '"mean"'),
        ({"reduction": "elementwise_mean"}, '"mean"'),
        ({"reduction": "sum_over_batch_size"}, '"mean"'),
        ({"reduction": "avg"}, '"mean"'),
        ({"reduction": None}, '"none"'),
        ({"mode": "softmax"}, '"multiclass"'),
        ({"mode": "sigmoid"}, '"binary" or "multilabel"'),
        ({"mode": "multi-label"}, '"multilabel"'),
        ({"class_weights": "auto"}, '"balanced"'),
        ({"classes": "All"}, '"all"'),
        ({"average": "Micro"}, '"micro"'),
        ({"classes": "presence"}, '"present"'),
    ],
    ids=str,
)
def test_what_a_choice_may_mean(options, hint):
    ((name, given),) = options.items()
    with pytest.raises(ValueError, match=f"`{name}` must be .*; got {given!r}. Did you mean {hint}\\?$"):
        dice_loss(np.zeros((2, 3, 4)), np.zeros((2, 4), np.int64), **options)


@pytest.mark.parametrize(
    "given", ["include_background", "gamma", "cat", 3, ["mean"], {"mean": 1}, np.zeros(2)], ids=str
)
def test_what_is_no_word_means_nothing(given):
    with pytest.raises(ValueError, match=f"`reduction` must be .*; got {re.escape(repr(given))}.$"):
        dice_loss(np.zeros((2, 3, 4)), np.zeros((2, 4), np.int64), reduction=given)


@pytest.mark.parametrize("name", [name for name in agnoloss.__all__ if name.endswith("_loss")])
def test_a_loss_can_be_copied_and_looked_at(name):
    loss = getattr(agnoloss, name)
    assert pickle.loads(pickle.dumps(loss)) is loss is copy.deepcopy(loss)
    assert (loss.__name__, loss.__code__.co_name, loss.__module__) == (
        name,
        name,
        inspect.unwrap(loss).__module__,
    )
    assert f"def {name}(" in inspect.getsource(loss)
    assert list(inspect.signature(loss).parameters)[:3] == ["predictions", "targets", "mode"]
