"""Sums over pixels in blocks, and their gradients.

Nothing here knows any loss: a statistic is differentiated by the tape, block by block.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .backends.base import Array
from .block import Block
from .passes import Passes, Where
from .pixels import Pixels
from .programs import like
from .recorder import WIDE, flat

Statistic = Callable[[Block], Any]


class Blocks(Passes):
    """Statistics of an input, block by block, and their gradient.

    Parameters
    ----------
    pixels : Pixels
        As of `Passes`.
    statistics : tuple of callables
        As `Pixels.sum` takes them.
    derivatives : Recorder
        Of the statistics.
    only : int or None
        Which one of their results depends on the predictions, see `Recorder.asked`.
    gradient : bool
        Whether the gradient will be asked for.
    """

    leaves: tuple[str, ...] = ("scores",)
    """What of a block the tape differentiates by."""

    def __init__(
        self,
        pixels: Pixels,
        statistics: tuple[Statistic, ...],
        derivatives: Any,
        only: int | None,
        gradient: bool,
    ) -> None:
        super().__init__(pixels)
        self.threads = pixels.setting.mode == "multiclass"  # element by element it is all short ones
        self.statistics, self.derivatives, self.keeps = statistics, derivatives, gradient
        self.only = only if gradient else None
        self.place: Array = None  # of the gradient, until it is given away
        self._results: list[Any] = []
        # dense targets of one class for each pixel mask log-probabilities: there NaN would not show
        self.lenient = pixels.backend.reads and pixels.setting.mode != "multiclass"
        self._masked: set[str] = set()

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
            results.append(like(result, parts))
        return results

    def _forward(self, where: Where) -> list[Any]:
        block = self.block(where)
        if self.lenient:
            # NaN and infinite scores where pixels do not count are rare, and show: 0 times them is NaN
            results, slope = self._called(block, WIDE)
            if all(self.xp.all(self.xp.isfinite(part)) for part in flat(results)):
                return self._kept(where, results, slope)
            self._masked.add(str(where))
        return self._kept(where, *self._called(block, self.leaves))

    def _called(self, block: Block, leaves: tuple[str, ...]) -> tuple[list[Any], Array | None]:
        if self.only is None:
            return self.derivatives.values(block, leaves), None
        results, slope = self.derivatives.slope(block, leaves, self.only)
        return results, slope

    def _kept(self, where: Where, results: list[Any], slope: Array | None) -> list[Any]:
        if slope is not None:
            images, places = where
            self.place[images, :, places] = slope
        return results

    def _backward(self, where: Where, cotangents: list[Array]) -> None:
        images, places = where
        place = self.place[images, :, places]
        if self.only is not None:
            place *= cotangents[self.only][images, None, None]
            return
        leaves = WIDE if self.lenient and str(where) not in self._masked else self.leaves
        given = [g[images, ...] for g in cotangents]
        (place[...],) = self.derivatives.gradients(self.block(where), leaves, given)


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

    derivatives = pixels.backend.recorder(pixels, statistics)
    probe = Passes(pixels).block((slice(0, 1), slice(0, 1)))
    asked, only = derivatives.asked(probe)
    if "scores" in asked:
        return Blocks(pixels, statistics, derivatives, only, gradient)
    return ClosedBlocks(pixels, statistics, derivatives, only, asked, gradient)
