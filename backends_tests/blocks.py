"""Blocks of pixels, or none, whatever the size of an input: losses choose by size, and cases are small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np

import agnoloss
from conformance.suite.libraries import LIBRARIES

SIZES = {"on": (0, 4, 3), "off": (2**62, 2**62, 2**62)}
"""Scores of an input that is cut, at least, and of a block: a pixel of several classes, four of one; pixels
whose own numbers are computed together."""


def known(blocks: str) -> str:
    """What was asked for; empty leaves the choice to the losses.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if blocks and blocks not in SIZES:
        raise ValueError(f"--blocks is {' or '.join(SIZES)}; got {blocks!r}.")
    return blocks


@contextmanager
def in_blocks(blocks: str) -> Iterator[None]:
    """Have losses compute in blocks of pixels or in none, on every library that is loaded."""
    if not blocks:
        yield
        return
    smallest, elements, pixels = SIZES[known(blocks)]
    backends = [agnoloss.backends.backend_of(np.zeros(()), "predictions")]
    for library in ("torch", "cupy"):  # JAX and others make no blocks
        if hasattr(LIBRARIES[library], "xp"):
            zero = LIBRARIES[library].array(np.zeros(()))
            backends.append(agnoloss.backends.backend_of(zero, "predictions"))
    with ExitStack() as stack:
        stack.enter_context(mock.patch("agnoloss.passes.SMALLEST_ELEMENTS", smallest))
        for backend in backends:
            stack.enter_context(mock.patch.object(type(backend), "block_elements", elements))
            stack.enter_context(mock.patch.object(type(backend), "panel_pixels", pixels))
        yield
