"""Statistics that ask for log-probabilities of labels and class sums alone: gradients in closed form.

The large arrays are touched by a few operations of each block: exponentials and their sums on the way
there, a product on the way back. What a loss itself computes has one number for each pixel and is
differentiated by the tape, in panels of several blocks, so that little time goes to Python.
"""

from __future__ import annotations

from typing import Any

from . import passes
from .backends.base import Array
from .block import Block
from .blocks import Blocks, Statistic, flat
from .passes import Where
from .pixels import Pixels

PANEL_PIXELS = 2**15
"""Pixels of a panel, at most: a dozen arrays of them stay in cache, with fewer Python takes longer."""


class ClosedBlocks(Blocks):
    """Statistics of labels and raw scores of one class for each pixel, and their gradient.

    Parameters
    ----------
    pixels, statistics
        As of `Blocks`.
    probe : Block
        A pixel or so.
    asked : set of str
        What the statistics ask of the predictions: ``"target_log_probs"``, ``"prob_sums"``.
    gradient : bool
        Whether the gradient will be asked for. Its array is then made at once: it holds exponentials
        until the gradient itself takes that place.
    """

    def __init__(
        self,
        pixels: Pixels,
        statistics: tuple[Statistic, ...],
        probe: Block,
        asked: set[str],
        gradient: bool,
    ) -> None:
        self.leaves = tuple(sorted(asked))
        self.arrays = 1 if gradient else 2  # of exponentials, in the gradient's place or in scratch
        super().__init__(pixels, statistics, probe, gradient)
        images, _, places = self.shape
        share = -(-images * places // (2 * passes.THREADS))
        panel = max(min(share, PANEL_PIXELS), self.step)
        self._panels = self.cut((slice(0, images), slice(0, places)), panel)
        self._parts = [self.cut(panel, self.step) for panel in self._panels]

    def vector(self) -> Array:
        """Every statistic of every image, summed over the pixels, in one array."""
        images, classes, places = self.shape
        self.place = self.empty(images, classes, places) if self.keeps else None
        # of every pixel: log-probability of its label, later the gradient of that; sum of exponentials
        self._log_probs = self.empty(images, places)
        self._totals: Array = self.empty(images, places) if self.keeps else None
        self._class_sums: dict[str, Array] = {}
        return self.added(self.gathered(self._parts, self._look, self._evaluate), self._panels)

    @property
    def prepares(self) -> bool:
        """It leaves exponentials."""
        return True

    def write_gradient(self, cotangents: list[Array]) -> None:
        """Turn exponentials into the gradient."""
        if self.only is not None:
            of_result = cotangents[self.only]
            self.each(lambda part: self._write(part, of_result), [p for parts in self._parts for p in parts])
        else:
            self.scattered(self._parts, lambda i: self._differentiate(i, cotangents), self._write_with_sums)

    def _look(self, part: Where) -> None:
        """Leave what belongs to a part: exponentials, totals, log-probabilities, class sums."""
        images, places = part
        block: Block = self.block(part)
        backend = block.backend
        place = None if self.place is None else self.place[images, :, places]
        exponentials, totals, top = backend.exponentials(block.predictions, lambda: block.valid, place)
        own = backend.upcast(backend.gather(block.predictions, block.labels))
        self._log_probs[part] = (own if top is None else own - top) - self.xp.log(totals)
        if self._totals is not None:
            self._totals[part] = totals
        if "prob_sums" in self.leaves:
            weights = 1.0 if block.weights is None else block.weights
            self._class_sums[str(part)] = backend.weighted_sums(exponentials, weights / totals)

    def _panel(self, i: int) -> Block:
        """A block that knows what `_look` found."""
        panel = images, _ = self._panels[i]
        block: Block = self.block(panel)
        found = self._log_probs[panel]
        block.target_log_probs = found if block.valid is None else block.backend.masked(found, block.valid)
        if "prob_sums" in self.leaves:
            block.prob_sums = self.empty(images.stop - images.start, self.shape[1])
            block.prob_sums[...] = 0.0
            for part in self._parts[i]:
                block.prob_sums[_rows(part, panel), ...] += self._class_sums[str(part)]
        return block

    def _evaluate(self, i: int) -> list[Any]:
        """Values of the statistics of a panel; where it has but one factor, their gradient."""
        block = self._panel(i)
        if self.only is None:
            return [statistic(block) for statistic in self.statistics]
        results, self._log_probs[self._panels[i]] = self.values_and_slope(block)
        return results

    def _differentiate(self, i: int, cotangents: list[Array]) -> tuple[Where, Array | None]:
        """Leave the gradient of a panel's log-probabilities; return that of its class sums."""
        panel = self._panels[i]
        taped = self.taped(self._panel(i), *self.leaves)
        results = flat(self._on_tape(taped))
        found = taped.gradients(results, [g[panel[0], ...] for g in cotangents])
        by_name = dict(zip(self.leaves, found, strict=True))
        if "target_log_probs" in by_name:
            self._log_probs[panel] = by_name["target_log_probs"]
        return panel, by_name.get("prob_sums")

    def _write_with_sums(self, part: Where, found: tuple[Where, Array | None]) -> None:
        panel, of_sums = found
        self._write(part, None, None if of_sums is None else of_sums[_rows(part, panel), :])

    def _write(self, part: Where, factor: Array | None, of_sums: Array | None = None) -> None:
        """Turn the exponentials of a part into its gradient."""
        images, places = part
        block, place = self.block(part), self.place[images, :, places]
        of_log_probs = self._log_probs[part] if "target_log_probs" in self.leaves else None
        if factor is not None:
            of_log_probs = of_log_probs * factor[images, None]
        gradient = block.backend.softmax_gradient(
            place,
            self._totals[part],
            block.labels,
            None if of_sums is None else block.weights,
            of_log_probs,
            of_sums,
        )
        if gradient is not place:
            place[...] = gradient


def _rows(part: Where, panel: Where) -> slice:
    """Which of a panel's images a part of it has."""
    first = panel[0].start
    return slice(part[0].start - first, part[0].stop - first)
