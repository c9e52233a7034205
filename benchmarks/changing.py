"""Calls whose options change, or are arrays: what a version keeps of one call may not fit the next."""

from itertools import count
from typing import NamedTuple

from array_api_compat import array_namespace, device

import agnoloss

from .libraries import Plain
from .peer import Peer
from .workloads import IGNORED

STEP = 1e-6
"""From one call to the next; the value stays within the tolerance of `measure`."""


class Changing(NamedTuple):
    """An option of a loss: another number at each call from `start` on; an array, where that is a tuple."""

    loss: str
    option: str
    start: float | tuple[float, ...]

    @property
    def name(self):
        several = isinstance(self.start, tuple)
        return f"{self.option} as an array" if several else f"another {self.option} at each call"

    def options(self):
        """A function of the scores that gives what the next call is to get."""
        if isinstance(self.start, tuple):
            kept = []

            def array(z):
                if not kept:
                    kept.append(array_namespace(z).asarray(self.start, dtype=z.dtype, device=device(z)))
                return {self.option: kept[0]}

            return array
        numbers = count()
        return lambda z: {self.option: self.start + STEP * next(numbers)}


CHANGING = (
    Changing("dice_loss", "smooth", 1.0),
    Changing("focal_loss", "gamma", 1.5),
    Changing("cross_entropy_loss", "class_weights", (0.5, 1.0, 1.5, 2.0)),  # of the four classes of W4
)


def call_of(package, loss, fixed, changing=None):
    """A loss of a version of agnoloss, called as users call it."""
    function = getattr(package, loss)
    both = package.value_and_grad(function)
    more = changing.options() if changing else lambda z: {}
    return Plain(
        lambda z, y: function(z, y, **fixed, **more(z)),
        lambda z, y: both(z, y, **fixed, **more(z)),
    )


def peer_of(changing):
    """What makes it one of the rows of W4: agnoloss with the option as it starts is what it is held to."""

    def make(workload):
        return call_of(agnoloss, changing.loss, {"mode": workload.mode, "ignore_index": IGNORED}, changing)

    options = {changing.option: changing.start}
    return Peer(changing.loss, f"agnoloss, {changing.name}", make, options=options, workloads=("W4",))


PEERS = [peer_of(changing) for changing in CHANGING]
