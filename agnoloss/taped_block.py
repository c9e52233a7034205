"""Blocks that stand in for others: on a tape, or to see what is asked of them."""

from __future__ import annotations

from typing import Any

from .backends.base import Array
from .block import Block
from .once import once
from .setting import Setting
from .tape import Tape


class TapedBlock(Block):
    """A block on a tape, with some of its properties as leaves.

    Parameters
    ----------
    tape : Tape
        The tape.
    setting : Setting
        On the tape.
    block : Block
        Off the tape.
    leaves : tuple of str
        Properties to differentiate by.
    """

    def __init__(self, tape: Tape, setting: Setting, block: Block, leaves: tuple[str, ...]) -> None:
        self.tape, self.block = tape, block
        super().__init__(setting, *map(tape.box, (block.predictions, block.raw, block.pixel_weights)))
        self.leaves = {name: tape.box(getattr(block, name), tracked=True) for name in leaves}
        self.__dict__.update(self.leaves)

    def gradients(self, results: list[Any], cotangents: list[Array]) -> list[Array]:
        """Gradient of each leaf, given those of results."""
        return list(self.tape.gradients(results, cotangents, list(self.leaves.values())))

    @once
    def valid(self) -> Array | None:
        """Of the block off the tape."""
        return self.tape.box(self.block.valid)

    @once
    def weights(self) -> Array | None:
        """Of the block off the tape."""
        return self.tape.box(self.block.weights)

    @once
    def labels(self) -> Array | None:
        """Of the block off the tape."""
        return self.tape.box(self.block.labels)

    @once
    def targets(self) -> Array:
        """Of the block off the tape."""
        return self.tape.box(self.block.targets)

    @once
    def signs(self) -> Array:
        """Of the block off the tape."""
        return self.tape.box(self.block.signs)

    @once
    def target_counts(self) -> Array:
        """Zero: a constant of the sums has no gradient, whatever its value."""
        images, classes, _ = self.predictions.shape
        zeros = [[0.0] * classes] * images
        return self.tape.box(self.block.backend.constant(zeros, self.block.dtype, self.block.predictions))


class Probe(Block):
    """A block that notes which properties of the predictions a statistic asks for."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: set[str] = set()

    @once
    def scores(self) -> Array:
        """Noted."""
        self.asked.add("scores")
        return Block.scores.function(self)

    @once
    def target_log_probs(self) -> Array:
        """Noted; what it is made of is not, where it has a closed form."""
        self.asked.add("target_log_probs" if self.setting.closed_form else "scores")
        return self._apart("target_log_probs")

    @once
    def prob_sums(self) -> Array:
        """Noted; what it is made of is not, where it has a closed form."""
        self.asked.add("prob_sums" if self.setting.closed_form else "scores")
        return self._apart("prob_sums")

    def _apart(self, name: str) -> Array:
        return getattr(Block(self.setting, self.predictions, self.raw, self.pixel_weights), name)
