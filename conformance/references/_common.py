"""What every reference shares: input as plain Python lists, and the means of DESIGN section 4.

`read` turns arrays into a `Batch`: a list of images, each a list of `Pixel`, each a few short lists
indexed by class. From there on every reference is a loop over Python floats. Nothing here, and
nothing in the package `references`, imports agnoloss.
"""

import functools
import math
from itertools import chain
from typing import NamedTuple

import numpy as np

MODES = ("multiclass", "multilabel", "binary")
LOG_FLOOR = 1e-7  # least argument of a logarithm when probabilities, not logits, are given


class Pixel(NamedTuple):
    """One pixel; every list has one entry per class (binary: one entry).

    An ignored entry has weight 0 and lies outside its class (target 0, probability 0), so that
    whatever the predictions hold there, a NaN included, is never looked at.
    """

    weights: list  # u_c: pixel weight, 0 where ignored
    targets: list  # y_c
    scores: list  # the number that was given, logit or probability
    probs: list  # p_c
    rests: list  # 1 - p_c, without cancellation
    log_probs: list  # log p_c
    log_rests: list  # log(1 - p_c)

    @property
    def weight(self):
        """The pixel's weight, where all classes share one (multiclass, binary)."""
        return self.weights[0]


class Batch(NamedTuple):
    """The images, as lists of pixels in row-major order, and their common sizes."""

    images: list
    space: tuple  # *S
    classes: int  # C; 1 in binary mode
    mode: str
    axis: int  # of the classes in predictions

    def pools(self, per_image):
        """The groups of pixels that are counted together: each image, or the whole batch."""
        return self.images if per_image else [list(chain.from_iterable(self.images))]


def read(predictions, targets, mode, from_logits, axis, ignore_index=None, pixel_weights=None):
    """Arrays of any layout as a `Batch`."""
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {MODES}; got {mode!r}.")
    z, y, dense = _channels_second(predictions, targets, mode, axis)
    if mode == "multiclass" and dense and ignore_index is not None:
        raise ValueError("`ignore_index` has no meaning for dense multiclass targets.")
    u = _weights(pixel_weights, np.shape(predictions), z.shape, axis)
    count, classes, *space = z.shape
    pixels = math.prod(space)
    z = z.reshape(count, classes, pixels).astype(np.float64)
    y = y.reshape(count, -1, pixels)
    ignored = set() if ignore_index is None else set(np.ravel(ignore_index).tolist())
    images = []
    for n in range(count):
        image = []
        for i in range(pixels):
            weights, labels = _target(y[n, :, i].tolist(), classes, dense, ignored, u[n, :, i].tolist())
            image.append(_pixel(weights, labels, z[n, :, i].tolist(), mode, from_logits))
        images.append(image)
    return Batch(images, tuple(space), classes, mode, axis)


def read_maps(maps, targets, mode, axis):
    """An array of the predictions' shape as nested lists [image][class][pixel]."""
    maps, _, _ = _channels_second(maps, targets, mode, axis)
    return maps.reshape(*maps.shape[:2], -1).astype(np.float64).tolist()


def _channels_second(predictions, targets, mode, axis):
    """Predictions (N, C, *S), targets (N, 1 or C, *S), and whether the targets are dense."""
    z, y = np.asarray(predictions), np.asarray(targets)
    if mode == "binary":
        same = z.shape == y.shape
        # Equal shapes with a 1 at `axis`, as (N, 1, H, W) twice: both carry the class axis.
        if same and (z.ndim < 2 or not -z.ndim <= axis < z.ndim or z.shape[axis] != 1):
            return z[:, np.newaxis], y[:, np.newaxis], True
        z = np.moveaxis(z, axis, 1)
        y = np.moveaxis(y, axis, 1) if same else y[:, np.newaxis]
        if z.shape != y.shape or z.shape[1] != 1:
            raise ValueError(f"binary targets {y.shape} do not fit predictions {z.shape}.")
        return z, y, True
    dense = z.shape == y.shape
    z = np.moveaxis(z, axis, 1)
    y = np.moveaxis(y, axis, 1) if y.ndim == z.ndim else y[:, np.newaxis]
    if y.shape != (z.shape if dense else (z.shape[0], 1, *z.shape[2:])):
        raise ValueError(f"targets {y.shape} do not fit predictions {z.shape}.")
    return z, y, dense


def _weights(pixel_weights, shape, standing, axis):
    """Weights (N, C, pixels) of predictions of a shape, which standing channels second is (N, C, *S)."""
    count, classes, *space = standing
    u = np.ones(count) if pixel_weights is None else np.asarray(pixel_weights, np.float64)
    if u.shape == shape and len(shape) == len(standing):  # one for each element
        u = np.moveaxis(u, axis, 1)
    elif u.shape == (count,):
        u = u.reshape(count, *[1] * (len(standing) - 1))
    else:
        u = u.reshape(count, 1, *space)
    return np.broadcast_to(u, standing).reshape(count, classes, -1)


def _target(values, classes, dense, ignored, given):
    """Weights and targets of one pixel, one of each per class."""
    if dense:
        weights = [0.0 if value in ignored else u for value, u in zip(values, given, strict=True)]
        return weights, [float(values[c]) if weights[c] else 0.0 for c in range(classes)]
    (label,) = values
    if label in ignored:
        return [0.0] * classes, [0.0] * classes
    if not 0 <= label < classes:
        raise ValueError(f"label {label} is outside 0 .. {classes - 1}.")
    label = int(label)
    return given, [float(c == label and given[c] != 0) for c in range(classes)]


def _pixel(weights, targets, scores, mode, from_logits):
    """Probabilities and their logarithms at one pixel."""
    nothing = [0.0] * len(scores)
    if mode == "multiclass":
        if weights[0] == 0:
            return Pixel(weights, targets, nothing, nothing, nothing, nothing, nothing)
        columns = softmax(scores) if from_logits else normalised(scores)
    else:
        columns = []
        for weight, score in zip(weights, scores, strict=True):
            if weight == 0:
                columns.append((0.0, 0.0, 0.0, 0.0))
            else:
                columns.append(sigmoid(score) if from_logits else given(score, 1 - score))
        scores = [scores[c] if weights[c] else 0.0 for c in range(len(scores))]
    probs, rests, log_probs, log_rests = (list(column) for column in zip(*columns, strict=True))
    return Pixel(weights, targets, scores, probs, rests, log_probs, log_rests)


# Each of the following gives (p, 1 - p, log p, log(1 - p)), or a list of these, one per class.


def softmax(logits):
    """p_c = exp(z_c) / sum_k exp(z_k), with the largest exponential, 1, kept out of log1p."""
    top = max(range(len(logits)), key=lambda c: logits[c])
    powers = [math.exp(z - logits[top]) for z in logits]
    log_total = math.log1p(sum(powers[:top] + powers[top + 1 :]))
    total = sum(powers)
    columns = []
    for c, z in enumerate(logits):
        others = logits[:c] + logits[c + 1 :]
        p = powers[c] / total
        rest = sum(powers[:c] + powers[c + 1 :]) / total
        if p < 0.5:
            log_rest = math.log1p(-p)
        else:
            best = max(others)
            log_others = math.log(sum(math.exp(other - best) for other in others))
            log_rest = (best - logits[top]) + log_others - log_total
        columns.append((p, rest, (z - logits[top]) - log_total, log_rest))
    return columns


def sigmoid(z):
    """p = 1 / (1 + exp(-z)); log p = -softplus(-z)."""
    small = math.exp(-abs(z))
    large, less = 1 / (1 + small), small / (1 + small)
    log_large, log_less = -math.log1p(small), -abs(z) - math.log1p(small)
    if z < 0:
        return less, large, log_less, log_large
    return large, less, log_large, log_less


def normalised(values):
    """Multiclass probabilities, divided by their sum; NaN where that is 0."""
    total = sum(values)
    if total == 0:
        return [(math.nan,) * 4] * len(values)
    others = [sum(values[:c] + values[c + 1 :]) for c in range(len(values))]
    return [given(p / total, rest / total) for p, rest in zip(values, others, strict=True)]


def given(p, rest):
    """A probability as it was given, with the floor under each logarithm."""
    return p, rest, math.log(max(p, LOG_FLOOR)), math.log(max(rest, LOG_FLOOR))


# Weights and means.


def per_class(value, classes, default=1.0):
    """A scalar, a sequence of length C, or None, as a list of length C."""
    if value is None:
        return [default] * classes
    values = np.ravel(np.asarray(value, np.float64)).tolist()
    return values * classes if len(values) == 1 else values


def weights_of_classes(batch, class_weights):
    """w_c; "balanced" is total / (C count_c) with weighted counts, 0 for an absent class."""
    if not isinstance(class_weights, str):
        return per_class(class_weights, batch.classes)
    if class_weights != "balanced":
        raise ValueError(f'`class_weights` must be numbers or "balanced"; got {class_weights!r}.')
    (pixels,) = batch.pools(per_image=False)
    counts = [sum(px.weights[c] * px.targets[c] for px in pixels) for c in range(batch.classes)]
    return [sum(counts) / (batch.classes * count) if count else 0.0 for count in counts]


def weights_of_sides(batch, class_weights):
    """Weights of y and of 1 - y in each channel: w_c for both; in binary mode w_1, and w_0.

    "balanced" is there total / (2 count) of ones, and of zeros.
    """
    if batch.mode != "binary" or class_weights is None:
        return (weights_of_classes(batch, class_weights),) * 2
    if isinstance(class_weights, str):
        (pixels,) = batch.pools(per_image=False)
        ones = sum(px.weight * px.targets[0] for px in pixels)
        zeros = sum(px.weight * (1 - px.targets[0]) for px in pixels)
        class_weights = [(zeros + ones) / (2 * count) if count else 0.0 for count in (zeros, ones)]
    w_0, w_1 = (float(weight) for weight in class_weights)
    return [w_1], [w_0]


def chosen_classes(classes, present):
    """The class indices that `classes` names, `present` telling for each class if it occurs."""
    if isinstance(classes, str):
        if classes == "all":
            return list(range(len(present)))
        if classes == "present":
            return [c for c, occurs in enumerate(present) if occurs]
        raise ValueError(f'`classes` must be "all", "present" or indices; got {classes!r}.')
    return [int(c) for c in classes]


def each_image(loss):
    """The same with a further reduction: "per_image", the loss of each image by itself, (N,)."""

    @functools.wraps(loss)
    def with_images(predictions, targets, **options):
        if options.get("reduction") != "per_image":
            return loss(predictions, targets, **options)
        ndim, axis = np.ndim(predictions), options.get("axis", 1)
        first = 1 if axis in (0, -ndim) and options.get("mode") != "binary" else 0  # after the classes

        def image(array, n):
            place = first if np.ndim(array) == ndim else 0
            return np.take(array, [n], place)

        def alone(n):
            arrays = ("pixel_weights", "distance_maps")
            own = {key: image(options[key], n) for key in arrays if options.get(key) is not None}
            y = None if targets is None else image(targets, n)
            return loss(image(predictions, n), y, **options | own | {"reduction": "mean"})

        return np.asarray([alone(n) for n in range(np.shape(predictions)[first])])

    return with_images


def check_reduction(reduction, *choices):
    """Refuse a reduction that is not among the choices."""
    if reduction not in choices:
        raise ValueError(f"`reduction` must be one of {choices}; got {reduction!r}.")


def over_pixels(batch, terms, reduction):
    """Reduce a pixel loss.

    `terms(pixel)` lists pairs (w l, w): one pair, or one per class in multilabel mode. The mean is
    sum w l / sum w, and 0 where there is nothing to average.
    """
    check_reduction(reduction, "mean", "sum", "none")
    pairs = [[terms(pixel) for pixel in image] for image in batch.images]
    losses = [[[loss for loss, _ in pixel] for pixel in image] for image in pairs]
    total = sum(loss for image in losses for pixel in image for loss in pixel)
    share = sum(w for image in pairs for pixel in image for _, w in pixel)
    if reduction == "none":
        channels = (batch.classes,) if batch.mode == "multilabel" else ()
        array = np.asarray(losses, np.float64)  # (N, pixels, entries)
        array = array.transpose(0, 2, 1).reshape(len(losses), *channels, *batch.space)
        return np.moveaxis(array, 1, batch.axis) if channels else array
    return float(total) if reduction == "sum" else weighted_mean(total, share)


def weighted_mean(total, share):
    """total / share; 0 where there is nothing to average."""
    return float(total / share) if share else 0.0


def over_classes(losses, chosen, weights, per_image, reduction):
    """Reduce a class loss: losses[pool][c], with the classes chosen in each pool.

    Mean: the weighted mean over the classes of a pool, then over pools; a pool with no class left
    counts 0 and stays in the divisor.
    """
    check_reduction(reduction, "mean", "sum", "none")
    array = np.zeros((len(losses), len(weights)))
    means = []
    for n, (row, kept) in enumerate(zip(losses, chosen, strict=True)):
        for c in kept:
            array[n, c] = weights[c] * row[c]
        means.append(weighted_mean(sum(array[n]), sum(weights[c] for c in kept)))
    if reduction == "none":
        return array if per_image else array[0]
    return float(np.sum(array)) if reduction == "sum" else sum(means) / len(means)


def over_pools(losses, per_image, reduction):
    """Reduce a loss that is one number per pool."""
    check_reduction(reduction, "mean", "sum", "none")
    if not per_image:
        return float(losses[0])
    if reduction == "none":
        return np.asarray(losses, np.float64)
    return float(sum(losses)) if reduction == "sum" else sum(losses) / len(losses)
