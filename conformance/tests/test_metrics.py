"""Counts that add up exactly, decisions as predictions, and scores made of them, on every library."""

import itertools

import numpy as np
import pytest

from agnoloss import (
    Counts,
    confusion,
    dice_score,
    generalized_dice_loss,
    generalized_dice_score,
    iou,
    jaccard_score,
    tversky_score,
)

from .. import references
from .test_input_values import LOOKING_IS_FREE, refused

RNG = np.random.default_rng(21)
LABELS, TRUE = RNG.integers(0, 3, (2, 2, 4, 5))
MASKS, GIVEN = RNG.integers(0, 2, (2, 2, 3, 4, 5))
SCORES = [dice_score, jaccard_score, tversky_score, generalized_dice_score]


def one_hot(labels, axis=1):
    return np.moveaxis(np.eye(3, dtype=int)[labels], -1, axis)


def overlap(p, y):
    """Intersection over union of two sets."""
    return np.sum(p & y) / np.sum(p | y)


def numbers(backend, counts):
    return [backend.numpy(part).tolist() for part in counts]


# Decisions as predictions


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_masks_of_channels(backend, dtype):
    p, y = backend.array(MASKS.astype(dtype)), backend.array(GIVEN)
    found = iou(p, y, mode="multilabel", reduction="none")
    expected = [overlap(MASKS[:, c], GIVEN[:, c]) for c in range(3)]
    np.testing.assert_allclose(backend.numpy(found), expected, rtol=1e-6)
    tp, fp, fn = numbers(backend, confusion(p, y, hard=True, mode="multilabel"))
    assert tp == np.sum(MASKS & GIVEN, axis=(0, 2, 3)).tolist()
    assert fp == np.sum(MASKS & ~GIVEN, axis=(0, 2, 3)).tolist()
    assert fn == np.sum(~MASKS & GIVEN, axis=(0, 2, 3)).tolist()
    last = [backend.array(np.moveaxis(x, 1, -1)) for x in (MASKS.astype(dtype), GIVEN)]
    np.testing.assert_allclose(
        backend.numpy(iou(*last, mode="multilabel", axis=-1, reduction="none")), expected, rtol=1e-6
    )


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_masks_of_one_class(backend, dtype):
    p, y = MASKS[:, 0].astype(dtype), GIVEN[:, 0].astype(dtype)
    expected = overlap(MASKS[:, 0], GIVEN[:, 0])
    for given in ((p, y), (p[:, None], y[:, None]), (p[:, None], y)):
        found = iou(*map(backend.array, given), mode="binary")
        np.testing.assert_allclose(backend.numpy(found), expected, rtol=1e-6)


@pytest.mark.parametrize("wrong", [255, -1])
@pytest.mark.parametrize("mode", ["multilabel", "binary"])
def test_masks_of_another_value(backend, mode, wrong):
    p, y = MASKS.copy(), GIVEN
    p[1, 2, 3, 1] = wrong
    if mode == "binary":
        p, y = p[:, 2], y[:, 2]
    p, y = backend.array(p), backend.array(y)
    if backend.name in LOOKING_IS_FREE:
        with refused(ValueError, "`predictions` must hold labels from 0 to 1", f"got {wrong}"):
            iou(p, y, mode=mode)
        return
    found = backend.numpy(iou(p, y, mode=mode, reduction="none"))
    np.testing.assert_array_equal(np.isnan(found), [False, False, True][-found.size :])


MAPS = {
    "labels": (LABELS, TRUE, {"num_classes": 3}),
    "labels with a class axis": (LABELS[:, None], TRUE, {"num_classes": 3}),
    "and targets with one": (LABELS[:, None], TRUE[:, None], {"num_classes": 3}),
    "targets with one alone": (LABELS, TRUE[:, None], {"num_classes": 3}),
    "labels, dense targets": (LABELS, one_hot(TRUE), {"num_classes": 3}),
    "labels, dense targets, channels last": (LABELS, one_hot(TRUE, -1), {"num_classes": 3, "axis": -1}),
    "labels of as many rows as classes": (
        LABELS.reshape(2, 1, 4, 5),
        TRUE.reshape(2, 1, 4, 5),
        {"num_classes": 3},
    ),
    "one-hot": (one_hot(LABELS), TRUE, {}),
    "one-hot, channels last": (one_hot(LABELS, -1), TRUE, {"axis": -1}),
    "one-hot, labels with a class axis": (one_hot(LABELS), TRUE[:, None], {"num_classes": 3}),
    "one-hot both": (one_hot(LABELS), one_hot(TRUE), {"num_classes": 3}),
    "one-hot of bool": (one_hot(LABELS) == 1, TRUE, {}),
    "one-hot of bool both": (one_hot(LABELS) == 1, one_hot(TRUE), {}),
}


@pytest.mark.parametrize(("p", "y", "options"), MAPS.values(), ids=MAPS)
def test_maps_of_classes(backend, p, y, options):
    p, y = backend.array(p), backend.array(y)
    expected = [overlap(c == LABELS, c == TRUE) for c in range(3)]
    found = backend.numpy(iou(p, y, reduction="none", **options))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = backend.numpy(iou(p, y, reduction="per_image", **options))
    alone = [np.mean([overlap(c == LABELS[n], c == TRUE[n]) for c in range(3)]) for n in range(2)]
    np.testing.assert_allclose(found, alone, rtol=1e-6)
    counts = confusion(p, y, hard=True, **options)
    assert numbers(backend, counts)[0] == [int(np.sum((c == LABELS) & (c == TRUE))) for c in range(3)]


def test_what_is_no_map_of_classes(backend):
    p, y = backend.array(LABELS), backend.array(TRUE)
    with refused(TypeError, "`predictions`", "floating", "hard=True", "int64"):
        confusion(p, y, num_classes=3)
    with refused(ValueError, "`num_classes`", "label maps"):
        iou(p, y)
    with refused(ValueError, "`num_classes` must be 3"):
        iou(backend.array(MASKS), backend.array(GIVEN), mode="multilabel", num_classes=2)
    with refused(ValueError, "`num_classes` must be 4, the length of the class axis"):  # bool is no label
        iou(backend.array(LABELS == 1), backend.array(np.zeros((2, 4, 5), bool)), num_classes=2)
    with refused(ValueError, "`predictions`", "axis=4", "(2, 4, 5)"):
        iou(p, y, num_classes=3, axis=4)


WRONG = np.zeros((2, 4, 5), bool)
WRONG[1, 2, 1:4] = True


@pytest.mark.parametrize(
    ("p", "options", "words"),
    [
        (np.where(WRONG, 7, LABELS), {"num_classes": 3}, ["labels from 0 to 2", "got 7"]),
        (np.where(WRONG, -1, LABELS), {"num_classes": 3}, ["labels from 0 to 2", "got -1"]),
        (
            one_hot(LABELS) * np.where(WRONG, 255, 1)[:, None],
            {},
            ["one class of each pixel", 'mode="binary"'],
        ),
        (one_hot(LABELS) + WRONG[:, None] * one_hot((LABELS + 1) % 3), {}, ["1 for one class of each pixel"]),
        (one_hot(LABELS) * ~WRONG[:, None], {}, ["1 for one class of each pixel"]),
    ],
)
def test_what_is_no_class(backend, p, options, words):
    """Refused where looking is free; elsewhere NaN, also of counts, whose whole numbers know none."""
    given = backend.array(p), backend.array(TRUE)
    if backend.name in LOOKING_IS_FREE:
        for call, more in ((iou, {}), (confusion, {"hard": True})):
            with refused(ValueError, "`predictions`", *words):
                call(*given, **options, **more)
    else:
        assert np.isnan(backend.numpy(iou(*given, **options)))
        counts = confusion(*given, hard=True, **options)
        right = confusion(backend.array(LABELS), given[1], hard=True, num_classes=3)
        for total in (counts, counts + right, sum([right, counts, counts, counts, counts])):
            for score in SCORES:
                assert np.all(np.isnan(backend.numpy(score(total))))
    ignored = backend.array(np.where(WRONG, 255, TRUE))  # where nothing counts anything may be
    found = iou(given[0], ignored, reduction="none", ignore_index=255, **options)
    expected = [overlap((c == LABELS) & ~WRONG, (c == TRUE) & ~WRONG) for c in range(3)]
    np.testing.assert_allclose(backend.numpy(found), expected, rtol=1e-6)


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mode", ["multiclass", "multilabel"])
def test_a_score_that_decides_nothing(backend, score, mode):
    """NaN; in a softmax infinite ones too. Of its image, and its channel, alone."""
    z, y = RNG.normal(size=(2, 3, 4, 5)), TRUE if mode == "multiclass" else GIVEN
    z[1, 1, 2, 3] = score
    if score == -np.inf:
        z[1, :, 2, 3] = score
    found = iou(backend.array(z), backend.array(y), mode=mode, per_image=True, reduction="none")
    unknown = np.isnan(backend.numpy(found))
    expected = np.zeros((2, 3), bool)
    if mode == "multiclass":
        expected[1] = True
    elif np.isnan(score):
        expected[1, 1] = True
    np.testing.assert_array_equal(unknown, expected)
    counts = confusion(backend.array(z), backend.array(y), mode=mode, hard=True, per_image=True)
    np.testing.assert_array_equal(np.isnan(backend.numpy(jaccard_score(counts))), expected)
    np.testing.assert_array_equal(backend.numpy(counts.tp) < 0, expected)


# Counts


def test_counts_are_whole_numbers_beyond_what_float32_knows(backend):
    count = 2**24 + 3
    p, y = np.ones((1, count), np.uint8), np.ones((1, count), np.uint8)
    p[0, :4], y[0, 7] = 0, 0
    counts = confusion(backend.array(p), backend.array(y), hard=True, mode="binary")
    assert numbers(backend, counts) == [[count - 5], [1], [4]]
    assert numbers(backend, sum([counts] * 100)) == [[100 * (count - 5)], [100], [400]]
    expected = (count - 5) / count
    np.testing.assert_allclose(backend.numpy(jaccard_score(counts)), [expected], rtol=1e-7)
    found = iou(backend.array(p), backend.array(y), mode="binary")
    np.testing.assert_allclose(backend.numpy(found), expected, rtol=1e-7)


@pytest.mark.parametrize("mode", ["multiclass", "multilabel", "binary"])
@pytest.mark.parametrize("per_image", [False, True])
def test_hard_counts_are_those_of_a_loop(backend, mode, per_image):
    z, y = (
        RNG.normal(size=(2, 3, 4, 5)),
        {"multiclass": TRUE, "multilabel": GIVEN, "binary": GIVEN[:, 0]}[mode],
    )
    if mode == "binary":
        z = z[:, 0]
    options = {"mode": mode, "hard": True, "per_image": per_image}
    ignored = np.where(RNG.uniform(size=y.shape) < 0.2, 255, y)
    for targets, more, kind in (
        (y, {}, "i"),
        (ignored, {"ignore_index": 255}, "i"),
        (y.astype(bool) if mode != "multiclass" else y.astype("uint8"), {}, "i"),
        (y, {"pixel_weights": RNG.uniform(0.5, 2, (2, 4, 5))}, "f"),
        (y if mode == "multiclass" else y * 0.25, {}, "i" if mode == "multiclass" else "f"),
    ):
        expected = references.confusion(z, targets, **options, **more)
        more = {key: backend.array(x) if isinstance(x, np.ndarray) else x for key, x in more.items()}
        counts = confusion(backend.array(z), backend.array(targets), **options, **more)
        for part, right in zip(counts, expected, strict=True):
            found = backend.numpy(part)
            assert found.dtype.kind == kind
            np.testing.assert_allclose(found, right, rtol=1e-12, atol=1e-14)


def test_counts_add_up(backend):
    z, y = RNG.normal(size=(3, 2, 3, 8)), RNG.integers(0, 3, (3, 2, 8))
    for hard in (True, False):
        parts = [confusion(*map(backend.array, part), hard=hard) for part in zip(z, y, strict=True)]
        whole = confusion(backend.array(z.reshape(6, 3, 8)), backend.array(y.reshape(6, 8)), hard=hard)
        one, two, three = parts
        total = one
        total += two
        sums = (sum(parts), one + two + three, one.merge(two).merge(three), total + three)
        for found, (part, right) in itertools.product(sums, enumerate(whole)):
            assert isinstance(found, Counts)
            np.testing.assert_allclose(backend.numpy(found[part]), backend.numpy(right), rtol=1e-12)
    for other in (1, (1, 2, 3), None):
        with pytest.raises(TypeError):
            one + other
    with pytest.raises(TypeError):
        1 + one


# Scores

COUNTS = [[[3, 0, 5], [1, 0, 0], [0, 0, 2]], [[0, 4, 0], [2, 0, 0], [0, 1, 0]], [[0, 0, 0]] * 3]


@pytest.mark.parametrize("dtype", ["int64", "float64"])
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("options", [{}, {"smooth": 1.0}, {"smooth": (0.5, 2.0), "absent": 0.25}])
def test_scores_are_those_of_a_loop(backend, score, options, dtype):
    reference = getattr(references, score.__name__)
    stacked = np.stack(COUNTS, axis=1)
    for given in (*COUNTS, stacked):
        counts = Counts(*(backend.array(np.asarray(part, dtype)) for part in given))
        expected = reference(references.Counts(*given), **options)
        rtol = 1e-6 if backend.name == "torch" and dtype == "int64" else 1e-13  # its default is float32
        np.testing.assert_allclose(backend.numpy(score(counts, **options)), expected, rtol=rtol)


def test_generalized_dice_of_counts(backend):
    """Two classes, of 3 and of 4 pixels in the target."""
    counts = Counts(*(backend.array(np.asarray(part)) for part in ([3, 1], [1, 0], [0, 3])))
    for weighting, expected in {
        "square": 2 * (3 / 9 + 1 / 16) / (7 / 9 + 5 / 16),
        "simple": 2 * (3 / 3 + 1 / 4) / (7 / 3 + 5 / 4),
        "uniform": 2 * 4 / 12,
    }.items():
        found = backend.numpy(generalized_dice_score(counts, weighting=weighting))
        assert found.shape == ()
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    with refused(ValueError, "`weighting`", '"square" or "simple"', "'cube'"):
        generalized_dice_score(counts, weighting="cube")


@pytest.mark.parametrize("weighting", ["square", "simple", "uniform"])
@pytest.mark.parametrize("per_image", [False, True])
def test_generalized_dice_loss_is_one_minus_the_score_of_all_batches(backend, weighting, per_image):
    z, y = RNG.normal(size=(2, 2, 3, 8)), RNG.integers(0, 3, (2, 2, 8))
    parts = [confusion(*map(backend.array, part), per_image=per_image) for part in zip(z, y, strict=True)]
    if per_image:
        found = np.concatenate([backend.numpy(generalized_dice_score(p, weighting=weighting)) for p in parts])
    else:
        found = backend.numpy(generalized_dice_score(sum(parts), weighting=weighting))
    whole = (backend.array(x) for x in (z.reshape(4, 3, 8), y.reshape(4, 8)))
    loss = generalized_dice_loss(*whole, weighting=weighting, per_image=per_image, reduction="none")
    np.testing.assert_allclose(1 - found, backend.numpy(loss), rtol=1e-12)
