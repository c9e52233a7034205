"""The rules of `Backend` in the array API standard: sums over pixels and their gradients in closed form.

Written so that each step can be differentiated by itself too, which is what higher derivatives and
libraries with an autodiff of their own do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..array import Array

if TYPE_CHECKING:
    from .base import Backend

Pullback = Callable[[Mapping[str, Array], bool], tuple[Array, Array | None]]
"""From gradients of a rule's outputs those of scores and, if asked for, of pixel weights."""


# As functions: dynamo lifts no float of a module into the graph of a rule that is called twice.


def near(top: Array) -> Array:
    """Whether the largest score is so near 0 that scores are not shifted.

    e^z is then exact in all digits of z, and its sum far from overflow. The difference to a large score
    would be rounded, and its exponential with it.
    """
    return (top > -20.0) & (top < 20.0)


def negligible(own: Array, others: Array) -> Array:
    """Whether a label's share of the exponentials is so small that log p_y is that of its score."""
    return own < 1e-15 * others


def softmax_sums(
    backend: Backend, scores: Array, labels: Array, valid: Array | None, weights: Array | None,
    wanted: Sequence[str], mix: Array | None, bare: bool = False,
) -> tuple[dict[str, Array], Pullback]:  # fmt: skip
    """See `Backend.softmax_sums`; `bare` scores are not masked where they do not count, only results."""
    xp, column = backend.xp, backend.xp.expand_dims
    mask = None if valid is None else column(valid, axis=1)
    z_y = _masked(xp, backend.gather(scores, labels), valid)
    scores = scores if bare else _masked(xp, scores, mask)
    classes = scores.shape[1]
    here = column(labels, axis=1) == xp.reshape(backend.arange(classes, labels), (1, -1, 1))
    top = backend.stop_gradient(xp.max(scores, axis=1))
    shift = xp.where(near(top), 0.0, top)
    e, own = xp.exp(scores - column(shift, axis=1)), xp.exp(z_y - shift)
    others = xp.sum(xp.where(here, 0.0, e), axis=1)
    total = own + others
    u = weights
    if u is None and valid is not None:
        u = xp.astype(valid, scores.dtype)

    def weighted(values: Array) -> Array:
        return values if u is None else values * u

    outputs: dict[str, Array] = {}
    if "log_p" in wanted or "tp" in wanted:
        # r = sum_(c != y) e^(z_c - z_y); its derivative has all its digits also where p_y is nearly 1
        far = negligible(own, others)
        ratio = xp.where(far, 0.0, others) / xp.where(far, 1.0, own)
    if "log_p" in wanted:  # -log(1 + r)
        log_p = xp.where(far, (z_y - shift) - xp.log(total), -xp.log1p(ratio))
        outputs["log_p"] = _masked(xp, log_p, valid)
    if "tp" in wanted:
        p_y = _masked(xp, xp.where(far, own / total, 1 / (1 + ratio)), valid)
        outputs["tp"] = backend.class_sums(weighted(p_y), labels, classes)
    if "y" in wanted:
        outputs["y"] = backend.class_sums(weighted(xp.ones_like(own)), labels, classes)
    if "p" in wanted or "p2" in wanted:
        p = _masked(xp, e / column(total, axis=1), mask)
        for name, power in (("p", p), ("p2", p * p)):
            if name in wanted:
                outputs[name] = xp.sum(power if u is None else power * column(u, axis=1), axis=2)
    if "mixed" in wanted:
        m = xp.reshape(mix, (1, -1, 1))
        logs = (scores - column(shift, axis=1)) - column(xp.log(total), axis=1)
        outputs["mixed"] = _masked(xp, xp.sum(xp.where(m == 0, 0.0, m * logs), axis=1), valid)

    def pullback(given: Mapping[str, Array], of_weights: bool) -> tuple[Array, Array | None]:
        p, p_y = e / column(total, axis=1), own / total
        q = others / total  # 1 - p_y, with all its digits
        slope = of_own = of_u = xp.zeros_like(own)
        slope = column(slope, axis=1)
        if not {"p", "p2", "tp"}.isdisjoint(given):
            # g_c + [c = y] a is the gradient of p_c; rest is the sum of p_c g_c over c other than y
            g, g_y, squares = slope, of_own, of_own
            if "p" in given:
                g, g_y = column(given["p"], axis=2), backend.gather(given["p"], labels)
            if "p2" in given:
                b = column(given["p2"], axis=2)
                g, g_y = g + 2 * p * b, g_y + 2 * p_y * backend.gather(given["p2"], labels)
                squares = xp.sum(p * p * b, axis=1)
            a = backend.gather(given["tp"], labels) if "tp" in given else xp.zeros_like(own)
            rest = xp.sum(xp.where(here, 0.0, p * g), axis=1)
            mean = rest + p_y * g_y
            # u p_c (g_c - sum_k p_k g_k - p_y a), whose last term may be all there is; 1 - p_y where c = y
            slope, of_own = g - column(mean, axis=1) - column(p_y * a, axis=1), p_y * ((g_y + a) * q - rest)
            of_u = mean + p_y * a - squares
            if u is not None:
                slope, of_own = slope * column(u, axis=1), of_own * u
        if "log_p" in given:
            # -d p_c
            d = _masked(xp, given["log_p"], valid)
            slope, of_own = slope - column(d, axis=1), of_own + d * q
        gradient = xp.where(here, column(of_own, axis=1), p * slope)
        if "mixed" in given:
            m, s = xp.reshape(mix, (1, -1, 1)), column(given["mixed"], axis=1)
            gradient = gradient + s * (m - xp.sum(m) * p)
        gradient = _masked(xp, gradient, mask)
        if not of_weights:
            return gradient, None
        if "y" in given:
            of_u = of_u + backend.gather(given["y"], labels)
        return gradient, _masked(xp, of_u, valid)

    return outputs, pullback


def sigmoid_sums(
    backend: Backend, scores: Array, targets: Array, valid: Array | None, weights: Array | None,
    wanted: Sequence[str],
) -> tuple[dict[str, Array], Pullback]:  # fmt: skip
    """See `Backend.sigmoid_sums`."""
    xp = backend.xp
    z = _masked(xp, scores, valid)
    y = (
        xp.astype(targets == 1, z.dtype)
        if backend.kind(targets) == "integer"
        else _masked(xp, targets, valid)
    )
    p, q = xp.exp(backend.log_sigmoid(z)), xp.exp(backend.log_sigmoid(-z))
    terms: dict[str, Callable[[], Array]] = {
        "p": lambda: p,
        "p2": lambda: p * p,
        "py": lambda: p * y,
        "tp": lambda: smaller(xp, p, y),
        "y": lambda: y,
        "y2": lambda: y * y,
        "u": lambda: xp.ones_like(y),
    }
    # the same, differentiated by z
    slopes: dict[str, Callable[[], Array]] = {
        "p": lambda: p * q,
        "p2": lambda: 2 * p * p * q,
        "py": lambda: y * p * q,
        "tp": lambda: xp.where(p < y, 1.0, xp.where(p == y, y, 0.0)) * p * q,
    }
    u = weights
    if u is None and valid is not None:
        u = xp.astype(valid, z.dtype)

    def summed(values: Array) -> Array:
        return xp.sum(values if u is None else values * u, axis=2)

    outputs = {name: summed(terms[name]()) for name in wanted if name != "log_p"}
    signs = 2 * y - 1
    if "log_p" in wanted:
        outputs["log_p"] = backend.log_sigmoid(z * signs)

    def pullback(given: Mapping[str, Array], of_weights: bool) -> tuple[Array, Array | None]:
        of_each = {name: xp.expand_dims(g, axis=2) for name, g in given.items() if name in terms}
        sloping = [b * slopes[name]() for name, b in of_each.items() if name in slopes]
        gradient = sum(sloping, xp.zeros_like(p))
        gradient = gradient if u is None else gradient * u
        if "log_p" in given:
            gradient = gradient + given["log_p"] * (y * q - (1 - y) * p)
        gradient = _masked(xp, gradient, valid)
        if not of_weights:
            return gradient, None
        of_u = sum((b * terms[name]() for name, b in of_each.items()), xp.zeros_like(p))
        of_u = _masked(xp, of_u, valid)
        alone = u is not None and u.shape[1] != of_u.shape[1]
        return gradient, xp.sum(of_u, axis=1, keepdims=True) if alone else of_u

    return outputs, pullback


def smaller(xp: Any, p: Array, y: Array) -> Array:
    """min(p, y), with derivative y where p = y: that of p y, so that 0 and 1 are exact labels."""
    p_cut = xp.where(p < y, p, y)  # at a tie the line below takes over
    return xp.where(p == y, y * (p - y) + y, p_cut)


def _masked(xp: Any, values: Array, valid: Array | None) -> Array:
    return values if valid is None else xp.where(valid, values, 0.0)
