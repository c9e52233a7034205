"""Sums over pixels in blocks that fit the cache, and their gradients.

A loss makes many passes over its data. Over whole arrays each pass goes to memory; over blocks the
passes stay in cache, and the one large array is the gradient. Nothing here knows any loss: a
statistic is differentiated by the tape, on arrays with one number for each pixel or class, and two
closed forms take it from there to the scores.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .backends.base import Array
from .block import Block
from .once import once
from .pixels import Pixels
from .setting import Setting
from .tape import Tape

Statistic = Callable[[Block], Any]

SMALLEST_ELEMENTS = 100_000
"""With fewer scores than this the fixed cost of blocks, 0.2 ms, is more than they save."""

THREADS = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)
"""NumPy's functions release the interpreter's lock; beyond a few cores memory is the limit."""


_pool: list[ThreadPoolExecutor] = []


def worthwhile(pixels: Pixels) -> bool:
    """Whether there are enough scores for blocks to pay."""
    return math.prod(pixels.predictions.shape) >= SMALLEST_ELEMENTS


class FusedBlock(Block):
    """A block off the tape, whose softmax is computed once for all that statistics ask of it.

    Parameters
    ----------
    setting, predictions, targets, pixel_weights
        As of `Block`.
    place : array, (n, C, p), or None
        Where to leave the softmax for the gradient.
    """

    def __init__(
        self,
        setting: Setting,
        predictions: Array,
        targets: Array,
        pixel_weights: Array | None,
        place: Array | None = None,
    ) -> None:
        super().__init__(setting, predictions, targets, pixel_weights)
        self._place = place

    @once
    def parts(self) -> tuple[Array, Array]:
        """Softmax (n, C, p) and log of the sum of exponentials (n, p)."""
        return self.backend.softmax_parts(self.predictions, self.valid, self._place)

    @once
    def target_log_probs(self) -> Array:
        """log p of what is true."""
        if not self.setting.closed_form:
            return super().target_log_probs
        values = self.backend.gather(self.backend.upcast(self.predictions), self.labels) - self.parts[1]
        return values if self.valid is None else self.xp.where(self.valid, values, 0.0)

    @once
    def prob_sums(self) -> Array:
        """Weighted sums of probabilities, P_c = sum_i u_i p_ic: (n, C)."""
        if not self.setting.closed_form:
            return super().prob_sums
        return self.backend.weighted_sums(self.parts[0], self.weights)


class TapedBlock(Block):
    """The same block on a tape, with what `FusedBlock` computes as leaves, or else the scores.

    Parameters
    ----------
    tape : Tape
        The tape.
    setting : Setting
        On the tape.
    block : FusedBlock
        Off the tape.
    """

    def __init__(self, tape: Tape, setting: Setting, block: FusedBlock) -> None:
        self._box, self.block = tape.box, block
        self.leaves: dict[str, Any] = {}
        super().__init__(setting, *map(self._box, (block.predictions, block.raw, block.pixel_weights)))

    def _leaf(self, name: str) -> Any:
        leaf = self.leaves[name] = self._box(getattr(self.block, name), tracked=True)
        return leaf

    @once
    def valid(self) -> Array | None:
        """Of the block off the tape."""
        return self._box(self.block.valid)

    @once
    def weights(self) -> Array | None:
        """Of the block off the tape."""
        return self._box(self.block.weights)

    @once
    def labels(self) -> Array | None:
        """Of the block off the tape."""
        return self._box(self.block.labels)

    @once
    def target_counts(self) -> Array:
        """Zero: a constant of the sums has no gradient, whatever its value."""
        images, classes, _ = self.predictions.shape
        zeros = [[0.0] * classes] * images
        return self._box(self.block.backend.constant(zeros, self.block.dtype, self.block.predictions))

    @once
    def scores(self) -> Array:
        """A leaf, for statistics that ask for more than the closed forms."""
        return self._leaf("scores")

    @once
    def target_log_probs(self) -> Array:
        """A leaf where it has a closed form."""
        return self._leaf("target_log_probs") if self.setting.closed_form else super().target_log_probs

    @once
    def prob_sums(self) -> Array:
        """A leaf where it has a closed form."""
        return self._leaf("prob_sums") if self.setting.closed_form else super().prob_sums


class Blocks:
    """Statistics of an input, block by block, and their gradient.

    Parameters
    ----------
    pixels : Pixels
        Input off every tape, on a backend that writes into arrays.
    statistics : tuple of callables
        As `Pixels.sum` takes them.
    gradient : bool
        Whether the gradient will be asked for. Its array is then made at once: it holds the softmax
        until the gradient itself takes that place.
    """

    def __init__(self, pixels: Pixels, statistics: tuple[Statistic, ...], gradient: bool) -> None:
        self.pixels, self.statistics, self.xp = pixels, statistics, pixels.xp
        images, classes, places = pixels.predictions.shape
        step = max(pixels.backend.block_elements // classes, 1)
        several = max(step // max(places, 1), 1)
        self._slices = [
            (slice(n, n + several), slice(p, p + step))
            for n in range(0, images, several)
            for p in range(0, places, step)
        ]
        self._softmax = self._empty(images, classes, places) if gradient else None
        self._log_probs: Array | None = None  # of the labels, kept beside the softmax
        self._results: list[Any] = []

    def vector(self) -> Array:
        """Every statistic of every image, summed over the pixels, in one array."""
        pixels, xp = self.pixels, self.xp
        if self._softmax is not None and pixels.setting.closed_form:
            self._log_probs = self._empty(pixels.predictions.shape[0], pixels.predictions.shape[2])
        by_block = self._each(self._forward)
        images = pixels.predictions.shape[0]
        self._results = by_block[0]
        flat = []
        for parts in zip(*(_flat(results) for results in by_block), strict=True):
            # added in float64: float32 loses digits where blocks are many
            shape = (images, *parts[0].shape[1:])
            total = pixels.backend.empty(shape, xp.float64, pixels.predictions)
            total[...] = 0.0
            for (rows, _), part in zip(self._slices, parts, strict=True):
                total[rows, ...] = total[rows, ...] + xp.astype(part, xp.float64)
            flat.append(xp.reshape(total, (-1,)))
        return xp.astype(xp.concat(flat), pixels.dtype)

    def split(self, xp: Any, vector: Array) -> list[Any]:
        """Take `vector` apart into what each statistic returns, with functions of any library."""
        images = self.pixels.predictions.shape[0]
        results, start = [], 0
        for result in self._results:
            parts = []
            for part in result:
                shape = (images, *part.shape[1:])
                stop = start + math.prod(shape)
                parts.append(xp.reshape(vector[start:stop], shape))
                start = stop
            results.append(type(result)(*parts) if hasattr(result, "_fields") else tuple(parts))
        return results

    def gradient(self, vector: Array) -> Array:
        """Gradient (N, C, P) of the scores, given that of `vector`."""
        fresh = self._softmax is None
        place = self._empty(*self.pixels.predictions.shape) if fresh else self._softmax
        cotangents = _flat(self.split(self.xp, vector))
        self._each(lambda where: self._backward(where, place, fresh, cotangents))
        self._softmax = None  # overwritten: another gradient makes its own
        return place

    def _empty(self, *shape: int) -> Array:
        return self.pixels.backend.empty(shape, self.pixels.dtype, self.pixels.predictions)

    def _block(self, where: tuple[slice, slice], place: Array | None) -> FusedBlock:
        images, places = where
        pixels = self.pixels
        targets, weights = pixels.targets, pixels.pixel_weights
        return FusedBlock(
            pixels.setting,
            pixels.predictions[images, :, places],
            targets[images, :, places] if targets.ndim == 3 else targets[images, places],
            None if weights is None else weights[images, places],
            None if place is None else place[images, :, places],
        )

    def _forward(self, where: tuple[slice, slice]) -> list[Any]:
        block = self._block(where, self._softmax)
        results = [statistic(block) for statistic in self.statistics]
        if self._log_probs is not None:
            self._log_probs[where] = block.target_log_probs
        return results

    def _backward(
        self, where: tuple[slice, slice], place: Array, fresh: bool, cotangents: list[Array]
    ) -> None:
        images, places = where
        pixels, here = self.pixels, (images, slice(None), places)
        block = self._block(where, place)
        if self._log_probs is not None and not fresh:
            block.parts = place[here], None
            block.target_log_probs = self._log_probs[where]
        tape = Tape(pixels.backend)
        taped = TapedBlock(tape, pixels.on(tape.backend, tape.box).setting, block)
        results = [tape.box(statistic)(taped) for statistic in self.statistics]
        leaves = taped.leaves
        found = tape.gradients(_flat(results), [g[images, ...] for g in cotangents], list(leaves.values()))
        gradients = dict(zip(leaves, found, strict=True))
        total = gradients.pop("scores", None)
        if gradients:
            closed = pixels.backend.softmax_gradient(
                block.parts[0],
                block.labels,
                block.weights if pixels.pixel_weights is not None else None,
                gradients.get("target_log_probs"),
                gradients.get("prob_sums"),
            )
            total = closed if total is None else total + closed
        place[here] = 0.0 if total is None else total

    def _each(self, work: Callable[[tuple[slice, slice]], Any]) -> list[Any]:
        """Do the work for each block, in threads if there are several; results in order."""
        if THREADS == 1 or len(self._slices) == 1 or not self.pixels.backend.threads:
            return [work(where) for where in self._slices]
        if not _pool:
            _pool.append(ThreadPoolExecutor(THREADS, thread_name_prefix="agnoloss"))
        return list(_pool[0].map(work, self._slices))


def _flat(results: list[Any]) -> list[Array]:
    return [part for result in results for part in result]
