"""PyTorch's habits: sums over the ranks of a process group, with their gradient."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _AllReduce(torch.autograd.Function):
    """Sum over ranks; so is its gradient, since every rank's loss depends on every rank's sums."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        ctx.group = group
        total = sums.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


def all_reduce(sums: Tensor, group: dist.ProcessGroup | None = None) -> Tensor:
    """Add sums up over all ranks, so that every rank has the loss of the whole batch.

    Pass it as ``all_reduce=`` to a loss. Every rank then returns the same loss, that of all ranks'
    pixels together.

    Parameters
    ----------
    sums : Tensor
        Of this rank.
    group : ProcessGroup, optional
        The ranks; all by default.

    Returns
    -------
    Tensor
        Sum over the ranks, on each of them.

    Notes
    -----
    ``backward`` on W ranks computes the gradient of the sum of their W equal losses: each rank's
    inputs get W times the gradient of one loss, which DistributedDataParallel, averaging parameter
    gradients over ranks, divides by W again. Its parameter gradients are exact.

    Examples
    --------
    >>> from functools import partial
    >>> from agnoloss import dice_loss
    >>> distributed_dice_loss = partial(dice_loss, all_reduce=all_reduce)
    """
    total: Tensor = _AllReduce.apply(sums, group)
    return total
