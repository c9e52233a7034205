"""CuPy: what it does better than the standard's functions."""

from __future__ import annotations

from ..compat import namespace
from .base import Backend

BACKEND = Backend(namespace("cupy"), "cupy")
