"""The rule of the softmax in NumPy, in place, in pieces that fit the cache, in threads.

While a piece is worked on, the gradient's own array holds exponentials, or probabilities, of the classes
that are *not* the label's: their sum is 1 - p_y with all its digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ..array import Array
from .threads import in_threads

Piece = tuple[slice, slice]
"""Some images and some of their pixels."""

PIECE = 100_000
"""Scores of a piece: with a copy of it in a core's cache."""

SMALL = 200_000
"""With fewer scores threads cost more than they save."""

_SAFE = (1e-8, 1e10)
"""Between these a sum of exponentials has lost nothing for want of a shift."""

_ATTEMPTS = ((False, False), (True, False), (True, True))
"""Whether scores that do not count are made 0, and whether the largest of a pixel is taken off: far scores
and NaN are rare, and then what counts has the digits it has without them."""

_FAR = 1e15
"""Where other classes outweigh the label's so far, log p_y is that of its score."""


def pieces(images: int, count: int, step: int) -> list[Piece]:
    """Cut the pixels of some images into about equal parts of at most `step` pixels, or one."""
    several = max(step // max(count, 1), 1)
    parts = max(-(-count // max(step, 1)), 1)
    width = max(-(-count // parts), 1)
    return [
        (slice(n, min(n + several, images)), slice(p, min(p + width, count)))
        for n in range(0, images, several)
        for p in range(0, count, width)
    ]


class SoftmaxSums:
    """Forward and backward of `Backend.softmax_sums`, whose parameters these are; `threads` at most."""

    def __init__(
        self,
        scores: Array,
        labels: Array,
        valid: Array | None,
        weights: Array | None,
        wanted: Sequence[str],
        mix: Array | None,
        keep: bool,
        threads: int | None,
    ) -> None:
        self.scores, self.labels, self.valid, self.weights, self.mix = scores, labels, valid, weights, mix
        self.wanted, self.powers = wanted, [name for name in ("p", "p2") if name in wanted]
        self.entropy = not self.powers and "tp" not in wanted and mix is None
        self.threads = threads if scores.size >= SMALL else 1
        images, classes, count = scores.shape
        self.pieces = pieces(images, count, max(PIECE // max(classes, 1), 1))
        self.own, self.others = np.empty((2, images, count), scores.dtype)
        self.place = self._look(keep)
        with np.errstate(all="ignore"):
            self.outputs = self._outputs()

    # --- forward ----------------------------------------------------------------------------

    def _look(self, keep: bool) -> Array | None:
        """Exponentials of the own and the other classes of every pixel, unshifted if that is safe."""
        place = np.empty(self.scores.shape, self.scores.dtype) if keep else None
        for masked, shifted in _ATTEMPTS:
            self.shift = np.empty_like(self.own) if shifted else None
            look = partial(self._look_at, place=place, masked=masked)
            self.sums = in_threads(look, self.pieces, self.threads)
            with np.errstate(all="ignore"):
                self.total = self.own + self.others
            if not self.total.size or (_SAFE[0] < self.total.min() and self.total.max() < _SAFE[1]):
                break
        return place

    def _look_at(self, piece: Piece, place: Array | None, masked: bool) -> list[Array]:
        """Leave exponentials of a piece in the place, or probabilities, and sum these over its pixels."""
        n, p = piece
        z, valid = self.scores[n, :, p], None if self.valid is None else self.valid[n, p]
        with np.errstate(all="ignore"):
            if masked and valid is not None:
                z = np.where(valid[:, None], z, z.dtype.type(0))
            e = np.empty(z.shape, z.dtype) if place is None else place[n, :, p]
            if self.shift is not None:
                self.shift[n, p] = z.max(axis=1)
                z = np.subtract(z, self.shift[n, None, p], out=e)
            np.exp(z, out=e)
            memory, at = self._own_entries(piece, e if place is None else place)
            self.own[n, p] = memory.take(at)
            memory[at] = 0.0
            self.others[n, p] = e.sum(axis=1)
            if self.entropy:
                return []
            inverse = np.reciprocal(self.own[n, p] + self.others[n, p])
            if valid is not None:
                inverse *= valid
            e *= inverse[:, None]
            return [self._sum_pixels(e if name == "p" else e * e, piece) for name in self.powers]

    def _sum_pixels(self, values: Array, piece: Piece) -> Array:
        if self.weights is None:
            return values.sum(axis=2)
        return np.einsum("ncp,np->nc", values, self.weights[piece])

    def _own_entries(self, piece: Piece, array: Array) -> tuple[Array, Array]:
        """The memory of an array of all scores, or those of a piece, and where in it the labels' own lie."""
        n, p = piece
        _, classes, width = array.shape
        whole = array.shape == self.scores.shape
        at = np.multiply(self.labels[n, p], width, dtype=np.intp)
        at += np.arange(at.shape[1]) + (p.start if whole else 0)
        images = np.arange(at.shape[0]) + (n.start if whole else 0)
        if images.size > 1 or images.any():
            at += (images * (classes * width))[:, None]
        return array.reshape(-1), at

    def _outputs(self) -> dict[str, Array]:
        found: dict[str, Array] = {}
        if "log_p" in self.wanted:
            found["log_p"] = self._log_p()
        if "mixed" in self.wanted:
            found["mixed"] = self._mixed()
        if self.powers or "tp" in self.wanted:
            p = self.own / self.total
            weighted = p if self.valid is None else p * self.valid
            weighted = weighted if self.weights is None else weighted * self.weights
            found["tp"] = class_sums(weighted, self.labels, self.scores.shape[1])
            for i, name in enumerate(self.powers):
                own = (
                    found["tp"]
                    if name == "p"
                    else class_sums(weighted * p, self.labels, self.scores.shape[1])
                )
                total = own.astype(np.float64)  # float32 loses digits where pieces are many
                for (n, _), sums in zip(self.pieces, self.sums, strict=True):
                    total[n] += sums[i]
                found[name] = total.astype(p.dtype)
        return found

    def _log_p(self) -> Array:
        """log p_y = -log(1 + sum_(c != y) e^(z_c - z_y))."""
        ratio = self.others / self.own
        far = None if not ratio.size or ratio.max() < _FAR else ~(ratio < _FAR)
        log_p = np.negative(np.log1p(ratio, out=ratio), out=ratio)
        if far is not None:
            own = np.take_along_axis(self.scores, self.labels[:, None].astype(np.intp), axis=1)[:, 0]
            own = own if self.shift is None else own - self.shift
            log_p = np.where(far, own - np.log(self.total), log_p)
            if self.valid is not None:
                log_p = np.where(self.valid, log_p, log_p.dtype.type(0))
        return log_p

    def _mixed(self) -> Array:
        """sum_c m_c log p_c = sum_c m_c z_c - log(sum_c e^(z_c)) sum_c m_c."""
        z = self.scores
        if self.valid is not None:
            z = np.where(self.valid[:, None], z, z.dtype.type(0))
        if self.shift is not None:
            z = z - self.shift[:, None]
        chosen = self.mix != 0  # 0 times minus infinity is none of a class without a share
        logs = np.einsum("ncp,c->np", z if chosen.all() else z[:, chosen], self.mix[chosen])
        return logs - self.mix.sum() * np.log(self.total)

    # --- backward ---------------------------------------------------------------------------

    def pullback(self, given: Mapping[str, Array], of_weights: bool) -> tuple[Array, Array | None]:
        """Gradients of scores and weights from those of the outputs."""
        # what was kept is given away as the gradient: another gradient looks again
        place = self._look(keep=True) if self.place is None else self.place
        self.place = None
        assert place is not None
        d = given.get("log_p")
        if d is not None and self.valid is not None:
            d = d * self.valid
        if self.entropy and d is not None:
            scale = d / self.total
            np.negative(scale, out=scale)
            own, mean = d * (self.others / self.total), None
            work = partial(self._scale, place=place, scale=scale, own=own)
        else:
            mean = np.empty_like(self.own) if of_weights else None
            work = partial(self._combine, place=place, given=given, d=d, mean=mean)
        in_threads(work, self.pieces, self.threads)
        return place, mean

    def _scale(self, piece: Piece, place: Array, scale: Array, own: Array) -> None:
        """-d p_c of the other classes, d (1 - p_y) of the label's."""
        n, p = piece
        place[n, :, p] *= scale[n, None, p]
        memory, at = self._own_entries(piece, place)
        memory[at] = own[piece]

    def _combine(
        self, piece: Piece, place: Array, given: Mapping[str, Array], d: Array | None, mean: Array | None
    ) -> None:
        """u p_c (g_c - sum_k p_k g_k) - d p_c, with g_c the gradient of p_c; the label's with 1 - p_y."""
        n, p = piece
        e, labels = place[n, :, p], self.labels[piece]
        total = self.total[piece]
        p_y, q = self.own[piece] / total, self.others[piece] / total  # q is 1 - p_y
        u = self.weights[piece] if self.weights is not None else None
        if self.valid is not None:
            counts = self.valid[piece]
            p_y, q = p_y * counts, q * counts
        zero = e.dtype.type(0)
        b, b2, a = (given[name][n] if name in given else None for name in ("p", "p2", "tp"))
        g = zero if b is None else b[:, :, None]
        rest = zero if b is None else np.einsum("ncp,nc->np", e, b)  # sum of p_c g_c over other classes
        g_y = zero if b is None else lookup(b, labels)
        squares = zero
        if b2 is not None:
            g = g + 2 * e * b2[:, :, None]
            squares = np.einsum("ncp,ncp,nc->np", e, e, b2)
            b2_y = lookup(b2, labels)
            rest, g_y, squares = rest + 2 * squares, g_y + 2 * p_y * b2_y, squares + p_y * p_y * b2_y
        if a is not None:
            g_y = g_y + lookup(a, labels)
        average = rest + p_y * g_y
        if mean is not None:
            mean[piece] = average - squares
        own = p_y * (g_y * q - rest)
        shift = average
        if u is not None:
            own, shift, g = own * u, average * u, g * u[:, None]
        if d is not None:
            own, shift = own + d[piece] * q, shift + d[piece]
        if "mixed" in given:
            s = given["mixed"][piece] if self.valid is None else given["mixed"][piece] * self.valid[piece]
            share = s * self.mix.sum()
            shift, own = shift + share, own + s * self.mix[labels] - share * p_y
        e *= g - shift[:, None]
        if "mixed" in given:
            e += s[:, None] * self.mix[:, None]
        memory, at = self._own_entries(piece, place)
        memory[at] = own


def class_sums(values: Array, labels: Array, classes: int) -> Array:
    """Sum by one ``bincount``, in float64: one pass instead of one for each class."""
    images = values.shape[0]
    rows = labels if images == 1 else labels + np.arange(images)[:, None] * classes
    flat = np.bincount(rows.ravel(), weights=values.ravel(), minlength=images * classes)
    return flat.reshape(images, classes).astype(values.dtype, copy=False)


def lookup(table: Array, labels: Array) -> Array:
    """By one ``take``: 5 times faster than take_along_axis."""
    if table.ndim == 2 and table.shape[0] > 1:
        labels = labels + np.arange(table.shape[0])[:, None] * table.shape[1]
    return table.ravel().take(labels)
