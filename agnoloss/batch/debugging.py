"""Looking at values also where that costs time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

ACTIVE = ["AGNOLOSS_DEBUG"] if os.environ.get("AGNOLOSS_DEBUG", "0") not in ("", "0") else []
"""Not empty where values are looked at: what is added and taken away needs no lock among threads."""


@contextmanager
def debug() -> Iterator[None]:
    """Have wrong labels named also on a GPU and in compiled functions, where they only give NaN otherwise.

    Values are looked at wherever they are computed: labels and dense targets, probabilities, pixel weights.
    That waits for the device, or calls back to the host. In NumPy, and eagerly on a CPU, nothing changes.
    The environment variable ``AGNOLOSS_DEBUG=1`` does the same from the start.

    Raises
    ------
    ValueError
        When a loss is computed, of the first number that is out of range. Out of ``jax.jit`` it comes as
        JAX's JaxRuntimeError, with the same text.

    Notes
    -----
    Of a compiled function, what counts is when it is traced: ``jax.jit`` keeps what it traced before, looks
    or none, until ``jax.clear_caches()``; ``torch.compile`` compiles anew. All threads look.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> import agnoloss
    >>> with agnoloss.debug():
    ...     agnoloss.cross_entropy_loss(xp.zeros((1, 3)), xp.asarray([7]))
    Traceback (most recent call last):
    ...
    ValueError: `targets` must hold labels from 0 to 2; got 7.
    """
    ACTIVE.append("debug")
    try:
        yield
    finally:
        ACTIVE.remove("debug")
