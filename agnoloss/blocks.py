"""Sums over pixels in blocks that fit the cache, with gradients that recompute or reuse each block.

A loss makes many passes over its data. Over whole arrays each pass goes to memory; over blocks the
passes stay in cache, and the one large array is the gradient. Nothing here knows any loss: a
statistic is differentiated by the tape, on arrays with one number per pixel or per class, and two
closed forms take it from there to the scores (`FusedBlock`).
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from .backends.base import Array, Backend
from .block import Block
from .once import once
from .pixels import Pixels
from .tape import Tape

Statistic = Callable[[Block], Any]
Slices = tuple[slice, slice]

BLOCK_ELEMENTS = 300_000
"""Scores of a block: 1.2 MB in float32. Half is as fast, twice that falls out of a 2 MB cache."""

SMALLEST_ELEMENTS = 150_000
"""Fewer scores than this are one block without machinery: its fixed cost is about 0.3 ms."""

_threads: list[ThreadPoolExecutor] = []


def worthwhile(pixels: Pixels) -> bool:
    """Whether there are enough scores for blocks to pay."""
    images, classes, places = pixels.predictions.shape
    return bool(images * classes * places >= SMALLEST_ELEMENTS)


class FusedBlock(Block):
    """A block whose softmax is computed at once, for the two things most statistics ask of it.

    The log-probability of each pixel's label, and the sums of probabilities of each class, have
    gradients in closed form: with d for the first and b_c for the second, and p the softmax,

        dz_c = p_c (u b_c - u sum_k p_k b_k - d) + d [c = y]

    Statistics that ask for more than these get it from the scores, as in any other block.

    Parameters
    ----------
    pixels, predictions, targets, pixel_weights
        As of `Block`.
    probs : array or None
        Where to leave the softmax, (n, C, p); None: wherever the backend likes.
    """

    def __init__(
        self, pixels: Pixels, predictions: Array, targets: Array, weights: Array | None, probs: Array | None
    ) -> None:
        super().__init__(pixels, predictions, targets, weights)
        self._place = probs
        self.fused = False

    @once
    def _softmax(self) -> tuple[Array, Array]:
        """Probabilities (n, C, p) and logarithms of the sums of exponentials (n, p)."""
        self.fused = True
        return self.backend.softmax(self._predictions, self.valid, self._place)

    @once
    def target_log_probs(self) -> Array:
        """log p of each pixel's label, (n, p)."""
        values = self.backend.gather(self._predictions, self.labels) - self._softmax[1]
        return values if self.valid is None else self.xp.where(self.valid, values, 0.0)

    @once
    def prob_sums(self) -> Array:
        """Weighted sums of probabilities, P_c = sum_i u_i p_ic: (n, C)."""
        return self.backend.weighted_sums(self._softmax[0], self.weights)


class TapedBlock(Block):
    """A block on a tape: what `FusedBlock` computes are its leaves, or else the scores are.

    Parameters
    ----------
    pixels : Pixels
        On the tape.
    block : FusedBlock
        The same block off the tape.
    """

    def __init__(self, pixels: Pixels, block: FusedBlock) -> None:
        box = pixels.backend.tape.box
        super().__init__(pixels, block._predictions, box(block._targets), box(block._weights))
        self.block = block
        self.leaves: dict[str, Array] = {}

    def _leaf(self, name: str, value: Array) -> Array:
        self.leaves[name] = leaf = self.backend.tape.box(value, tracked=True)
        return leaf

    @once
    def labels(self) -> Array | None:
        """Of the block off the tape: checked and masked once."""
        return self.backend.tape.box(self.block.labels)

    @once
    def valid(self) -> Array | None:
        """Of the block off the tape."""
        return self.backend.tape.box(self.block.valid)

    @once
    def weights(self) -> Array | None:
        """Of the block off the tape."""
        return self.backend.tape.box(self.block.weights)

    @once
    def scores(self) -> Array:
        """A leaf, for statistics that ask for more than the softmax's closed forms give."""
        return self._leaf("scores", self.block.scores)

    @once
    def target_log_probs(self) -> Array:
        """A leaf."""
        if not self.from_logits:
            return super().target_log_probs.__get__(self)
        return self._leaf("target_log_probs", self.block.target_log_probs)

    @once
    def prob_sums(self) -> Array:
        """A leaf."""
        return self._leaf("prob_sums", self.block.prob_sums)
