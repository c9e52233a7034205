"""Elementary functions with the values and gradients that losses need at their edges."""

from __future__ import annotations

from typing import Any

from .. import words
from ..array import Array
from ..backends import resolve_backend
from ..batch import checks
from ..batch.options import number

# Below this a base counts as 0: x ** (exponent - 1) of a subnormal number would overflow float32.
_NEGLIGIBLE = 1e-30


def divide(xp: Any, total: Array, share: Array) -> Array:
    """total / share, and the total (which is 0) where the share is 0: nothing left to average."""
    return total / xp.where(share == 0, 1.0, share)


def scaled(xp: Any, factor: Array, term: Array) -> Array:
    """factor * term, and 0 where the factor is 0 and the term infinite: it is left out."""
    if isinstance(factor, float):
        return factor * (term if factor else xp.where(xp.isinf(term), 0.0, term))
    return factor * xp.where((factor == 0) & xp.isinf(term), 0.0, term)


def ratio(numerator: Array, denominator: Array, smooth: words.Smooth, size: Array) -> Array:
    """(numerator + s) / (denominator + s); 1 for 0 / 0 and where nothing is valid.

    Only exact zeros are replaced: a count that is NaN stays NaN.
    """
    pair = checks.smooth_pair(smooth)
    numerator, backend = resolve_backend(numerator, denominator, *pair)
    above, below = (number(backend, numerator.dtype, "smooth", s, 0.0, beside=numerator) for s in pair)
    xp, numerator, denominator = backend.xp, numerator + above, denominator + below
    empty = denominator == 0
    score = xp.where(empty, 1.0, numerator / xp.where(empty, 1.0, denominator))
    return xp.where(size == 0, 1.0, score)


def power(xp: Any, base: Array, exponent: Array) -> Array:
    """base^exponent for a base of at least 0, with gradient 0 at 0 for every exponent above 0."""
    at_zero: Array = 0.0
    if not isinstance(exponent, float):
        at_zero = xp.astype(exponent == 0, base.dtype)
    elif exponent == 0:
        return xp.ones_like(base)
    elif exponent == 2:
        return base * base
    # not (base <= tiny), so that NaN stays NaN
    zero = base <= _NEGLIGIBLE
    return xp.where(zero, at_zero, xp.where(zero, 1.0, base) ** exponent)


def log_cosh(xp: Any, x: Array) -> Array:
    """log cosh x, exact near 0 as well: cosh x = 1 + (e^x - 1)^2 / (2 e^x)."""
    rise = xp.expm1(x)
    return xp.log1p(0.5 * rise * rise * xp.exp(-x))
