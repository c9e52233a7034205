"""What a peer is, as data; the peers themselves are in peers_*.py, one file per library."""

from collections.abc import Callable
from typing import NamedTuple

import agnoloss

from .workloads import FIXED, IGNORED


class Peer(NamedTuple):
    """A peer's loss and the call of agnoloss that it is measured against.

    Parameters
    ----------
    loss : str
        Of agnoloss.
    name : str
        Of the peer, in tables.
    make : callable
        ``make(workload) -> call``, which imports the peer and does what a user does once; then
        ``call(logits, labels)`` is timed.
    mode : str
        Of the workloads that it is measured on.
    options : dict
        Of agnoloss's call, with which it computes the same number.
    scale : callable
        ``(classes, share_valid) -> factor`` by which the peer's number is smaller, for other divisors.
    ignores : bool
        Whether it can leave out ignored pixels; if not, both get labels without any.
    last : bool
        Whether both get the class axis last.
    other : str
        Why the number is not agnoloss's; empty where it is.
    workloads : tuple
        Where it is measured, if not on the four of fixed size.
    is_ours : bool
        What tells it from `Ours`.
    """

    loss: str
    name: str
    make: Callable
    mode: str = "multiclass"
    options: dict = {}
    scale: Callable = lambda classes, share_valid: 1.0
    ignores: bool = True
    last: bool = False
    other: str = ""
    workloads: tuple[str, ...] = FIXED
    is_ours: bool = False

    @property
    def against(self):
        """The name of agnoloss's call that it is measured against."""
        return Ours(self.loss, self.options, self.ignores, self.last).name


class Ours(NamedTuple):
    """A call of agnoloss."""

    loss: str
    options: dict
    ignores: bool = True
    last: bool = False
    is_ours: bool = True

    @property
    def name(self):
        options = {**self.options, **({"axis": -1} if self.last else {})}
        words = [f"{name}={value!r}" for name, value in options.items()]
        words += [] if self.ignores else ["nothing ignored"]
        return f"agnoloss ({', '.join(words)})" if words else "agnoloss"

    def make(self, workload):
        function, options = getattr(agnoloss, self.loss), {"mode": workload.mode, **self.options}
        if self.ignores:
            options["ignore_index"] = IGNORED
        if self.last:
            options["axis"] = -1
        return lambda logits, labels: function(logits, labels, **options)


def calls_of_ours(loss, peers):
    """The different calls of agnoloss that these peers of a loss are measured against."""
    found = {}
    for peer in (Peer(loss, "agnoloss", None), *peers):
        ours = Ours(loss, peer.options, peer.ignores, peer.last)
        found.setdefault(ours.name, ours)
    return list(found.values())
