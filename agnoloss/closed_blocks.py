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

PANEL_PIXELS = 2**16
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
        super().__init__(pixels, statistics)
        self.leaves, self._keeps = tuple(sorted(asked)), gradient
        images, _, places = self.shape
        share = -(-images * places // (2 * passes.THREADS))
        panel = max(min(share, PANEL_PIXELS), self.step)
        self._panels = self.cut((slice(0, images), slice(0, places)), panel)
        self._only = self._only_result(probe) if gradient else None
        self._place: Array | None = None

    def _only_result(self, probe: Block) -> int | None:
        """Which one of the results depends on the predictions, if it is one number for each image.

        Its gradient is known up to a factor for each image, without the sums of other pixels.
        """
        if self.leaves != ("target_log_probs",):
            return None
        taped = self.taped(probe, *self.leaves)
        results = flat([statistic(taped) for statistic in self.taped_statistics])
        tracked = [i for i, result in enumerate(results) if self.tape.any_tracked(result)]
        return tracked[0] if len(tracked) == 1 and results[tracked[0]].ndim == 1 else None

    def vector(self) -> Array:
        """Every statistic of every image, summed over the pixels, in one array."""
        images, classes, places = self.shape
        self._place = self.empty(images, classes, places) if self._keeps else None
        self._log_probs, self._totals = self.empty(images, places), self.empty(images, places)
        self._class_sums: dict[int, Array] = {}
        return self.added(self.each(self._forward, range(len(self._panels))), self._panels)

    def gradient(self, vector: Array) -> Array:
        """Gradient (N, C, P) of the scores, given that of `vector`."""
        if self._place is None:  # forward alone so far, or given away as an earlier gradient
            self._keeps = True
            self.vector()
        cotangents = flat(self.split(self.xp, vector))
        self.each(lambda i: self._backward(i, cotangents), range(len(self._panels)))
        place, self._place = self._place, None
        return place

    def _forward(self, i: int) -> list[Any]:
        """Values of the statistics, and as much of the gradient as can be known."""
        panel = self._panels[i]
        block: Block = self.block(panel)
        sums = [self._look(block, panel, part) for part in self.cut(panel, self.step)]
        if "prob_sums" in self.leaves:
            first, last = panel[0].start, panel[0].stop
            self._class_sums[i] = self.empty(last - first, self.shape[1])
            self._class_sums[i][...] = 0.0
            for rows, part in sums:
                self._class_sums[i][rows.start - first : rows.stop - first, ...] += part
        self._know(block, i)
        if not self._keeps or self._only is None:
            return [statistic(block) for statistic in self.statistics]
        taped = self.taped(block, *self.leaves)
        results = [statistic(taped) for statistic in self.taped_statistics]
        only = flat(results)[self._only]
        (of_log_probs,) = taped.gradients([only], [self.xp.ones_like(only.value)])
        self._write(block, panel, of_log_probs, None)
        found: list[Any] = self.tape.plain(results)
        return found

    def _backward(self, i: int, cotangents: list[Array]) -> None:
        """The rest of the gradient."""
        panel = images, places = self._panels[i]
        if self._only is not None:
            place = self._place[images, :, places]
            place *= cotangents[self._only][images, None, None]
            return
        block: Block = self.block(panel)
        self._know(block, i)
        taped = self.taped(block, *self.leaves)
        results = flat([statistic(taped) for statistic in self.taped_statistics])
        found = taped.gradients(results, [g[images, ...] for g in cotangents])
        by_name = dict(zip(self.leaves, found, strict=True))
        self._write(block, panel, by_name.get("target_log_probs"), by_name.get("prob_sums"))

    def _know(self, block: Block, i: int) -> None:
        """Tell a panel's block what was found by `_look`."""
        found = self._log_probs[self._panels[i]]
        block.target_log_probs = found if block.valid is None else block.backend.masked(found, block.valid)
        if "prob_sums" in self.leaves:
            block.prob_sums = self._class_sums[i]

    def _look(self, block: Block, panel: Where, part: Where) -> tuple[slice, Array | None]:
        """Leave what belongs to a part of a panel; its images and weighted sums of probabilities."""
        backend, xp, within = block.backend, self.xp, _within(panel, part)
        images, places = part
        scores = self.pixels.predictions[images, :, places]
        place = None if self._place is None else self._place[images, :, places]
        valid = None if block.valid is None else block.valid[within]
        exponentials, totals, top = backend.exponentials(scores, valid, place)
        own = backend.upcast(backend.gather(scores, block.labels[within]))
        self._log_probs[part] = (own if top is None else own - top) - xp.log(totals)
        self._totals[part] = totals
        if "prob_sums" not in self.leaves:
            return images, None
        weights = 1.0 if block.weights is None else block.weights[within]
        return images, backend.weighted_sums(exponentials, weights / totals)

    def _write(self, block: Block, panel: Where, of_log_probs: Array | None, of_sums: Array | None) -> None:
        """Turn the exponentials of a panel into its gradient."""
        for part in self.cut(panel, self.step):
            within, (images, places) = _within(panel, part), part
            place = self._place[images, :, places]
            gradient = block.backend.softmax_gradient(
                place,
                self._totals[part],
                block.labels[within],
                None if block.weights is None else block.weights[within],
                None if of_log_probs is None else of_log_probs[within],
                None if of_sums is None else of_sums[within[0], :],
            )
            if gradient is not place:
                place[...] = gradient


def _within(panel: Where, part: Where) -> Where:
    """Where in a panel a part of it lies."""
    (images, places), (rows, columns) = panel, part
    return (
        slice(rows.start - images.start, rows.stop - images.start),
        slice(columns.start - places.start, columns.stop - places.start),
    )
