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
from .taped_block import Probe, alike, flat

Statistic = Callable[[Block], Any]


class Blocks(Passes):
    """Statistics of an input, block by block, and their gradient.

    Parameters
    ----------
    pixels : Pixels
        As of `Passes`.
    statistics : tuple of callables
        As `Pixels.sum` takes them.
    probe : Block
        A pixel, to see what the statistics return.
    gradient : bool
        Whether the gradient will be asked for.
    """

    leaves: tuple[str, ...] = ("scores",)
    """What of a block the tape differentiates by."""

    def __init__(
        self, pixels: Pixels, statistics: tuple[Statistic, ...], probe: Block, gradient: bool
    ) -> None:
        super().__init__(pixels)
        self.threads = pixels.setting.mode == "multiclass"  # element by element it is all short ones
        self.statistics, self.keeps = statistics, gradient
        self.only = self._only_result(probe) if gradient else None
        self.place: Array = None  # of the gradient, until it is given away
        self._results: list[Any] = []

    def _only_result(self, probe: Block) -> int | None:
        """Which one of the results depends on the predictions, if it is one number for each image.

        Its slope is the gradient up to a factor for each image: no pixel needs the sums of others.
        """
        recording = self.record(probe, self.leaves)
        tracked = [i for i, depends in enumerate(recording.depends()) if depends]
        return tracked[0] if len(tracked) == 1 and flat(recording.results)[tracked[0]].ndim == 1 else None

    @once
    def record(self) -> Any:
        """The statistics, to be differentiated."""
        return self.pixels.backend.recorder(self.pixels, self.statistics)

    def composed(self, pixels: Pixels) -> list[Array]:
        """The same of all pixels at once, from operations that can be differentiated twice."""
        return flat([statistic(pixels.whole) for statistic in self.statistics])

    def vector(self) -> Array:
        """Every statistic of every image, summed over the pixels, in one array."""
        if self.only is not None:
            self.place = self.empty(*self.shape)
        return self.added(self.each(self._forward, self.slices), self.slices)

    def gradient(self, vector: Array) -> Array:
        """Gradient (N, C, P) of the scores, given that of `vector`."""
        if self.place is None and self.prepares:
            self.vector()  # what it had left was given away as an earlier gradient
        self.write_gradient(flat(self.split(self.xp, vector)))
        place, self.place = self.place, None
        return place

    @property
    def prepares(self) -> bool:
        """Whether `vector` leaves something of use in the gradient's place."""
        return self.only is not None

    def write_gradient(self, cotangents: list[Array]) -> None:
        """Leave the gradient in its place."""
        if self.place is None:
            self.place = self.empty(*self.shape)
        self.each(lambda where: self._backward(where, cotangents), self.slices)

    def values_and_slope(self, block: Block) -> tuple[list[Any], Array]:
        """What statistics return, and the derivative of the only result that has one by the only leaf."""
        recording = self.record(block, self.leaves)
        ones = [
            self.xp.ones_like(result) if i == self.only else None
            for i, result in enumerate(flat(recording.results))
        ]
        (slope,) = recording.gradients(ones)
        return recording.results, slope

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
            results.append(alike(result, parts))
        return results

    def _forward(self, where: Where) -> list[Any]:
        block: Block = self.block(where)
        if self.place is None:
            return [statistic(block) for statistic in self.statistics]
        images, places = where
        results, self.place[images, :, places] = self.values_and_slope(block)
        return results

    def _backward(self, where: Where, cotangents: list[Array]) -> None:
        images, places = where
        place = self.place[images, :, places]
        if self.only is not None:
            place *= cotangents[self.only][images, None, None]
            return
        recording = self.record(self.block(where), self.leaves)
        (place[...],) = recording.gradients([g[images, ...] for g in cotangents])


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

    probe = Passes(pixels).block((slice(0, 1), slice(0, 1)), Probe)
    for statistic in statistics:
        statistic(probe)
    if "scores" in probe.asked:
        return Blocks(pixels, statistics, probe, gradient)
    return ClosedBlocks(pixels, statistics, probe, probe.asked, gradient)
