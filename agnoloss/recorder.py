"""Functions of blocks and their derivatives, found out once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .backends.base import Array
from .block import Block
from .once import once
from .programs import Program, Tracer, each_array, like, remember, signature
from .tape import Tape


class Recorder:
    """Functions of blocks and their derivatives, as programs.

    Parameters
    ----------
    pixels : Pixels
        Input the blocks are of.
    functions : tuple of callables
        Each takes a `Block` and returns a (named) tuple of arrays.
    """

    def __init__(self, pixels: Any, functions: tuple[Callable[[Block], Any], ...]) -> None:
        self._setting, self._functions = pixels.setting, functions
        self._programs: dict[Hashable, Any] = {}
        self._key: Hashable = None
        known = replace(pixels.setting, class_weights=None, trust=None)
        with suppress(TypeError):  # what cannot be told apart is not remembered
            self._key = (*vars(known).values(), signature(functions))

    def asked(self, block: Block) -> tuple[frozenset[str], int | None]:
        """What functions ask of the predictions, and which one of their results depends on them.

        The second is None if several do, or if it is not one number for each image: otherwise its slope
        is the gradient up to a factor for each image, and no pixel needs the sums of others.
        """
        found: tuple[frozenset[str], int | None] = self._known(("asked",), block, (), self._ask)
        return found

    def values(self, block: Block, leaves: tuple[str, ...]) -> list[Any]:
        """What the functions return."""
        return self._run(("values",), block, leaves)[0]

    def slope(self, block: Block, leaves: tuple[str, ...], only: int) -> tuple[list[Any], Array]:
        """What the functions return, and the derivative of one of it by the only leaf."""
        results, (slope,) = self._run(("slope", only), block, leaves)
        return results, slope

    def gradients(self, block: Block, leaves: tuple[str, ...], cotangents: list[Array]) -> list[Array]:
        """Gradient of each leaf, given that of each array that the functions return."""
        return self._run(("gradients",), block, leaves, cotangents)[1]

    def _inputs(self, block: Block, leaves: tuple[str, ...]) -> tuple[Any, ...]:
        given = () if leaves in (SCORES, WIDE) else tuple([getattr(block, name) for name in leaves])
        weights = self._setting.class_weights
        return block.predictions, block.raw, block.pixel_weights, weights, self._functions, given

    def _known(self, what: tuple[Any, ...], block: Block, leaves: tuple[str, ...], make: Any) -> Any:
        raw, weights = block.raw, block.pixel_weights
        local = (what, leaves, block.predictions.shape)
        if local in self._programs:
            return self._programs[local]
        given = signature((block.predictions, raw, weights, self._setting.class_weights))
        key = None if self._key is None else (self._key, local, given)
        found = _known.get(key)
        if found is None:  # two threads may both make it
            found = make(what, block, leaves)
            if key is not None:
                remember(_known, key, found)
        self._programs[local] = found
        return found

    def _run(
        self, what: tuple[Any, ...], block: Block, leaves: tuple[str, ...], cotangents: Sequence[Array] = ()
    ) -> tuple[list[Any], list[Array]]:
        program, empty = self._known(what, block, leaves, self._trace)
        inputs: list[Array] = []
        each_array((self._inputs(block, leaves), cotangents), inputs.append)
        found = iter(program(inputs))
        results = [like(result, [next(found) for _ in result]) for result in empty]
        return results, list(found)

    def _trace(self, what: tuple[Any, ...], block: Block, leaves: tuple[str, ...]) -> Any:
        """The program, and what the results look like."""
        tracer = Tracer(self._setting.backend, keeps=False)
        *arrays, weights, functions, given = tracer.take(self._inputs(block, leaves))
        block = Block(replace(self._setting, backend=tracer.backend, class_weights=weights), *arrays)
        if leaves in (SCORES, WIDE):
            given = (getattr(block, leaves[0]),)
        names = SCORES if leaves == WIDE else leaves
        if what == ("values",):
            block.__dict__.update(zip(names, given, strict=True))
            results = [function(block) for function in functions]
            return Program(tracer, flat(results)), _empty(results)
        tape = Tape(tracer.backend)
        setting = replace(block.setting, backend=tape.backend, class_weights=tape.box(weights))
        taped = Block(setting, *tape.box(arrays))
        boxes = tape.box(tuple(given), tracked=True)
        taped.__dict__.update(zip(names, boxes, strict=True))
        results = [function(taped) for function in tape.box(functions)]
        plain = tape.plain(flat(results))
        if what[0] == "slope":
            only = what[1]
            found = tape.gradients([flat(results)[only]], [tracer.xp.ones_like(plain[only])], list(boxes))
            return Program(tracer, [*plain, *found]), _empty(results)
        cotangents = tracer.take([box.value for box in plain])
        found = tape.gradients(flat(results), cotangents, list(boxes))
        return Program(tracer, list(found)), []

    def _ask(self, _: Any, block: Block, __: Any) -> tuple[frozenset[str], int | None]:
        tape = Tape(self._setting.backend)
        setting = replace(
            self._setting, backend=tape.backend, class_weights=tape.box(self._setting.class_weights)
        )
        probe = Probe(
            setting, tape.box(block.predictions, tracked=True), *tape.box((block.raw, block.pixel_weights))
        )
        results = flat([function(probe) for function in tape.box(self._functions)])
        tracked = [i for i, result in enumerate(results) if tape.any_tracked(result)]
        only = tracked[0] if len(tracked) == 1 and results[tracked[0]].ndim == 1 else None
        return frozenset(probe.asked), only


SCORES, WIDE = ("scores",), ("wide",)
"""Leaves: scores that are harmless where they do not count, or as they are."""

_known: dict[Hashable, Any] = {}


def flat(results: list[Any]) -> list[Array]:
    """Every array in (named) tuples."""
    return [part for result in results for part in result]


def _empty(results: list[Any]) -> list[Any]:
    """The same tuples without arrays, which would stay in memory."""
    return [like(result, [None for _ in result]) for result in results]


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
