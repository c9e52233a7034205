"""Sums over pixels in blocks, and their gradients.

Nothing here knows any loss: a statistic is differentiated by the tape, block by block.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .backends.base import Array
from .block import Block
from .once import once
from .passes import Passes, Where
from .pixels import Pixels
from .taped_block import Probe

Statistic = Callable[[Block], Any]


class Blocks(Passes):
    """Statistics of an input, block by block, and their gradient.

    Parameters
    ----------
    pixels : Pixels
        As of `Passes`.
    statistics : tuple of callables
        As `Pixels.sum` takes them.
    """

    def __init__(self, pixels: Pixels, statistics: tuple[Statistic, ...]) -> None:
        super().__init__(pixels)
        self.statistics = statistics
        self._results: list[Any] = []

    @once
    def taped_statistics(self) -> tuple[Statistic, ...]:
        """Statistics with their arrays on the tape."""
        found: tuple[Statistic, ...] = self.tape.box(self.statistics)
        return found

    def composed(self, pixels: Pixels) -> list[Array]:
        """The same of all pixels at once, from operations that can be differentiated twice."""
        return flat([statistic(pixels.whole) for statistic in self.statistics])

    def vector(self) -> Array:
        """Every statistic of every image, summed over the pixels, in one array."""
        return self.added(self.each(self._forward, self.slices), self.slices)

    def gradient(self, vector: Array) -> Array:
        """Gradient (N, C, P) of the scores, given that of `vector`."""
        place, cotangents = self.empty(*self.shape), flat(self.split(self.xp, vector))
        self.each(lambda where: self._backward(where, place, cotangents), self.slices)
        return place

    def added(self, by_part: list[list[Any]], parts: list[Where]) -> Array:
        """Add up what statistics returned for each part of the pixels."""
        pixels, xp = self.pixels, self.xp
        self._results = by_part[0]
        vectors = []
        for values in zip(*map(flat, by_part), strict=True):
            # added in float64: float32 loses digits where parts are many
            shape = (self.shape[0], *values[0].shape[1:])
            total = pixels.backend.empty(shape, xp.float64, pixels.predictions)
            total[...] = 0.0
            for (images, _), value in zip(parts, values, strict=True):
                total[images, ...] = total[images, ...] + xp.astype(value, xp.float64)
            vectors.append(xp.reshape(total, (-1,)))
        return xp.astype(xp.concat(vectors), pixels.dtype)

    def split(self, xp: Any, vector: Array) -> list[Any]:
        """Take `vector` apart into what each statistic returns, with functions of any library."""
        results, start = [], 0
        for result in self._results:
            parts = []
            for part in result:
                shape = (self.shape[0], *part.shape[1:])
                stop = start + math.prod(shape)
                parts.append(xp.reshape(vector[start:stop], shape))
                start = stop
            results.append(type(result)(*parts) if hasattr(result, "_fields") else tuple(parts))
        return results

    def _forward(self, where: Where) -> list[Any]:
        block = self.block(where)
        return [statistic(block) for statistic in self.statistics]

    def _backward(self, where: Where, place: Array, cotangents: list[Array]) -> None:
        images, places = where
        taped = self.taped(self.block(where), "scores")
        results = flat([statistic(taped) for statistic in self.taped_statistics])
        (place[images, :, places],) = taped.gradients(results, [g[images, ...] for g in cotangents])


def blocks_of(pixels: Pixels, statistics: tuple[Statistic, ...], gradient: bool) -> Blocks:
    """The engine that suits what the statistics ask for.

    Parameters
    ----------
    pixels, statistics
        As of `Blocks`.
    gradient : bool
        Whether the gradient will be asked for.
    """
    from .closed_blocks import ClosedBlocks

    if pixels.setting.closed_form:
        probe = Blocks(pixels, statistics).block((slice(0, 1), slice(0, 1)), Probe)
        for statistic in statistics:
            statistic(probe)
        if "scores" not in probe.asked:
            return ClosedBlocks(pixels, statistics, probe, probe.asked, gradient)
    return Blocks(pixels, statistics)


def flat(results: list[Any]) -> list[Array]:
    """Every array that statistics returned."""
    return [part for result in results for part in result]
