"""Which calls are measured against each other, on which library, workload and pass."""

import importlib
from fnmatch import fnmatch
from typing import NamedTuple

from .peer import calls_of_ours
from .workloads import GROWING, WORKLOADS

PEERS_OF = {"torch": "peers_torch", "numpy": "peers_numpy", "cupy": "peers_numpy", "jax": "peers_jax"}


class Contest(NamedTuple):
    """A loss on a workload: forward or both passes, eager or compiled."""

    library: str
    workload: str
    loss: str
    backward: bool
    compiled: bool
    quick: bool = False

    @property
    def shown(self):
        """The workload, in the size that is measured."""
        workload = WORKLOADS[self.workload]
        return workload.halved() if self.quick and self.workload in ("W1", "W2", "W3") else workload

    def contestants(self):
        """``{name: Ours or Peer}`` of all that take part: each call of agnoloss, then those it is held to."""
        against = peers_on(self.library, WORKLOADS[self.workload], self.loss)
        found = {}
        for ours in calls_of_ours(self.loss, against):
            found[ours.name] = ours
            found |= {peer.name: peer for peer in against if peer.against == ours.name}
        return found


def peers_on(library, workload, pattern="*"):
    """The peers that are declared for a library and run on a workload, of losses whose names match."""
    declared = importlib.import_module(f".{PEERS_OF[library]}", __package__).PEERS
    return [
        peer
        for peer in declared
        if peer.mode == workload.mode and workload.name in peer.workloads and fnmatch(peer.loss, pattern)
    ]


COMPILED_ON_TORCH = {"W1": "*", "W2": "lovasz_hinge_loss"}
"""Compiling takes seconds for each contestant: where, and for which losses, it is done."""


def passes(library, workload, loss, quick):
    """(backward, compiled) in order."""
    eager, compiled = [(False, False), (True, False)], [(False, True), (True, True)]
    if workload in GROWING:
        return eager[1:] if library in ("numpy", "torch") else []
    if library == "jax":
        return eager + compiled if workload == "W4" and not quick else compiled
    if library == "torch" and not quick and fnmatch(loss, COMPILED_ON_TORCH.get(workload, "")):
        return eager + compiled[1:]
    return eager


def contests(library, workload, pattern="*", quick=False):
    """All that is measured on one library and workload, of the losses whose names match."""
    losses = dict.fromkeys(peer.loss for peer in peers_on(library, WORKLOADS[workload], pattern))
    return [
        Contest(library, workload, loss, backward, compiled, quick)
        for loss in losses
        for backward, compiled in passes(library, workload, loss, quick)
    ]
