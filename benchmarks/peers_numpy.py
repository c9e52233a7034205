"""The peers on NumPy and CuPy, where nobody has losses: what one writes oneself."""

from . import plain_numpy as plain
from .libraries import Plain
from .peer import Peer


def written_by_hand(value, value_and_grad):
    return lambda workload: Plain(value, value_and_grad)


def forward_alone(value_and_grad):
    """The value of what computes both: the sort is nearly all of it."""
    return written_by_hand(lambda z, y: value_and_grad(z, y)[0], value_and_grad)


WHOLE = "whole arrays"

PEERS = [
    Peer("cross_entropy_loss", WHOLE, written_by_hand(plain.cross_entropy, plain.cross_entropy_and_grad)),
    Peer("focal_loss", WHOLE, written_by_hand(plain.focal, plain.focal_and_grad)),
    Peer("dice_loss", WHOLE, written_by_hand(plain.dice, plain.dice_and_grad)),
    Peer("lovasz_softmax_loss", "Berman's form", forward_alone(plain.lovasz_softmax_and_grad)),
    Peer("lovasz_hinge_loss", "Berman's form", forward_alone(plain.lovasz_hinge_and_grad), "binary"),
]
