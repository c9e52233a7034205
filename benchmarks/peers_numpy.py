"""The peers on NumPy and CuPy, where nobody has losses: what one writes oneself."""

from . import changing
from . import plain_numpy as plain
from .libraries import Plain
from .peer import Peer
from .workloads import FIXED, GROWING


def written_by_hand(value, value_and_grad):
    """A peer from its two functions."""
    return lambda workload: Plain(value, value_and_grad)


def forward_alone(value_and_grad):
    """The value of what computes both: the sort is nearly all of it."""
    return written_by_hand(lambda z, y: value_and_grad(z, y)[0], value_and_grad)


def torch_cross_entropy(workload):
    """torch's own on NumPy's memory: what a small input costs at least with anybody's gradients."""
    import torch

    from .peers_torch import torch_cross_entropy

    loss = torch_cross_entropy(workload)

    def value(z, y):
        return loss(torch.from_numpy(z), torch.from_numpy(y))

    def value_and_grad(z, y):
        leaf = torch.from_numpy(z).requires_grad_()
        found = loss(leaf, torch.from_numpy(y))
        found.backward()
        return found.detach(), leaf.grad

    return Plain(value, value_and_grad)


WHOLE = "whole arrays"

CROSS_ENTROPY = written_by_hand(plain.cross_entropy, plain.cross_entropy_and_grad)
FOCAL = written_by_hand(plain.focal, plain.focal_and_grad)
DICE = written_by_hand(plain.dice, plain.dice_and_grad)

PEERS = [
    Peer("cross_entropy_loss", WHOLE, CROSS_ENTROPY, workloads=(*FIXED, *GROWING)),
    Peer("cross_entropy_loss", "torch", torch_cross_entropy, workloads=("W4",)),
    Peer("focal_loss", WHOLE, FOCAL),
    Peer("dice_loss", WHOLE, DICE, workloads=(*FIXED, *GROWING)),
    Peer("lovasz_softmax_loss", "Berman's form", forward_alone(plain.lovasz_softmax_and_grad)),
    Peer("lovasz_hinge_loss", "Berman's form", forward_alone(plain.lovasz_hinge_and_grad), "binary"),
    *changing.PEERS,
]
