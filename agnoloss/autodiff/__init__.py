"""Reverse-mode differentiation for array libraries that have none of their own."""
