"""The rule of the sigmoid in NumPy: sums and gradients in pieces that fit the cache, in threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ..array import Array
from .closed_forms import smaller
from .numpy_softmax import PIECE, SMALL, Piece, pieces
from .threads import in_threads


class SigmoidSums:
    """Forward and backward of `Backend.sigmoid_sums`, whose parameters these are; `threads` at most."""

    def __init__(
        self,
        scores: Array,
        targets: Array,
        valid: Array | None,
        weights: Array | None,
        wanted: Sequence[str],
        threads: int | None,
    ) -> None:
        self.scores, self.targets, self.valid, self.weights = scores, targets, valid, weights
        self.wanted, self.hard = tuple(wanted), targets.dtype.kind in "biu"
        self.threads = threads if scores.size >= SMALL else 1
        images, channels, count = scores.shape
        self.pieces = pieces(images, count, max(PIECE // max(channels, 1), 1))
        # NaN and infinite scores are rare, and show: they are masked where that is needed
        for self.masked in (False, True):
            parts = in_threads(self._sums, self.pieces, self.threads)
            totals = np.zeros((len(self.wanted), images, channels))
            for (n, _), sums in zip(self.pieces, parts, strict=True):
                totals[:, n] += sums
            if np.isfinite(totals).all():
                break
        found = totals.astype(scores.dtype)
        self.outputs = {name: found[i] for i, name in enumerate(self.wanted)}

    def _inputs(self, piece: Piece) -> tuple[Array, Array, Array | None]:
        """Scores z, targets y and weights u of a piece."""
        n, p = piece
        z, y, zero = self.scores[n, :, p], self.targets[n, :, p], self.scores.dtype.type(0)
        valid = None if self.valid is None else self.valid[n, :, p]
        if self.hard:
            y = (y == 1).astype(z.dtype)
        if self.masked and valid is not None:
            z, y = np.where(valid, z, zero), np.where(valid, y, zero)
        if self.weights is not None:
            return z, y, self.weights[n, :, p]
        return z, y, None if valid is None else valid.astype(z.dtype)

    def _sums(self, piece: Piece) -> list[Array]:
        """What is wanted, summed over the pixels of a piece."""
        with np.errstate(all="ignore"):
            z, y, u = self._inputs(piece)
            terms = self._terms(z, y)
            return [(terms[name] if u is None else terms[name] * u).sum(axis=2) for name in self.wanted]

    def _terms(self, z: Array, y: Array) -> dict[str, Array]:
        """What each element adds, before its weight."""
        p = _sigmoid(z)
        terms = {"p": p}
        if "p2" in self.wanted:
            terms["p2"] = p * p
        if "py" in self.wanted or self.hard:
            terms["py"] = terms["tp"] = p * y  # min(p, y) is p y for labels
        if "tp" in self.wanted and not self.hard:
            terms["tp"] = smaller(np, p, y)
        return terms

    def pullback(self, given: Mapping[str, Array], of_weights: bool) -> tuple[Array, Array | None]:
        """Gradients of scores and weights from those of the sums."""
        gradient = np.empty(self.scores.shape, self.scores.dtype)
        of_u = np.empty(self.scores.shape, self.scores.dtype) if of_weights else None
        work = partial(self._write, given=given, gradient=gradient, of_u=of_u)
        in_threads(work, self.pieces, self.threads)
        if of_u is not None and self.weights is not None and self.weights.shape[1] != of_u.shape[1]:
            of_u = of_u.sum(axis=1, keepdims=True)
        return gradient, of_u

    def _write(self, piece: Piece, given: Mapping[str, Array], gradient: Array, of_u: Array | None) -> None:
        """Gradients of a piece."""
        n, at = piece
        b = {name: of_sum[n, :, None] for name, of_sum in given.items()}
        with np.errstate(all="ignore"):
            z, y, u = self._inputs(piece)
            p, q = _sigmoid(z), _sigmoid(-z)
            slope = b.get("p", z.dtype.type(0))
            if "p2" in b:
                slope = slope + 2 * p * b["p2"]
            if "py" in b:
                slope = slope + y * b["py"]
            if "tp" in b:
                inside = y if self.hard else np.where(p < y, 1, np.where(p == y, y, 0)).astype(z.dtype)
                slope = slope + inside * b["tp"]
            slope = p * q * slope
            slope = slope if u is None else slope * u
            if self.masked and self.valid is not None:
                slope = np.where(self.valid[n, :, at], slope, z.dtype.type(0))
            gradient[n, :, at] = slope
            if of_u is not None:
                terms = self._terms(z, y)
                found = sum(terms[name] * b[name] for name in b)
                of_u[n, :, at] = found if self.valid is None else np.where(self.valid[n, :, at], found, 0)


def _sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z), whose overflow is the right limit."""
    e = np.exp(-z)
    e += 1
    return np.reciprocal(e, out=e)
