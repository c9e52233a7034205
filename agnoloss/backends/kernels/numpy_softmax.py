"""The rule of the softmax in NumPy, in place, in pieces that fit the cache, in threads.

While a piece is worked on, the gradient's own array holds exponentials, or probabilities, of the classes
that are *not* the label's: their sum is 1 - p_y with all its digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ...array import Array
from ..threads import in_threads

Piece = tuple[slice, slice]
"""Some images and some of their pixels."""

PIECE = 400_000
"""Scores of a piece: with fewer Python takes a part of the time, with more they leave the cache."""

ELEMENTS = 65_536
"""The same, where half a dozen arrays of them lie in memory for each thread."""

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
        self, scores: Array, labels: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], mix: Array | None, keep: bool, threads: int | None,
    ) -> None:  # fmt: skip
        self.scores, self.labels, self.valid, self.weights = scores, labels, valid, weights
        self.mix = np.zeros(scores.shape[1], scores.dtype) if mix is None else mix
        self.sums = [name for name in wanted if name not in ("log_p", "mixed")]
        self.entropy = not self.sums and mix is None
        self.threads = threads if scores.size >= SMALL else 1
        images, classes, count = scores.shape
        self.pieces = pieces(images, count, max(PIECE // max(classes, 1), 1))
        self._columns = np.arange(count)
        self._at: Array | None = None  # of a single piece
        self.outputs = {
            name: np.empty((images, count), scores.dtype) for name in wanted if name not in self.sums
        }
        # e^(z - shift) of the label's class and summed over all others
        self.own, self.others = np.empty((2, images, count), scores.dtype)
        self.place = self._look(keep)

    # --- forward ----------------------------------------------------------------------------

    def _look(self, keep: bool) -> Array | None:
        """Outputs, with scores unshifted if that is safe; leave exponentials or probabilities in an array."""
        place = np.empty(self.scores.shape, self.scores.dtype) if keep else None
        for masked, shifted in _ATTEMPTS:
            look = partial(self._look_at, place=place, masked=masked, shifted=shifted)
            found = in_threads(look, self.pieces, self.threads)
            if all(safe for safe, _ in found):
                break
        images, classes, _ = self.scores.shape
        totals = np.zeros((len(self.sums), images, classes))  # float32 loses digits where pieces are many
        for (n, _), (_, sums) in zip(self.pieces, found, strict=True):
            for total, part in zip(totals, sums, strict=True):
                total[n] += part
        self.outputs |= zip(self.sums, totals.astype(self.scores.dtype), strict=True)
        return place

    def _look_at(
        self, piece: Piece, place: Array | None, masked: bool, shifted: bool
    ) -> tuple[bool, list[Array]]:
        """Whether the exponentials of a piece are exact, and sums over its pixels."""
        n, p = piece
        z, zero = self.scores[n, :, p], self.scores.dtype.type(0)
        valid = None if self.valid is None else self.valid[piece]
        with np.errstate(all="ignore"):
            if masked and valid is not None:
                z = np.where(valid[:, None], z, zero)
            e = np.empty(z.shape, z.dtype) if place is None else place[n, :, p]
            if shifted:
                z = z - z.max(axis=1, keepdims=True)
            np.exp(z, out=e)
            memory, at = self._own_entries(piece, e if place is None else place)
            own = memory.take(at)
            memory[at] = 0.0
            others = e.sum(axis=1)
            total = own + others
            self.own[piece], self.others[piece] = own, others
            safe = shifted or not total.size or bool(_SAFE[0] < total.min() and total.max() < _SAFE[1])
            if "log_p" in self.outputs:
                self.outputs["log_p"][piece] = self._log_p(z, piece, valid)
            if "mixed" in self.outputs:
                # sum_c m_c log p_c; 0 times minus infinity is nothing of a class without a share
                share = self.mix != 0
                logs = np.einsum("ncp,c->np", z if share.all() else z[:, share], self.mix[share])
                self.outputs["mixed"][piece] = logs - self.mix.sum() * np.log(total)
            if self.entropy:
                return safe, []
            inverse = np.reciprocal(total)
            if valid is not None:
                inverse *= valid
            e *= inverse[:, None]
            return safe, self._sum_pixels(e, own * inverse, piece)

    def _log_p(self, z: Array, piece: Piece, valid: Array | None) -> Array:
        """log p_y = -log(1 + sum_(c != y) e^(z_c - z_y))."""
        ratio = self.others[piece] / self.own[piece]
        far = None if not ratio.size or ratio.max() < _FAR else ~(ratio < _FAR)
        log_p = np.negative(np.log1p(ratio, out=ratio), out=ratio)
        if far is None:
            return log_p
        own = np.take_along_axis(z, self.labels[piece][:, None].astype(np.intp), axis=1)[:, 0]
        log_p = np.where(far, own - np.log(self.own[piece] + self.others[piece]), log_p)
        return log_p if valid is None else np.where(valid, log_p, log_p.dtype.type(0))

    def _sum_pixels(self, p: Array, p_y: Array, piece: Piece) -> list[Array]:
        """What is wanted of probabilities of other classes and of the label's, (n, C) each."""
        u = None if self.weights is None else self.weights[piece]
        labels, classes = self.labels[piece], p.shape[1]

        def of_labels(values: Array) -> Array:
            return class_sums(values if u is None else values * u, labels, classes)

        def of_others(values: Array) -> Array:
            return values.sum(axis=2) if u is None else np.einsum("ncp,np->nc", values, u)

        found = {"tp": of_labels(p_y)}
        if "y" in self.sums:
            found["y"] = of_labels(
                np.ones_like(p_y) if self.valid is None else self.valid[piece].astype(p_y.dtype)
            )
        if "p" in self.sums:
            found["p"] = of_others(p) + found["tp"]
        if "p2" in self.sums:
            found["p2"] = of_others(p * p) + of_labels(p_y * p_y)
        return [found[name] for name in self.sums]

    def _own_entries(self, piece: Piece, array: Array) -> tuple[Array, Array]:
        """Memory of an array of all scores, or of a piece, and where in it the labels' own entries lie."""
        n, p = piece
        _, classes, width = array.shape
        whole = array.shape == self.scores.shape
        if whole:
            array = array[n]
        if self._at is None:
            at = np.multiply(self.labels[piece], width, dtype=np.intp)
            at += self._columns[p if whole else slice(p.stop - p.start)]
            if len(at) > 1:
                at += (np.arange(len(at)) * (classes * width))[:, None]
            if len(self.pieces) == 1:
                self._at = at
        else:
            at = self._at
        return array.reshape(-1), at

    # --- backward ---------------------------------------------------------------------------

    def pullback(self, given: Mapping[str, Array], of_weights: bool) -> tuple[Array, Array | None]:
        """Gradients of scores and weights from those of the outputs."""
        # what was kept is given away as the gradient: another gradient looks again
        place = self._look(keep=True) if self.place is None else self.place
        self.place = None
        assert place is not None
        mean = np.zeros_like(self.own) if of_weights else None
        if self.entropy:
            work = partial(self._scale, place=place, d=given["log_p"])
        else:
            work = partial(self._combine, place=place, given=given, mean=mean)
        in_threads(work, self.pieces, self.threads)
        return place, mean

    def _scale(self, piece: Piece, place: Array, d: Array) -> None:
        """-d p_c of the other classes, d (1 - p_y) of the label's."""
        n, p = piece
        with np.errstate(all="ignore"):
            scale = d[piece] if self.valid is None else d[piece] * self.valid[piece]
            scale = scale / (self.own[piece] + self.others[piece])
            own = scale * self.others[piece]
            place[n, :, p] *= np.negative(scale, out=scale)[:, None]
            memory, at = self._own_entries(piece, place)
            memory[at] = own

    def _combine(self, piece: Piece, place: Array, given: Mapping[str, Array], mean: Array | None) -> None:
        """u p_c (g_c - sum_k p_k g_k) - d p_c, with g_c the gradient of p_c; the label's with 1 - p_y."""
        n, p = piece
        e, labels, zero = place[n, :, p], self.labels[piece], place.dtype.type(0)
        valid = None if self.valid is None else self.valid[piece]
        with np.errstate(all="ignore"):
            total = self.own[piece] + self.others[piece]
            p_y, q = self.own[piece] / total, self.others[piece] / total  # q is 1 - p_y
            if valid is not None:
                p_y, q = p_y * valid, q * valid
            b, b2, a = (given[name][n] if name in given else None for name in ("p", "p2", "tp"))
            g: Array = zero
            rest, g_y, squares = zero, zero, zero  # rest: sum of p_c g_c over other classes
            if b is not None:
                g, rest, g_y = b[:, :, None], np.einsum("ncp,nc->np", e, b), lookup(b, labels)
            if b2 is not None:
                squares, b2_y = np.einsum("ncp,ncp,nc->np", e, e, b2), lookup(b2, labels)
                g, rest, g_y = g + 2 * e * b2[:, :, None], rest + 2 * squares, g_y + 2 * p_y * b2_y
                squares = squares + p_y * p_y * b2_y
            shift, a_y = rest + p_y * g_y, zero if a is None else lookup(a, labels)
            own, tilt = p_y * ((g_y + a_y) * q - rest), p_y * a_y
            if mean is not None:
                mean[piece] = shift + tilt - squares
                if "y" in given:
                    mean[piece] += lookup(given["y"][n], labels)
                if valid is not None:
                    mean[piece] *= valid
            if self.weights is not None:
                u = self.weights[piece]
                own, shift, tilt, g = own * u, shift * u, tilt * u, g * u[:, None]
            if "log_p" in given:
                d = given["log_p"][piece]
                own, shift = own + d * q, shift + d
            if "mixed" in given:
                s = given["mixed"][piece] if valid is None else given["mixed"][piece] * valid
                share = s * self.mix.sum()
                own, shift = own + s * self.mix[labels] - share * p_y, shift + share
            slope = g - shift[:, None]
            slope -= tilt[:, None]  # all there is where another class has all the probability
            e *= slope
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
