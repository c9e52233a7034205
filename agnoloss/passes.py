"""Passes over an input in blocks that fit the cache: what every engine of sums shares.

A loss makes many passes over its data. Over whole arrays each pass goes to memory; over blocks the
passes stay in cache, and the one large array is the gradient.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .backends.base import Array
from .block import Block
from .once import once
from .pixels import Pixels
from .setting import Setting
from .tape import Tape
from .taped_block import TapedBlock

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

    def __init__(self, pixels: Pixels) -> None:
        self.pixels, self.xp = pixels, pixels.xp
        self.shape = images, classes, places = pixels.predictions.shape
        self.step = max(pixels.backend.block_elements // max(classes, 1), 1)
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

    @once
    def tape(self) -> Tape:
        """The tape of every block: what is noted hangs on the results alone."""
        return Tape(self.pixels.backend)

    @once
    def _taped_setting(self) -> Setting:
        return self.pixels.on(self.tape.backend, self.tape.box).setting

    def taped(self, block: Block, *leaves: str) -> TapedBlock:
        """The block on the tape, to be differentiated by some of its properties."""
        return TapedBlock(self.tape, self._taped_setting, block, leaves)

    def each(self, work: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        """Do the work for each part, in threads if there are several; results in order."""
        if THREADS == 1 or len(parts) == 1 or not self.pixels.backend.threads:
            return [work(part) for part in parts]
        results: list[Any] = [None] * len(parts)
        left = iter(range(len(parts)))  # shared: next() of it is one step of the interpreter

        def take_part() -> None:
            for i in left:
                results[i] = work(parts[i])

        # The calling thread works too, and others take blocks themselves: a future for each block
        # would cost as much as it saves.
        if not _pool:
            _pool.append(ThreadPoolExecutor(THREADS - 1, thread_name_prefix="agnoloss"))
        helpers = [_pool[0].submit(take_part) for _ in range(min(THREADS, len(parts)) - 1)]
        take_part()
        for helper in helpers:
            helper.result()
        return results
