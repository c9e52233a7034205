"""Reverse-mode differentiation for array libraries that have none of their own."""

from .tape import value_and_grad

__all__ = ["value_and_grad"]
