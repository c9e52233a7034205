"""The rules of `Backend` for autograd, and those of chunks and class sums.

On a CPU a rule is NumPy's, in views of the tensors' memory: its exponential takes half as long as torch's,
its arrays lie in large pages. On CUDA that of the softmax is Triton's. Elsewhere, compiled, and where a
gradient of the gradient is wanted, it is the closed form of the standard, which Inductor fuses to a few
loops: it computes anew what it needs, and the compiler finds that it is there already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import closed_forms, kernels
from .base import Backend
from .chunks import Function, Sums, sums_and_gradient
from .closed_forms import Pullback
from .numpy import BACKEND as NUMPY
from .torch_state import compiles, in_host_memory

Outcome = tuple[Mapping[str, Any], Pullback | None]


def apply(name: str, backend: Any, given: tuple[Tensor | None, ...], *options: Any) -> dict[str, Tensor]:
    """Outputs of the rule of a hook, by name, from its arrays (scores first, weights fourth) and options."""
    names = _names(name, options)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given)
    found = _Rule.apply(name, backend, keep, options, *given)
    return dict(zip(names, found, strict=True))


class _Rule(torch.autograd.Function):
    """Forward and backward of any rule."""

    @staticmethod
    def forward(
        ctx: Any, name: str, backend: Any, keep: bool, options: tuple[Any, ...], *given: Tensor | None
    ) -> tuple[Tensor, ...]:
        ctx.name, ctx.backend, ctx.options = name, backend, options
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given)
        scores = given[0]
        assert scores is not None
        ctx.pullback = None
        kernel = _kernel(name, scores)
        ctx.fused = kernel is not None
        if kernel is not None:
            outputs, ctx.pullback = kernel(*given, *options)
            found = [outputs[key] for key in _names(name, options)]
        elif in_host_memory(scores):
            outputs, ctx.pullback = _on_host(name, given, options, keep)
            found = [torch.from_numpy(outputs[key]) for key in _names(name, options)]
        else:
            outputs, _ = _closed(name, backend, given, options)
            found = [outputs[key] for key in _names(name, options)]
        if name == "sorted_sums":
            ctx.mark_non_differentiable(found[1])
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        given: Any = ctx.saved_tensors  # autograd refuses what was changed in place
        of_weights = ctx.needs_input_grad[7]
        pullback: Any
        names = _names(ctx.name, ctx.options)
        found = {name: g for name, g in zip(names, gradients, strict=True) if g is not None}
        if not found:
            return (None,) * (4 + len(given))
        if ctx.fused and not torch.is_grad_enabled():
            of_scores, of_u = ctx.pullback(found, of_weights)
        elif torch.is_grad_enabled() or not all(map(in_host_memory, (given[0], *found.values()))):
            _, pullback = _closed(ctx.name, ctx.backend, given, ctx.options)
            of_scores, of_u = pullback(found, of_weights)
        else:
            # kept once: it holds as much memory as the scores
            pullback, ctx.pullback = ctx.pullback, None
            if pullback is None:
                _, pullback = _on_host(ctx.name, given, ctx.options, keep=True)
            of_scores, of_u = pullback({name: g.numpy() for name, g in found.items()}, of_weights)
            of_scores = torch.from_numpy(of_scores)
            of_u = None if of_u is None else torch.from_numpy(of_u)
        return None, None, None, None, of_scores, None, None, of_u, *[None for _ in given[4:]]


def _names(name: str, options: tuple[Any, ...]) -> tuple[str, ...]:
    names: tuple[str, ...] = ("sums", "true") if name == "sorted_sums" else options[0]
    return names


def _kernel(name: str, scores: Tensor) -> Any:
    """Triton's form of a rule, where there is one and Triton: it comes with torch for CUDA."""
    if name != "softmax_sums" or not kernels.ON or not (scores.is_cuda or kernels.CHOICE == "triton"):
        return None
    try:
        from .kernels import triton
    except ImportError:
        return None
    return triton.softmax_sums if triton.fits(scores) else None


def _closed(name: str, backend: Any, given: Any, options: tuple[Any, ...]) -> Outcome:
    """In tensors, as the standard has it."""
    hook: Any = getattr(Backend, name)
    if name == "softmax_sums":  # compiled, masked scores would be masked anew in each loop
        hook = partial(closed_forms.softmax_sums, bare=compiles())
    outcome: Outcome = hook(backend, *given[:4], *options, *given[4:])
    return outcome


def _on_host(name: str, given: Any, options: tuple[Any, ...], keep: bool) -> Outcome:
    """In NumPy's views."""
    views, threads = _views(given), torch.get_num_threads()
    outcome: Outcome = getattr(NUMPY, name)(*views[:4], *options, *views[4:], keep=keep, threads=threads)
    return outcome


def in_chunks(function: Function, values: Tensor, beside: Sequence[Any], options: Sequence[Any]) -> Sums:
    """`Backend.in_chunks` in NumPy's views."""
    if values.requires_grad and torch.is_grad_enabled():
        found: Sums = _Chunks.apply(function, len(beside), values, *beside, *options)
        return found
    values, beside, options = _views((values, beside, options))
    return _tensors(
        NUMPY.in_chunks(function, values, beside, options, lambda: function(values, *beside, *options))
    )


class _Chunks(torch.autograd.Function):
    """Sums whose gradient was computed along with them."""

    @staticmethod
    def forward(ctx: Any, function: Function, count: int, values: Tensor, *others: Any) -> Sums:
        ctx.function, ctx.count, ctx.others = function, count, others
        # autograd then refuses what was changed in place
        ctx.save_for_backward(values, *(value for value in others if isinstance(value, Tensor)))
        found, ctx.gradient = _sums_and_gradient(function, count, values, others)
        ctx.mark_non_differentiable(*found[1:])
        return found

    @staticmethod
    def backward(ctx: Any, g: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        values, *_ = ctx.saved_tensors
        nothing = [None for _ in ctx.others]
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted
            value = ctx.function(values, *ctx.others)[0]
            (gradient,) = torch.autograd.grad(value, values, g, create_graph=True)
            return None, None, gradient, *nothing
        gradient, ctx.gradient = ctx.gradient, None  # given away: another is computed anew
        if gradient is None:
            _, gradient = _sums_and_gradient(ctx.function, ctx.count, values, ctx.others)
        if not in_host_memory(g):
            return None, None, torch.from_numpy(gradient) * g, *nothing
        gradient *= g.numpy()
        return None, None, torch.from_numpy(gradient), *nothing


def _sums_and_gradient(
    function: Function, count: int, values: Tensor, others: Sequence[Any]
) -> tuple[Sums, Any]:
    beside, options = _views((others[:count], others[count:]))
    threads = torch.get_num_threads()
    found, gradient = sums_and_gradient(NUMPY, function, _views(values), beside, options, threads)
    return _tensors(found), gradient


def _views(value: Any) -> Any:
    """NumPy's views of tensors in host memory, in sequences too."""
    if isinstance(value, (tuple, list)):
        return [_views(part) for part in value]
    return value.detach().numpy() if isinstance(value, Tensor) else value


def _tensors(sums: Sums) -> Sums:
    return tuple([torch.from_numpy(np.asarray(value)) for value in sums])


class ClassSums(torch.autograd.Function):
    """Sums of the values of each label, (n, C), compiled: by a comparison that Inductor fuses."""

    @staticmethod
    def forward(values: Tensor, labels: Tensor, classes: int) -> Tensor:
        """Take values and labels, (n, p) each, and the number of classes."""
        here = labels[:, None] == torch.arange(classes, dtype=labels.dtype, device=labels.device)[:, None]
        return torch.where(here, values[:, None], 0.0).sum(2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the labels."""
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, b: Tensor) -> tuple[Tensor | None, ...]:
        """b_y."""
        (labels,) = ctx.saved_tensors
        return torch.gather(b, 1, labels.to(torch.int64)), None, None
