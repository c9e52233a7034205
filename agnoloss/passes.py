"""Passes over an input in blocks that fit the cache: what every engine of sums shares.

A loss makes many passes over its data. Over whole arrays each pass goes to memory; over blocks the
passes stay in cache, and the one large array is the gradient.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from .backends.base import Array
from .block import Block
from .pixels import Pixels

Where = tuple[slice, slice]
"""Some images and some of their pixels."""

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

    arrays = 5
    """Arrays as large as the scores of a block that are in use at a time, roughly."""

    threads = True
    """Whether a block's operations are long enough for threads not to wait for the interpreter."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels, self.xp = pixels, pixels.xp
        self.shape = images, classes, places = pixels.predictions.shape
        self.step = max(pixels.backend.block_elements // self.arrays // max(classes, 1), 1)
        self.slices = self.cut((slice(0, images), slice(0, places)), self.step)

    @staticmethod
    def cut(where: Where, step: int) -> list[Where]:
        """Cut some pixels of some images into equal parts of at most `step` pixels."""
        images, places = where
        count = max(places.stop - places.start, 1)
        several = max(step // count, 1)
        step = -(-count // -(-count // step))
        return [
            (slice(n, min(n + several, images.stop)), slice(p, min(p + step, places.stop)))
            for n in range(images.start, images.stop, several)
            for p in range(places.start, places.stop, step)
        ]

    def empty(self, *shape: int) -> Array:
        """An array to be filled."""
        return self.pixels.backend.empty(shape, self.pixels.dtype, self.pixels.predictions)

    def block(self, where: Where, kind: type[Block] = Block) -> Any:
        """Some pixels of some images."""
        images, places = where
        pixels = self.pixels
        targets, weights = pixels.targets, pixels.pixel_weights
        return kind(
            pixels.setting,
            pixels.predictions[images, :, places],
            targets[images, :, places] if targets.ndim == 3 else targets[images, places],
            None if weights is None else weights[images, places],
        )

    def each(self, work: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        """Do the work for each part, in threads if there are several; results in order."""
        results: list[Any] = [None] * len(parts)
        left = iter(range(len(parts)))  # shared: next() of it is one step of the interpreter

        def take_parts() -> None:
            for i in left:
                results[i] = work(parts[i])

        helpers = self._start(take_parts, len(parts))
        take_parts()
        for helper in helpers:
            helper.result()
        return results

    def gathered(self, count: int, heavy: Callable[[int], None], light: Callable[[int], Any]) -> list[Any]:
        """Heavy work for each part in threads, then light work for it here; its results.

        Light work is many small operations. In several threads at once they would wait for each
        other's turn at the interpreter longer than they take.
        """
        results: list[Any] = [None] * count
        left, ready = iter(range(count)), SimpleQueue[Any]()  # next() of it is one step of the interpreter

        def take_parts() -> None:
            try:
                for i in left:
                    heavy(i)
                    ready.put(i)
            except BaseException as error:
                ready.put(error)
                raise

        self._start(take_parts, count)
        for _ in range(count):
            if ready.empty() and (i := next(left, None)) is not None:
                heavy(i)
                ready.put(i)
            found = ready.get()
            if isinstance(found, BaseException):
                raise found
            results[found] = light(found)
        return results

    def scattered(self, count: int, light: Callable[[int], Any], heavy: Callable[[int, Any], None]) -> None:
        """Light work for each part here, then heavy work with its result in threads."""
        queue = SimpleQueue[Any]()

        def take_parts() -> None:
            while (item := queue.get()) is not None:
                heavy(*item)

        helpers = self._start(take_parts, count)
        try:
            for i in range(count):
                queue.put((i, light(i)))
        finally:
            for _ in range(len(helpers) + 1):
                queue.put(None)
        take_parts()
        for helper in helpers:
            helper.result()

    def _start(self, work: Callable[[], None], count: int) -> list[Future[None]]:
        """Let helpers begin work that the caller takes part in.

        They take part after part by themselves: a future for each would cost as much as it saves.
        """
        if THREADS == 1 or count < 2 or not (self.pixels.backend.threads and self.threads):
            return []
        if not _pool:
            _pool.append(ThreadPoolExecutor(THREADS - 1, thread_name_prefix="agnoloss"))
        return [_pool[0].submit(work) for _ in range(min(THREADS, count) - 1)]
