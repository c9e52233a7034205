"""The one door for inputs: checked arrays (N, C, P), layout, argument checks and their messages."""

from .batch import Batch

__all__ = ["Batch"]
