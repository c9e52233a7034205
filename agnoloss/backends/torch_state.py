"""What happens to tensors at this moment: whether something compiles, traces, batches or transforms them."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import refuse


def compiles() -> bool:
    """Whether a compiler fuses what is traced, and torch.func does not transform it.

    Exported programs run one operation after the other. Of an ``autograd.Function`` dynamo traces neither
    the second derivative, which it takes for 0, nor ``vmap``.
    """
    return (
        torch.compiler.is_dynamo_compiling()
        and not torch.compiler.is_exporting()
        and not torch._C._are_functorch_transforms_active()
    )


def in_host_memory(tensor: Tensor) -> bool:
    """Whether values can be read at no cost: nothing traces or batches them, or moved them."""
    return _is_plain(tensor) and tensor.device.type == "cpu"


def transformed(*tensors: Tensor | None) -> bool:
    """Whether operations that autograd differentiates one by one are needed in place of a rule.

    Under torch.func, in forward mode, where something traces, and for subclasses; not where Inductor
    compiles.
    """
    if torch.compiler.is_compiling():
        return not compiles()
    return torch.autograd.forward_ad._current_level >= 0 or not all(
        _is_plain(tensor) for tensor in tensors if tensor is not None
    )


@torch.library.custom_op("agnoloss::look", mutates_args=())
def look(array: Tensor, low: float, high: float, message: str) -> Tensor:
    """`Backend.look`, when it is computed: a 1, or a ValueError."""
    if array.numel():
        array = array if array.is_floating_point() else array.long()  # small kinds of integers have no min
        refuse(array.min().item(), array.max().item(), low, high, message)
    return torch.ones((), device=array.device)


look.register_fake(lambda array, low, high, message: torch.ones((), device=array.device))
look.register_vmap(lambda info, dims, array, *others: (look(array, *others), None))


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is one, and nothing traces or batches it."""
    return (
        not torch.compiler.is_compiling()
        and type(tensor) in (Tensor, torch.nn.Parameter)
        and torch._C._functorch.maybe_current_level() is None  # a tensor it captured looks like any other
        and not torch.jit.is_tracing()
        and not torch._C._len_torch_dispatch_stack()  # as in make_fx
        and not torch._C._functorch.is_legacy_batchedtensor(tensor)  # as in batched gradients
        and not tensor.is_neg()
        and not tensor.is_quantized
    )
