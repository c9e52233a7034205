"""What all blocks of an input share, and the sides of a decision that losses are functions of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .backends.base import Array, Backend


@dataclass
class Setting:
    """What is the same in every block of an input.

    Attributes
    ----------
    backend : Backend
        Of the arrays.
    mode, from_logits
        As the losses take them.
    ignored : tuple of ints
        Labels that take no part.
    dense : bool
        Whether targets have the shape of predictions; always so in binary mode.
    num_classes : int
        Length of the class axis, 1 in binary mode.
    channels_last : bool
        Whether the classes of a pixel lie side by side in memory.
    dtype : dtype
        That sums are computed in.
    class_weights : array, (C,), or None
        Weights of the classes.
    trust : array, (), or None
        1, or NaN if a target is out of range that could not be looked at; None if all were.
    """

    backend: Backend
    mode: str
    from_logits: bool
    ignored: tuple[int, ...]
    dense: bool
    num_classes: int
    channels_last: bool
    dtype: Any
    class_weights: Array | None = None
    trust: Array | None = None

    @property
    def closed_form(self) -> bool:
        """Whether predictions are scores of one class for each pixel, which labels name."""
        return self.mode == "multiclass" and self.from_logits and not self.dense


class Side:
    """One side of a decision: log p and 1 - p, each computed only if a loss asks for it."""

    def __init__(self, log_probs: Callable[[], Array], complements: Callable[[], Array]) -> None:
        self._log_probs, self._complements = log_probs, complements

    @property
    def log_p(self) -> Array:
        """log p."""
        return self._log_probs()

    @property
    def complement(self) -> Array:
        """1 - p."""
        return self._complements()
