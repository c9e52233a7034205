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
from .blocks import Blocks, Statistic
from .passes import Where
from .pixels import Pixels


class ClosedBlocks(Blocks):
    """Statistics of labels and raw scores of one class for each pixel, and their gradient.

    Parameters
    ----------
    pixels, statistics, derivatives, only
        As of `Blocks`.
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
        derivatives: Any,
        only: int | None,
        asked: frozenset[str],
        gradient: bool,
    ) -> None:
        self.leaves = tuple(sorted(asked))
        self.arrays = 1 if gradient else 2  # of exponentials, in the gradient's place or in scratch
        super().__init__(pixels, statistics, derivatives, only, gradient)
        images, _, places = self.shape
        # small beside the input, since each thread has a dozen arrays of a panel's pixels
        share = -(-images * places // (8 * passes.THREADS if pixels.backend.threads else 1))
        panel = max(min(share, pixels.backend.panel_pixels), 1)
        self._panels = self.cut((slice(0, images), slice(0, places)), panel)

    def vector(self) -> Array:
        """Every statistic of every image, summed over the pixels, in one array."""
        images, classes, places = self.shape
        self.place = self.empty(images, classes, places) if self.keeps else None
        # of every pixel: log-probability of its label, later the gradient of that; sum of exponentials
        self._log_probs: list[Array] = [None] * len(self._panels)
        self._totals: list[Array] = [None] * len(self._panels)
        self._class_sums: list[Array] = [None] * len(self._panels)
        return self.added(self.gathered(len(self._panels), self._look, self._evaluate), self._panels)

    @property
    def prepares(self) -> bool:
        """It leaves exponentials."""
        return True

    def write_gradient(self, cotangents: list[Array]) -> None:
        """Turn exponentials into the gradient."""
        if self.only is not None:
            of_result = cotangents[self.only]
            self.each(lambda i: self._write(i, of_result), range(len(self._panels)))
        else:
            self.scattered(
                len(self._panels), lambda i: self._differentiate(i, cotangents), self._write_with_sums
            )

    def _pieces(self, panel: Where) -> list[Where]:
        """A panel cut into pieces that fit the cache."""
        images, places = panel
        return self.cut(
            (slice(0, images.stop - images.start), slice(0, places.stop - places.start)), self.step
        )

    def _look(self, i: int) -> None:
        """Leave what belongs to a panel: exponentials, totals, log-probabilities, class sums."""
        images, places = panel = self._panels[i]
        block: Block = self.block(panel)
        place = None if self.place is None else self.place[images, :, places]
        found, totals, sums = block.backend.look(
            block, self._pieces(panel), place, "prob_sums" in self.leaves
        )
        self._log_probs[i] = found
        self._totals[i] = totals if self.keeps else None
        self._class_sums[i] = sums

    def _panel(self, i: int) -> Block:
        """A block that knows what `_look` found."""
        block: Block = self.block(self._panels[i])
        block.target_log_probs = self._log_probs[i]
        if self._class_sums[i] is not None:
            block.prob_sums = self._class_sums[i]
        return block

    def _evaluate(self, i: int) -> list[Any]:
        """Values of the statistics of a panel; where it has but one factor, their gradient."""
        block = self._panel(i)
        if self.only is None:
            found: list[Any] = self.derivatives.values(block, self.leaves)
            return found
        results, self._log_probs[i] = self.derivatives.slope(block, self.leaves, self.only)
        return results

    def _differentiate(self, i: int, cotangents: list[Array]) -> Array | None:
        """Leave the gradient of a panel's log-probabilities; return that of its class sums."""
        images, _ = self._panels[i]
        given = [g[images, ...] for g in cotangents]
        found = self.derivatives.gradients(self._panel(i), self.leaves, given)
        by_name = dict(zip(self.leaves, found, strict=True))
        self._log_probs[i] = by_name.get("target_log_probs")
        return by_name.get("prob_sums")

    def _write_with_sums(self, i: int, of_sums: Array | None) -> None:
        self._write(i, None, of_sums)

    def _write(self, i: int, factor: Array | None, of_sums: Array | None = None) -> None:
        """Turn the exponentials of a panel into its gradient."""
        images, places = panel = self._panels[i]
        block, place = self.block(panel), self.place[images, :, places]
        of_log_probs = self._log_probs[i]
        if factor is not None:
            of_log_probs = of_log_probs * factor[images, None]
        block.backend.softmax_gradient(
            block, self._pieces(panel), place, self._totals[i], of_log_probs, of_sums
        )
