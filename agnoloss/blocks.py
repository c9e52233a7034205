"""Sums over pixels in blocks that fit the cache, and their gradients.

A loss makes many passes over its data. Over whole arrays each pass goes to memory; over blocks the
passes stay in cache, and the one large array is the gradient. Nothing here knows any loss: a
statistic is differentiated by the tape, on arrays with one number for each pixel or class, and two
closed forms take it from there to the scores.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .backends.base import Array
from .block import Block
from .block_kinds import FusedBlock, TapedBlock
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
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)  # threads stay behind in the parent


def worthwhile(pixels: Pixels) -> bool:
    """Whether there are enough scores for blocks to pay."""
    return math.prod(pixels.predictions.shape) >= SMALLEST_ELEMENTS


class Passes:
    """An input cut into blocks, and passes over them.

    Parameters
    ----------
    pixels : Pixels
        Input off every tape, on a backend that writes into arrays.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels, self.xp = pixels, pixels.xp
        images, classes, places = pixels.predictions.shape
        step = max(pixels.backend.block_elements // classes, 1)
        several = max(step // max(places, 1), 1)
        self.slices = [
            (slice(n, n + several), slice(p, p + step))
            for n in range(0, images, several)
            for p in range(0, places, step)
        ]

    def empty(self, *shape: int) -> Array:
        """An array to be filled."""
        return self.pixels.backend.empty(shape, self.pixels.dtype, self.pixels.predictions)

    def block(self, where: tuple[slice, slice], place: Array | None = None) -> FusedBlock:
        """Some pixels of some images; `place`, of the predictions' shape, is where to leave the softmax."""
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

    @once
    def tape(self) -> Tape:
        """The tape of every block: what is noted hangs on the results alone."""
        return Tape(self.pixels.backend)

    @once
    def _taped_setting(self) -> Setting:
        return self.pixels.on(self.tape.backend, self.tape.box).setting

    def taped(self, block: FusedBlock) -> TapedBlock:
        """The block on the tape."""
        return TapedBlock(self.tape, self._taped_setting, block)

    def each(self, work: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        """Do the work for each part, in threads if there are several; results in order."""
        if THREADS == 1 or len(parts) == 1 or not self.pixels.backend.threads:
            return [work(part) for part in parts]
        if not _pool:
            _pool.append(ThreadPoolExecutor(THREADS, thread_name_prefix="agnoloss"))
        return list(_pool[0].map(work, parts))


class Blocks(Passes):
    """Statistics of an input, block by block, and their gradient.

    Parameters
    ----------
    pixels : Pixels
        As of `Passes`.
    statistics : tuple of callables
        As `Pixels.sum` takes them.
    gradient : bool
        Whether the gradient will be asked for. Its array is then made at once: it holds the softmax
        until the gradient itself takes that place.
    """

    def __init__(self, pixels: Pixels, statistics: tuple[Statistic, ...], gradient: bool) -> None:
        super().__init__(pixels)
        self.statistics = statistics
        self._softmax = self.empty(*pixels.predictions.shape) if gradient else None
        self._log_probs: Array | None = None  # of the labels, kept beside the softmax
        self._results: list[Any] = []

    @once
    def _taped_statistics(self) -> Any:
        return self.tape.box(self.statistics)

    def composed(self, pixels: Pixels) -> list[Array]:
        """The same of all pixels at once, from operations that can be differentiated twice."""
        return _flat([statistic(pixels.whole) for statistic in self.statistics])

    def vector(self) -> Array:
        """Every statistic of every image, summed over the pixels, in one array."""
        pixels, xp = self.pixels, self.xp
        if self._softmax is not None and pixels.setting.closed_form:
            self._log_probs = self.empty(pixels.predictions.shape[0], pixels.predictions.shape[2])
        by_block = self.each(self._forward, self.slices)
        images = pixels.predictions.shape[0]
        self._results = by_block[0]
        flat = []
        for parts in zip(*(_flat(results) for results in by_block), strict=True):
            # added in float64: float32 loses digits where blocks are many
            shape = (images, *parts[0].shape[1:])
            total = pixels.backend.empty(shape, xp.float64, pixels.predictions)
            total[...] = 0.0
            for (rows, _), part in zip(self.slices, parts, strict=True):
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
        place = self.empty(*self.pixels.predictions.shape) if fresh else self._softmax
        cotangents = _flat(self.split(self.xp, vector))
        self.each(lambda where: self._backward(where, place, fresh, cotangents), self.slices)
        self._softmax = None  # overwritten: another gradient makes its own
        return place

    def _forward(self, where: tuple[slice, slice]) -> list[Any]:
        block = self.block(where, self._softmax)
        results = [statistic(block) for statistic in self.statistics]
        if self._log_probs is not None:
            self._log_probs[where] = block.target_log_probs
        return results

    def _backward(
        self, where: tuple[slice, slice], place: Array, fresh: bool, cotangents: list[Array]
    ) -> None:
        images, places = where
        pixels, here = self.pixels, (images, slice(None), places)
        block = self.block(where, place)
        if self._log_probs is not None and not fresh:
            block.parts = place[here], None
            block.target_log_probs = self._log_probs[where]
        taped = self.taped(block)
        results = _flat([statistic(taped) for statistic in self._taped_statistics])
        gradients = taped.gradients(results, [g[images, ...] for g in cotangents])
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


def _flat(results: list[Any]) -> list[Array]:
    return [part for result in results for part in result]
