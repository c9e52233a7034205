"""Blocks as the engine of `blocks.py` needs them: their softmax computed once, and on a tape."""

from __future__ import annotations

from typing import Any

from .backends.base import Array
from .block import Block
from .once import once
from .setting import Setting
from .tape import Tape


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
        self.tape, self._box, self.block = tape, tape.box, block
        self.leaves: dict[str, Any] = {}
        super().__init__(setting, *map(self._box, (block.predictions, block.raw, block.pixel_weights)))

    def _leaf(self, name: str) -> Any:
        leaf = self.leaves[name] = self._box(getattr(self.block, name), tracked=True)
        return leaf

    def gradients(self, results: list[Any], cotangents: list[Array]) -> dict[str, Array]:
        """Gradient of each leaf that results were computed from, given those of the results."""
        found = self.tape.gradients(results, cotangents, list(self.leaves.values()))
        return dict(zip(self.leaves, found, strict=True))

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
