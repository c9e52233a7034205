"""How far a Lovász gradient is from that of float64: rounding decides which of two errors sorts first."""

import numpy as np

from . import plain_numpy

LOSSES = ("lovasz_softmax_loss", "lovasz_hinge_loss")


def is_measured(contest):
    return contest.loss in LOSSES and contest.workload != "W4"


def error(loss, gradient, given, ours):
    """The length of the difference to the gradient of Berman's form in float64, by that one's length."""
    targets = given.labels if ours.ignores else given.clean
    function = {
        "lovasz_softmax_loss": plain_numpy.lovasz_softmax_and_grad,
        "lovasz_hinge_loss": plain_numpy.lovasz_hinge_and_grad,
    }[loss]
    _, exact = function(given.logits.astype(np.float64), targets, **ours.options)
    return float(np.linalg.norm(gradient - exact) / np.linalg.norm(exact))
