"""Functions as NumPy users write them, for arrays of NumPy and CuPy. In programs ``np`` may be CuPy."""

import numpy
import numpy as np

RNG = numpy.random.default_rng(21)
X = RNG.normal(size=(12, 4))
LABELS = RNG.integers(0, 2, 12)
CLASSES = RNG.integers(0, 3, 12)
W = RNG.normal(size=(3, 4))
POSITIVE = RNG.uniform(0.5, 2, (3, 4))


def differences(function, at, step=1e-6):
    """Gradient of a function of one NumPy array by central differences."""
    gradient = numpy.empty_like(at)
    for index in numpy.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


# Programs: functions of parameters, features and labels


def logistic_regression(np, w, X, y):
    """Mean negative log-likelihood, with a ridge on all but the intercept."""
    z = X @ w[1:] + w[0]
    signs = 2 * y - 1
    return np.mean(np.log1p(np.exp(-signs * z))) + 0.1 * np.sum(w[1:] ** 2)


def softmax_regression(np, w, X, y):
    """Parameters as one vector, as scipy.optimize.minimize has them."""
    W = w[:12].reshape(4, 3)
    scores = X @ W + w[12:]
    scores = scores - scores.max(axis=1, keepdims=True)
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    n = len(X)
    return -log_p[np.arange(n), y].mean() + 0.01 * (W * W).sum()


def two_layers(np, w, X, y):
    """A hidden layer of five, tanh, and the squared error of a sigmoid."""
    W1, b1, W2, b2 = w[:20].reshape((4, 5)), w[20:25], w[25:30].reshape(-1, 1), w[30]
    hidden = np.tanh(X @ W1 + b1)
    assert hidden.shape == (len(X), 5)
    p = 1 / (1 + np.exp(-(hidden @ W2).ravel() - b2))
    error = p - y
    penalty = 0.0
    for weights in (W1, W2):
        penalty += np.abs(weights).sum()
    return (error.T @ error) / error.size + 1e-3 * penalty


def leaky_layers(np, w, X, y):
    """A hinge on a network with maximum, where, clip and a mask."""
    W1, W2 = np.reshape(w[:8], (4, 2)), w[8:10]
    hidden = np.maximum(X @ W1, 0)
    hidden = np.where(hidden > 0.5, hidden, hidden**2)
    margin = np.clip((2 * y - 1) * (hidden @ W2), -2.0, 2.0)
    wrong = margin < 1
    if not wrong.any():
        return margin.sum()
    losses = (1 - margin) * wrong
    total = losses.mean()
    total += losses.std()
    return total


def focal_terms(np, margins, labels, gamma=2.0):
    """Focal loss of each row of margins, as for XGBoost."""
    p = 1.0 / (1.0 + np.exp(-margins))
    p_true = np.where(labels == 1, p, 1 - p)
    return -((1 - p_true) ** gamma) * np.log(p_true)


PROGRAMS = {
    "logistic_regression": (logistic_regression, RNG.normal(size=5), LABELS),
    "softmax_regression": (softmax_regression, RNG.normal(size=15), CLASSES),
    "two_layers": (two_layers, RNG.normal(size=31), LABELS),
    "leaky_layers": (leaky_layers, RNG.normal(size=10), LABELS),
}

# One line each, of parameters w (3, 4) and plain features X (12, 4): NumPy's functions, on arrays of either
# library, and what has a slope in each is in a sum at its end.

LINES = {
    "sum": lambda w, X: np.sum(w * w),
    "sum_axis": lambda w, X: (np.sum(w, 0) ** 2).sum() + (w.sum(axis=(0, 1), keepdims=True) ** 3).sum(),
    "tanh": lambda w, X: np.tanh(w).sum(),
    "maximum": lambda w, X: (np.maximum(w, 0.1) * w).sum() + np.minimum(0, w).sum(),
    "comparison": lambda w, X: (w * (w[0] > 0)).sum(),
    "branch": lambda w, X: w.sum() ** 2 if w[0, 0] > 0 and len(w) == 3 else w.sum(),
    "power": lambda w, X: (w**2).sum() + np.power(np.square(w), 1.5).sum() + (2.0 ** np.abs(w)).sum(),
    "reshape": lambda w, X: (
        (w.reshape(2, 6) @ w.reshape((6, -1))).sum() + (np.reshape(w, -1)[::2] ** 2).sum()
    ),
    "ravel": lambda w, X: (w.ravel() ** 3).sum() + (w.flatten() ** 2).sum(),
    "dot": lambda w, X: np.dot(X, w.T).std() + np.dot(w, 2.0).sum() + np.dot(w[0], w[1]) ** 2,
    "dot_of_more_axes": lambda w, X: (
        np.dot(w, cube(X)).var() + np.dot(cube(X), w.T).var() + np.dot(2.0, w).sum()
    ),
    "inner_of_more_axes": lambda w, X: np.inner(w, cube(X)).std() + np.inner(cube(X), w).std(),
    "dot_method": lambda w, X: w.dot(X.T).std(),
    "matmul": lambda w, X: np.mean(X @ w.T) ** 2 + (w.T @ w).sum() + np.matmul(w[0], w.T).sum(),
    "plain_first": lambda w, X: ((X[:3] - w) ** 2).mean() + (1 - w).std() + np.float64(2) * w[0, 0],
    "where": lambda w, X: np.where(w > 0, w**2, w).sum() + np.where(X[0, 0] > 0, w, 0.0).std(),
    "clip": lambda w, X: (np.clip(w, -0.5, 0.5) * w).sum() + (w.clip(max=0.5) * w).sum(),
    "clip_names": lambda w, X: (np.clip(w, a_min=-0.1, a_max=None) * w).sum(),
    "concatenate": lambda w, X: (
        np.concatenate([w, X[:2], 2 * w], axis=0).std() + np.concatenate((w, w), 1).var()
    ),
    "stack": lambda w, X: np.stack([w[0], X[0], w[1] * 2], axis=1).std(),
    "einsum": lambda w, X: np.einsum("ij,kj->ik", X, w).std() + np.einsum("ij, kj ->", w, w),
    "einsum_of_three": lambda w, X: np.einsum("ij,ij,kj->k", w, w, X).std() + np.einsum("ij->j", w * w).std(),
    "pad": lambda w, X: (np.pad(w, ((1, 0), (0, 2)))[:3, :4] * w).sum() + (np.pad(w, 1)[1:4, 2:] ** 2).sum(),
    "norm": lambda w, X: np.linalg.norm(w) + np.linalg.norm(w, axis=1).prod() + np.linalg.norm(w[0], 2) ** 3,
    "mean": lambda w, X: np.mean(w**2, axis=0).std() + w.mean(1, keepdims=True).var(ddof=1),
    "extremes": lambda w, X: w.max(axis=1).sum() * np.min(w) + (np.max(w, 0) ** 2).sum() + w.min(),
    "var": lambda w, X: np.var(w, axis=0, ddof=1).sum() + w.std(1).sum() + np.std(w),
    "logs": lambda w, X: np.log(w * w).sum() + np.logaddexp(0, w).sum() + np.log1p(np.exp(-w)).sum(),
    "angles": lambda w, X: (np.arctan(w) + np.arcsinh(w) + np.sin(w)).sum() + np.arctan2(w[0], X[0]).sum(),
    "transpose": lambda w, X: (w.transpose() @ w).sum() + (w.transpose(1, 0) * np.transpose(w, [1, 0])).sum(),
    "axes": lambda w, X: (w.swapaxes(0, 1) @ w).sum() + (np.moveaxis(w[None], 0, -1)[:, :, 0] @ w.T).sum(),
    "expand_and_squeeze": lambda w, X: (
        (np.expand_dims(w, 1).squeeze() ** 2).sum() + np.squeeze(w[None], 0).std()
    ),
    "cumulative": lambda w, X: (np.cumsum(w) ** 2).sum() + w.cumsum(1).std() + np.cumprod(w, axis=0).sum(),
    "prod": lambda w, X: w.prod() + np.prod(w, axis=1).std(),
    "sort": lambda w, X: (np.sort(w) * X[:3]).sum() + (np.sort(w, axis=None)[:5] ** 2).sum(),
    "take": lambda w, X: (
        (np.take(w, order(X)[0], axis=1) * X[:3]).sum() + np.take_along_axis(w, order(X), 1).std()
    ),
    "repeat": lambda w, X: np.repeat(w, 2, axis=0).std() + np.tile(w, 2).var() + np.roll(w, 1)[0].std(),
    "outer": lambda w, X: np.outer(w[0], w[1]).std() + np.inner(w, X).std(),
    "tensordot": lambda w, X: np.tensordot(w, X[:3], axes=([0, 1], [0, 1])) ** 2,
    "pieces": lambda w, X: (np.diff(w) ** 2).sum() + (np.flip(w, 0) * w).sum() + (np.triu(w) * w).sum(),
    "broadcast": lambda w, X: (np.broadcast_to(w[0], (3, 4)) * w).sum() + (w[:, None] * w[None]).std(),
    "copies": lambda w, X: (np.copy(w) * w.copy() * w.astype(float)).sum(),
    "in_place": lambda w, X: changed(w).sum(),
    "rows": lambda w, X: sum((i + 1) * (row**2).sum() for i, row in enumerate(w)),
    "labels": lambda w, X: w[[0, 2, 2], [1, 0, 3]].std() + (w[:, order(X)[0, :2]] ** 2).sum(),
    "slices": lambda w, X: (
        (w[1:, ::-2] ** 2).sum() + (w[..., -1] * w[:, 0]).sum() + w[[0, 1], 1:, None].std()
    ),
    "mask": lambda w, X: (w[X[:3] > 0] ** 2).sum() + (w[w < 0] ** 3).sum() + w[X[:3, 0] > 0, 1].sum(),
    "no_slope": lambda w, X: w[0, w[0].argmax()] ** 2 + (w * np.round(w)).sum() + w[np.argmin(w[:, 0]), 1],
    "shape": lambda w, X: w.sum() ** 2 / np.shape(w)[0] / w.shape[1] / w.size / np.ndim(w),
    "zeros": lambda w, X: (np.zeros_like(w) + w).std() + (np.ones_like(w) * w * np.full_like(w, 3.0)).sum(),
    "numbers": lambda w, X: (np.mean(w) * int(np.sum(w > 0)) + float(np.isfinite(w).all())) ** 2,
}


def cube(X):
    return X.reshape(3, 4, 4)


def order(X):
    return np.argsort(X[:3], axis=1)


def changed(w):
    w += 1.0
    w *= w
    w -= w.mean()
    return w**2
