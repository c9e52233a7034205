"""Whole-array NumPy as one writes it from the formulas, gradients by hand; CuPy runs it as it stands."""

import numpy as np

from .workloads import IGNORED


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def one_hot(y, classes, dtype):
    """All zero where ignored."""
    shape = (1, classes) + (1,) * (y.ndim - 1)
    return (y[:, None] == np.arange(classes, like=y).reshape(shape)).astype(dtype)


def through_softmax(p, gradient):
    """The gradient to the scores of one to the probabilities."""
    return p * (gradient - (p * gradient).sum(1, keepdims=True))


# --- cross entropy and focal --------------------------------------------------------------------


def true_log_probs(z, y):
    """log p of the label, and a probability for every class."""
    valid = y != IGNORED
    shifted = z - z.max(1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(1, keepdims=True)
    labels = np.where(valid, y, 0)[:, None]
    log_p = (np.take_along_axis(shifted, labels, 1) - np.log(total))[:, 0]
    return log_p, valid, e, total


def cross_entropy(z, y):
    log_p, valid, _, _ = true_log_probs(z, y)
    return -(log_p * valid).sum() / valid.sum()


def cross_entropy_and_grad(z, y):
    log_p, valid, e, total = true_log_probs(z, y)
    count = valid.sum()
    gradient = (e / total - one_hot(y, z.shape[1], z.dtype)) * (valid / count).astype(z.dtype)[:, None]
    return -(log_p * valid).sum() / count, gradient


def focal(z, y):
    log_p, valid, _, _ = true_log_probs(z, y)
    return -((1 - np.exp(log_p)) ** 2 * log_p * valid).sum() / valid.sum()


def focal_and_grad(z, y):
    log_p, valid, e, total = true_log_probs(z, y)
    count, p = valid.sum(), np.exp(log_p)
    slope = (1 - p) * (2 * p * log_p - (1 - p)) * (valid / count).astype(z.dtype)
    gradient = (one_hot(y, z.shape[1], z.dtype) - e / total) * slope[:, None]
    return -((1 - p) ** 2 * log_p * valid).sum() / count, gradient


# --- Dice ---------------------------------------------------------------------------------------


def dice_parts(z, y, smooth=1.0):
    p = softmax(z) * (y != IGNORED)[:, None]
    t = one_hot(y, z.shape[1], z.dtype)
    axes = (0, *range(2, z.ndim))
    numerator = 2 * (p * t).sum(axes) + smooth
    return p, t, numerator, p.sum(axes) + t.sum(axes) + smooth


def dice(z, y):
    _, _, numerator, denominator = dice_parts(z, y)
    return (1 - numerator / denominator).mean()


def dice_and_grad(z, y):
    p, t, numerator, denominator = dice_parts(z, y)
    shape = (1, -1) + (1,) * (z.ndim - 2)
    of_numerator = (-2 / denominator / z.shape[1]).reshape(shape)
    of_denominator = (numerator / denominator**2 / z.shape[1]).reshape(shape)
    return (1 - numerator / denominator).mean(), through_softmax(p, t * of_numerator + of_denominator)


# --- Lovász -------------------------------------------------------------------------------------


def extension_and_grad(errors, foreground):
    """Berman's Lovász extension of one class, and its gradient to the errors."""
    order = np.argsort(-errors)
    ordered = foreground[order]
    union = ordered.sum() + np.cumsum(1 - ordered)
    jaccard = 1 - (ordered.sum() - np.cumsum(ordered)) / union
    steps = np.concatenate([jaccard[:1], np.diff(jaccard)]).astype(errors.dtype)
    gradient = np.empty_like(errors)
    gradient[order] = steps
    return (errors[order] * steps).sum(), gradient


def lovasz_softmax_and_grad(z, y, per_image=False, classes="present"):
    """The mean over classes, then over images."""
    images = [slice(i, i + 1) for i in range(len(z))] if per_image else [slice(None)]
    p = softmax(z)
    slopes, value = np.zeros_like(p), 0
    for image in images:
        chosen = [c for c in range(z.shape[1]) if classes == "all" or (y[image] == c).any()]
        valid = y[image] != IGNORED
        for c in chosen:
            foreground = (y[image] == c)[valid].astype(z.dtype)
            error = np.abs(foreground - p[image, c][valid])
            loss, slope = extension_and_grad(error, foreground)
            share = 1 / (len(chosen) * len(images))
            value = value + share * loss
            slopes[image, c][valid] = slope * (1 - 2 * foreground) * share
    return value, through_softmax(p, slopes)


def lovasz_hinge_and_grad(z, y):
    """The mean over images, one channel."""
    value, gradient = 0, np.zeros_like(z)
    for scores, labels, place in zip(z, y, gradient, strict=True):
        valid = labels != IGNORED
        foreground = labels[valid].astype(z.dtype)
        signs = 2 * foreground - 1
        errors = 1 - scores[0][valid] * signs
        loss, slope = extension_and_grad(np.maximum(errors, 0), foreground)
        value = value + loss / len(z)
        place[0][valid] = -signs * slope * (errors > 0) / len(z)
    return value, gradient
