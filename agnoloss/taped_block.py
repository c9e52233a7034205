"""Blocks that stand in for others: on a tape, or to see what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .backends.base import Array
from .block import Block
from .once import once
from .setting import Setting
from .tape import Tape


class Recorder:
    """Functions of blocks that note on a tape what they do, to be differentiated.

    Parameters
    ----------
    pixels : Pixels
        Input the blocks are of.
    functions : tuple of callables
        Each takes a `Block` and returns a (named) tuple of arrays.
    """

    def __init__(self, pixels: Any, functions: tuple[Callable[[Block], Any], ...]) -> None:
        self.tape = Tape(pixels.backend)
        self._setting = pixels.on(self.tape.backend, self.tape.box).setting
        self._functions = self.tape.box(functions)

    def __call__(self, block: Block, leaves: tuple[str, ...]) -> Recording:
        """Call the functions; they will be differentiated by some of the block's properties."""
        taped = TapedBlock(self.tape, self._setting, block, leaves)
        return Recording(taped, [function(taped) for function in self._functions])


class Recording:
    """What functions of a block returned, and how it depends on the block.

    Attributes
    ----------
    results : list
        As they returned it, off the tape.
    """

    def __init__(self, taped: TapedBlock, results: list[Any]) -> None:
        self._taped, self._boxes = taped, flat(results)
        self.results = [alike(result, [taped.tape.plain(part) for part in result]) for result in results]

    def depends(self) -> list[bool]:
        """Whether each array that was returned depends on the leaves."""
        return [self._taped.tape.any_tracked(box) for box in self._boxes]

    def gradients(self, cotangents: list[Array]) -> list[Array]:
        """Gradient of each leaf, given that of each array that was returned, None for 0."""
        known = [(b, g) for b, g in zip(self._boxes, cotangents, strict=True) if g is not None]
        boxes, given = map(list, zip(*known, strict=True))
        return list(self._taped.tape.gradients(boxes, given, list(self._taped.leaves.values())))


def flat(results: list[Any]) -> list[Array]:
    """Every array in (named) tuples."""
    return [part for result in results for part in result]


def alike(result: Any, parts: list[Array]) -> Any:
    """Other arrays in a (named) tuple of the same kind."""
    return type(result)(*parts) if hasattr(result, "_fields") else tuple(parts)


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
