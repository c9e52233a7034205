"""Truths of many cases, kept in ``.cache/conformance`` of a checkout: 50 digits take their time.

A file's name holds a digest of the sources of package and suite and of the versions of what computes, so
whatever is read was computed by just these.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

import agnoloss

from .cases import Case
from .libraries import CACHE
from .oracle import Exact, Truth, truth

SOURCES = ("cases", "differentiation", "floats", "inputs", "libraries", "library", "oracle", "registry")
"""Modules of the suite that a truth depends on."""


class Truths:
    """Truths of the cases of one loss.

    Parameters
    ----------
    name : str
        What to keep them under.
    kept : bool
        Whether to read and write a file; False for losses that are not the package's own.
    """

    def __init__(self, name: str, kept: bool = True) -> None:
        self.file: Path | None = None
        if kept and CACHE is not None:
            self.file = CACHE / "conformance" / f"{name}-{_digest()}.json"
        self.known: dict[str, Truth] = {}
        if self.file is not None and self.file.is_file():
            self.known = {key: _revived(parts) for key, parts in json.loads(self.file.read_text()).items()}
        self.read = len(self.known)

    def of(self, case: Case, dtype: str) -> Truth:
        """Truth of a case with its arrays rounded to a dtype."""
        key = f"{case.name}; {'any dtype' if case.exact else dtype}"
        if key not in self.known:
            self.known[key] = truth(case.rounded(dtype))
        return self.known[key]

    def keep(self) -> None:
        """Write what is new, and remove what older sources left."""
        if self.file is None or len(self.known) == self.read:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        for old in self.file.parent.glob(f"{self.file.name.rpartition('-')[0]}-*.json"):
            if old != self.file:
                old.unlink(missing_ok=True)
        draft = self.file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({key: _plain(known) for key, known in self.known.items()}))
        draft.replace(self.file)  # at once: another process may be reading


def _plain(known: Truth) -> dict[str, object]:
    parts: dict[str, object] = {"tape_confirmed": known.tape_confirmed}
    for name in ("value", "gradient"):
        exact: Exact = getattr(known, name)
        parts[name] = [list(exact.high.shape), exact.high.ravel().tolist(), exact.low.ravel().tolist()]
    return parts


def _revived(parts: dict) -> Truth:
    exact = {}
    for name in ("value", "gradient"):
        shape, high, low = parts[name]
        exact[name] = Exact(*(np.asarray(part, np.float64).reshape(shape) for part in (high, low)))
    return Truth(**exact, tape_confirmed=parts["tape_confirmed"])


@cache
def _digest() -> str:
    """Digest of everything that a truth depends on."""
    digest = hashlib.sha256()
    for name in ("mparray", "mpmath", "numpy"):
        digest.update(version(name).encode())
    for source in _sources():
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterable[Path]:
    package = Path(agnoloss.__file__).resolve().parent
    yield from sorted(path for path in package.rglob("*.py") if "showcase" not in path.parts)
    yield from (Path(__file__).with_name(f"{name}.py") for name in SOURCES)
