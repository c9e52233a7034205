"""The rule of sorted sums in NumPy: errors in pieces, sorted row by row, in threads.

A row holds the pixels of one class, of all images or of one. Beside the gradient's own array, which holds
errors first and then their weights, a row for each thread is all that lies in memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ...array import Array
from ..sorting import amounts, errors_and_slopes
from ..threads import in_threads
from .numpy_softmax import ELEMENTS, SMALL, Piece, pieces


class SortedSums:
    """Forward and backward of `Backend.sorted_sums`, whose parameters these are; `threads` at most."""

    def __init__(
        self, backend: Any, scores: Array, foreground: Array, valid: Array | None, weights: Array | None,
        link: str, weigh: Callable[..., Array], per_image: bool, matters: Callable[[int, float], bool],
        threads: int | None,
    ) -> None:  # fmt: skip
        self.backend, self.scores, self.foreground = backend, scores, foreground
        self.valid, self.weights, self.link = valid, weights, link
        self.weigh, self.per_image, self.matters = weigh, per_image, matters
        self.threads = threads if scores.size >= SMALL else 1
        images, classes, count = scores.shape
        self.pieces = pieces(images, count, max(ELEMENTS // max(classes, 1), 1))
        self.shape = (images, classes) if per_image else (classes,)
        self.outputs = self._look()

    def _look(self) -> dict[str, Array]:
        """Leave the weights of errors in the gradient's place; return the sums."""
        images, classes, _ = self.scores.shape
        self.place = np.empty(self.scores.shape, self.scores.dtype)
        in_threads(self._errors, self.pieces, self.threads)
        groups = [slice(n, n + 1) for n in range(images)] if self.per_image else [slice(None)]
        rows = [(group, c) for group in groups for c in range(classes)]
        found = np.asarray(in_threads(self._sort, rows, self.threads), self.scores.dtype).reshape(-1, 2)
        return {"sums": found[:, 0].reshape(self.shape), "true": found[:, 1].reshape(self.shape)}

    def _inputs(self, piece: Piece) -> tuple[Array, Array, Array | None]:
        """Scores, which side, and where elements of a piece count."""
        n, p = piece
        z, valid = self.scores[n, :, p], None if self.valid is None else self.valid[n, :, p]
        if valid is not None:
            z = np.where(valid, z, z.dtype.type(0))
        if self.foreground.ndim == 3:
            return z, self.foreground[n, :, p], valid
        return z, self.foreground[n, None, p] == np.arange(z.shape[1])[:, None], valid

    def _errors(self, piece: Piece) -> None:
        n, p = piece
        with np.errstate(all="ignore"):
            z, foreground, valid = self._inputs(piece)
            errors, _ = errors_and_slopes(self.backend, z, foreground, self.link)
            self.place[n, :, p] = errors if valid is None else np.where(valid, errors, 0)

    def _sort(self, row: tuple[slice, int]) -> tuple[float, float]:
        """The sum of a row and its weight in the targets; leave the weights of its errors."""
        images, c = row
        place = self.place[images, c]
        g = place.reshape(-1)  # errors yet: each gives way to its weight, and 0 stays
        here = self.foreground[images, c] if self.foreground.ndim == 3 else self.foreground[images] == c
        here = here.reshape(-1)
        valid, weights = self._of_row(self.valid, images, c), self._of_row(self.weights, images, c)
        whole = np.int64 if weights is None else np.float64
        if weights is None:
            true = float(np.count_nonzero(here if valid is None else here & valid))
        else:
            true = float(np.sum(np.where(here, weights, 0), dtype=whole))
        if not self.matters(c, true):
            place[...] = 0.0
            return 0.0, true
        loss, intersection, union = 0.0, true, true
        for at, falling in by_falling(g):
            given = (None if x is None else x.take(at) for x in (here, valid, weights))
            foreground, background = amounts(np, *given)
            part = self.weigh(self.backend, g.dtype, foreground, background, intersection, union)
            g[at] = part
            if np.isinf(falling[0]):  # of no weight, it is none
                falling = np.where(part == 0, 0, falling)
            loss += float(np.sum(falling * part))
            intersection -= float(np.sum(foreground, dtype=whole))
            union += float(np.sum(background, dtype=whole))
        place[...] = g.reshape(place.shape)
        return loss, true

    def _of_row(self, values: Array | None, images: slice, c: int) -> Array | None:
        if values is None:
            return None
        return values[images, c if values.shape[1] > 1 else 0].reshape(-1)

    def pullback(self, given: Mapping[str, Array], of_weights: bool) -> tuple[Array, None]:
        """Gradient of the scores from that of the sums."""
        if self.place is None:
            self._look()
        place, self.place = self.place, None
        of_rows = given["sums"][:, :, None] if self.per_image else given["sums"][None, :, None]

        def write(piece: Piece) -> None:
            n, p = piece
            with np.errstate(all="ignore"):
                z, foreground, valid = self._inputs(piece)
                _, slopes = errors_and_slopes(self.backend, z, foreground, self.link)
                gradient = slopes(place[n, :, p] * (of_rows[n] if self.per_image else of_rows))
                place[n, :, p] = gradient if valid is None else np.where(valid, gradient, 0)

        in_threads(write, self.pieces, self.threads)
        return place, None


_STEP = 2**15
"""Pixels that are weighed together: with a dozen arrays of them in a core's cache."""


def by_falling(errors: Array) -> Iterator[tuple[Array, Array]]:
    """Where pixels that have an error stand in a row, and these errors so that they fall, in pieces."""
    count, halves = np.count_nonzero(errors), errors.dtype == np.float32
    # where zeros are few they are sorted too, and are the last: of halves, since argsort has NaN there
    where = None if halves and 2 * count >= errors.size else np.flatnonzero(errors)
    found = errors if where is None else errors.take(where)
    order = _by_halves(found) if halves else np.argsort(-np.abs(found), kind="stable")
    for at in _steps(order[:count]):
        at = at if where is None else where.take(at)
        yield at, errors.take(at)


def _by_halves(errors: Array) -> Array:
    """Order in which errors fall.

    The bits of numbers without their sign order as integers do. NumPy sorts 16 bits by counting, and
    stably: by halves it takes 8 to 14 ns for each, whatever the errors are; an argsort of them 20 to 70.
    """
    halves = (~errors.view(np.uint32)).view(np.uint16).reshape(-1, 2)
    most, least = (1, 0) if sys.byteorder == "little" else (0, 1)
    low = np.argsort(halves[:, least], kind="stable").astype(np.uint32)
    high = halves[:, most].take(low) & np.uint16(0x7FFF)
    del halves  # a row is large
    order = np.argsort(high, kind="stable")
    for at in _steps(order):
        at[...] = low.take(at)
    return order


def _steps(row: Array) -> Iterator[Array]:
    """Pieces of a row, as views."""
    return (row[start : start + _STEP] for start in range(0, row.size, _STEP))
