"""PyTorch: sums in blocks of tensors, with autograd inside each block and a gradient written in place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..programs import like
from ..recorder import Probe, flat

Piece = tuple[slice, slice]
"""Some images of a block and some of their pixels."""


class Sums(torch.autograd.Function):
    """Sums in blocks, computed in tensors or in NumPy's views of their memory, and their gradient."""

    @staticmethod
    def forward(ctx: Any, predictions: Tensor, pixels: Any, sums: Any, *beside: Tensor) -> Tensor:
        """Everything that was summed, in one tensor."""
        ctx.save_for_backward(predictions, *beside)  # autograd then refuses what was changed in place
        ctx.pixels, ctx.sums = pixels, sums
        vector = sums.vector()
        return vector if isinstance(vector, Tensor) else torch.from_numpy(vector)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the predictions."""
        predictions, *beside = ctx.saved_tensors
        nothing = (None,) * (2 + len(beside))
        if not torch.is_grad_enabled():
            on_tensors = isinstance(ctx.sums.pixels.predictions, Tensor)
            found = ctx.sums.gradient(gradient if on_tensors else gradient.numpy())
            return (found if on_tensors else torch.from_numpy(found), *nothing)
        # A gradient of this gradient is wanted: plain composition has one.
        pixels = ctx.pixels.on(ctx.pixels.backend, lambda value: value)
        pixels.predictions = predictions
        vector = torch.cat([part.reshape(-1) for part in ctx.sums.composed(pixels)])
        (found,) = torch.autograd.grad(vector, predictions, gradient, create_graph=True)
        return (found, *nothing)


class _Small(torch.autograd.Function):
    """A loss whose gradient was computed along with its value."""

    @staticmethod
    def forward(
        ctx: Any, predictions: Tensor, value: Any, gradient: Any, loss: Any, *beside: Tensor
    ) -> Tensor:
        """The value."""
        ctx.save_for_backward(predictions, *beside)
        ctx.gradient, ctx.loss = gradient, loss
        return torch.from_numpy(value)

    @staticmethod
    def backward(ctx: Any, of_value: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the predictions."""
        predictions, *beside = ctx.saved_tensors
        nothing = (None,) * (3 + len(beside))
        if not torch.is_grad_enabled():
            return (torch.from_numpy(ctx.gradient) * of_value, *nothing)
        value = ctx.loss(predictions)  # a gradient of this gradient is wanted
        (found,) = torch.autograd.grad(value, predictions, of_value, create_graph=True)
        return (found, *nothing)


def remembered(
    loss: Callable[..., Tensor], numpy: Any, predictions: Tensor, targets: Any, options: dict[str, Any]
) -> Tensor | None:
    """Value of a loss from a program of NumPy's views, if there is one."""
    from ..remembered import outcome

    predictions, targets = _full(predictions), each(_full, targets)
    options = {name: each(_full, option) for name, option in options.items()}
    gradient = predictions.requires_grad and torch.is_grad_enabled()
    views = {name: each(view, option) for name, option in options.items()}
    found = outcome(loss, numpy, view(predictions), each(view, targets), views, gradient)
    if found is None:
        return None
    value = np.asarray(found[0])
    if not gradient:
        return torch.from_numpy(value)

    def itself(again: Tensor) -> Tensor:
        return loss(again, targets, **options)

    beside: list[Tensor] = []
    each(beside.append, (targets, tuple(options.values())))
    result: Tensor = _Small.apply(predictions, value, found[1], itself, *beside)
    return result


def each(change: Callable[[Tensor], Any], value: Any) -> Any:
    """Change every tensor, also in tuples, lists and partial functions."""
    if isinstance(value, partial):
        keywords = {key: each(change, part) for key, part in value.keywords.items()}
        return partial(value.func, *each(change, value.args), **keywords)
    if isinstance(value, (tuple, list)):
        return like(value, [each(change, part) for part in value])
    return change(value) if isinstance(value, Tensor) else value


def _full(tensor: Tensor) -> Tensor:
    """Half precision in float32."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def view(tensor: Tensor) -> Any:
    """NumPy's view of a tensor in host memory."""
    return tensor.detach().numpy()


class Recorder:
    """Functions of blocks, to be differentiated by autograd.

    Parameters
    ----------
    functions : tuple of callables
        Each takes a `Block` and returns a (named) tuple of tensors.
    """

    def __init__(self, functions: tuple[Callable[[Any], Any], ...]) -> None:
        self._functions = functions

    def asked(self, block: Any) -> tuple[frozenset[str], int | None]:
        """What functions ask of the predictions, and which one of their results depends on them."""
        probe = Probe(
            block.setting, block.predictions.detach().requires_grad_(), block.raw, block.pixel_weights
        )
        with torch.enable_grad():
            results = flat([function(probe) for function in self._functions])
        tracked = [i for i, result in enumerate(results) if result.requires_grad]
        only = tracked[0] if len(tracked) == 1 and results[tracked[0]].ndim == 1 else None
        return frozenset(probe.asked), only

    def values(self, block: Any, leaves: tuple[str, ...]) -> list[Any]:
        """What the functions return."""
        return [function(block) for function in self._functions]

    def slope(self, block: Any, names: tuple[str, ...], only: int) -> tuple[list[Any], Tensor]:
        """What the functions return, and the derivative of one of it by the only leaf."""
        leaves, results = self._called(block, names)
        found = flat(results)[only]
        (slope,) = torch.autograd.grad(found, leaves, torch.ones_like(found))
        return [like(result, [part.detach() for part in result]) for result in results], slope

    def gradients(self, block: Any, names: tuple[str, ...], cotangents: list[Tensor]) -> list[Tensor]:
        """Gradient of each leaf, given that of each tensor that the functions return."""
        leaves, results = self._called(block, names)
        pairs = [(part, g) for part, g in zip(flat(results), cotangents, strict=True) if part.requires_grad]
        found, given = zip(*pairs, strict=True)
        return list(torch.autograd.grad(found, leaves, given, materialize_grads=True))

    def _called(self, block: Any, names: tuple[str, ...]) -> tuple[list[Tensor], list[Any]]:
        block = copy.copy(block)
        leaves = [getattr(block, name).detach().requires_grad_() for name in names]
        block.__dict__.update(zip(names, leaves, strict=True))
        with torch.enable_grad():
            return leaves, [function(block) for function in self._functions]


def look(
    block: Any, pieces: Sequence[Piece], place: Tensor | None, sums: bool
) -> tuple[Tensor, None, Tensor | None]:
    """Log-probabilities of labels, no totals, and class sums, as `Backend.look` returns them.

    In the place it leaves u p_c, or p_c if no class sums are wanted.
    """
    labels, weights = block.labels[:, None], block.weights
    own = labels.new_empty((labels.shape[0], labels.shape[2]), dtype=block.dtype)
    class_sums = own.new_zeros(block.predictions.shape[:2]) if sums else None
    for n, p in pieces:
        log_probs = torch.log_softmax(block.scores[n, :, p], 1)
        own[n, p] = log_probs.gather(1, labels[n, :, p])[:, 0]
        if place is None and class_sums is None:
            continue
        probs = torch.exp(log_probs, out=log_probs)
        if class_sums is not None:
            if weights is not None:
                probs *= weights[n, None, p]
            class_sums[n] += probs.sum(2)
        if place is not None:
            place[n, :, p] = probs
    return own, None, class_sums


def softmax_gradient(block: Any, place: Tensor, of_log_probs: Any, of_sums: Any) -> None:
    """Gradient of scores where `look` left probabilities; see `Backend.softmax_gradient`.

    Class by class, without a matrix product: those are less exact under autocast.
    """
    if of_sums is None:
        place *= -of_log_probs[:, None]
    else:
        slope = torch.zeros_like(place[:, 0]) if of_log_probs is None else -of_log_probs
        for c in range(place.shape[1]):
            slope.addcmul_(place[:, c], of_sums[:, c, None], value=-1)
        if block.pixel_weights is not None:
            slope /= torch.where(block.weights == 0, 1.0, block.weights)
        for c in range(place.shape[1]):
            place[:, c] *= slope + of_sums[:, c, None]
    if of_log_probs is not None:
        place.scatter_add_(1, block.labels[:, None], of_log_probs[:, None])
