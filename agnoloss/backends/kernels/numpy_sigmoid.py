"""The rule of the sigmoid in NumPy: sums and gradients in pieces that fit the cache, in threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from ...array import Array
from ..closed_forms import smaller
from ..threads import in_threads
from .numpy_softmax import ELEMENTS, SMALL, Piece, pieces

_SLOPES = {"p", "p2", "py", "tp"}
"""Sums that depend on the scores."""


class SigmoidSums:
    """Forward and backward of `Backend.sigmoid_sums`, whose parameters these are; `threads` at most."""

    def __init__(
        self, scores: Array, targets: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], threads: int | None,
    ) -> None:  # fmt: skip
        self.scores, self.targets, self.valid, self.weights = scores, targets, valid, weights
        self.hard = targets.dtype.kind in "biu"
        self.threads = threads if scores.size >= SMALL else 1
        images, channels, count = scores.shape
        self.pieces = pieces(images, count, max(ELEMENTS // max(channels, 1), 1))
        self.log_p = np.empty(scores.shape, scores.dtype) if "log_p" in wanted else None
        self.sums = tuple(name for name in wanted if name != "log_p")
        # NaN and infinite scores are rare, and show: they are masked where that is needed
        for self.masked in (False, True):
            parts = in_threads(self._look, self.pieces, self.threads)
            totals = np.zeros((len(self.sums), images, channels))
            for (n, _), (sums, _) in zip(self.pieces, parts, strict=True):
                for total, part in zip(totals, sums, strict=True):
                    total[n] += part
            if all(finite for _, finite in parts):
                break
        self.outputs = dict(zip(self.sums, totals.astype(scores.dtype), strict=True))
        if self.log_p is not None:
            self.outputs["log_p"] = self.log_p

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

    def _look(self, piece: Piece) -> tuple[list[Array], bool]:
        """Sums over the pixels of a piece, and whether all is finite; leave log p of the true side."""
        n, at = piece
        with np.errstate(all="ignore"):
            z, y, u = self._inputs(piece)
            finite = True
            if self.log_p is not None:
                # log p = min(m, 0) - log(1 + e^-|m|) of m = z (2 y - 1)
                signs = y + y
                signs -= 1
                signs *= z
                tail = np.exp(np.negative(np.abs(signs)))
                np.log1p(tail, out=tail)
                log_p = np.subtract(np.minimum(signs, 0, out=signs), tail, out=self.log_p[n, :, at])
                finite = self.valid is None or bool(log_p.min() > -np.inf)
            if not self.sums:
                return [], finite
            terms = self._terms(z, y)
            sums = [(terms[name] if u is None else terms[name] * u).sum(axis=2) for name in self.sums]
            return sums, finite and all(np.isfinite(part).all() for part in sums)

    def _terms(self, z: Array, y: Array) -> dict[str, Array]:
        """What each element adds, before its weight."""
        terms = {"y": y, "u": np.broadcast_to(z.dtype.type(1), y.shape)}
        if "y2" in self.sums:
            terms["y2"] = y * y
        p = terms["p"] = _sigmoid(z)
        if "p2" in self.sums:
            terms["p2"] = p * p
        if "py" in self.sums or self.hard:
            terms["py"] = terms["tp"] = p * y  # min(p, y) is p y for labels
        if "tp" in self.sums and not self.hard:
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
        b = {name: given[name][n, :, None] for name in self.sums if name in given}
        with np.errstate(all="ignore"):
            z, y, u = self._inputs(piece)
            valid = None if self.valid is None else self.valid[n, :, at]
            if of_u is not None:
                terms = self._terms(z, y)
                found: Array = sum((terms[name] * b[name] for name in b), np.zeros_like(z))
                of_u[n, :, at] = found if valid is None else np.where(valid, found, 0)
            slope: Array = z.dtype.type(0)
            if not _SLOPES.isdisjoint(b):
                p, q = _sigmoid(z), _sigmoid(-z)
                slope = b.get("p", slope)
                if "p2" in b:
                    slope = slope + 2 * p * b["p2"]
                if "py" in b:
                    slope = slope + y * b["py"]
                if "tp" in b:
                    inside = y if self.hard else np.where(p < y, 1, np.where(p == y, y, 0)).astype(z.dtype)
                    slope = slope + inside * b["tp"]
                slope = p * q * slope
                slope = slope if u is None else slope * u
            if self.log_p is not None and "log_p" in given:
                # d (1 - p) (2 y - 1)
                rest = np.expm1(self.log_p[n, :, at])
                rest *= 1 - 2 * y
                rest *= given["log_p"][n, :, at]
                slope = slope + rest
            if self.masked and valid is not None:
                slope = np.where(valid, slope, z.dtype.type(0))
            gradient[n, :, at] = slope


def _sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z), whose overflow is the right limit."""
    e = np.exp(-z)
    e += 1
    return np.reciprocal(e, out=e)
