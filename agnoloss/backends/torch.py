"""PyTorch: autograd, fused log-softmax, gather, and no look at values while tracing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..compat import namespace
from . import neighbours, torch_blocks, torch_rules
from .base import Array, Backend


class Torch(Backend):
    """Backend of ``torch.Tensor``, of parameters and of tensor subclasses."""

    def conversion_hint(self, name: str) -> str:
        """Tell how to make a tensor."""
        return f"Convert it first, for example with torch.as_tensor({name})."

    def kind(self, array: Array) -> str:
        """Read the dtype's flags: dynamo traces them."""
        dtype = array.dtype
        if dtype.is_floating_point:
            return "floating"
        return "other" if dtype.is_complex or array.is_quantized else "integer"

    def is_half(self, array: Array) -> bool:
        """Compare dtypes: dynamo traces that."""
        return array.dtype not in (torch.float32, torch.float64)

    def labels(self, array: Array) -> Array:
        """int64, which gather and scatter require; int32 where Inductor compiles.

        It does not compute a bool of integers of 64 bits a second time, for the backward pass, but stores
        it: a quarter of the time of cross entropy's forward pass. Labels that int32 cannot hold stop where
        it does.
        """
        wide = array.to(torch.int64)
        return wide.clamp(*_INT32).to(torch.int32) if _compiles() else wide

    def extremes(self, array: Array, ignored: tuple[int, ...] = ()) -> tuple[float, float] | None:
        """Look at plain tensors in host memory, not while something traces or batches them.

        In NumPy's views: torch's threads would go on spinning for a while and take a core from those
        of `passes`.
        """
        if not _in_host_memory(array):
            return None
        if array.dtype is torch.bfloat16:  # which NumPy does not know
            array = array.float()
        return _numpy().extremes(array.detach().numpy(), ignored)

    def within(self, array: Array, low: float, high: float, ignored: tuple[int, ...] = ()) -> bool | None:
        """Look where `extremes` looks."""
        if not _in_host_memory(array) or array.dtype is torch.bfloat16:
            return super().within(array, low, high, ignored)
        return _numpy().within(array.detach().numpy(), low, high, ignored)

    def is_label(self, labels: Array, label: int) -> Array:
        """In host memory by NumPy, which compares integers of 64 bits three times as fast."""
        if labels.dtype is torch.int32:
            label = min(max(label, _INT32[0]), _INT32[1])  # where labels stop, see `labels`
        if not _in_host_memory(labels) or labels.dtype is torch.bfloat16:
            return labels == label
        return torch.from_numpy(labels.detach().numpy() == label)

    def in_range(self, labels: Array, classes: int) -> Array:
        """Without array_api_compat's wrapper, which takes longer than the operation."""
        return labels.clamp(0, classes - 1)

    def ones_where(self, mask: Array, dtype: Any) -> Array:
        """From bytes, which torch converts six times as fast as bools."""
        return (mask.view(torch.uint8) if _is_plain(mask) else mask).to(dtype)

    def constant(self, values: Any, dtype: Any, like: Array) -> Array:
        """Without array_api_compat's wrapper, which dynamo does not trace for lists."""
        return torch.tensor(values, dtype=dtype, device=like.device)

    def arange(self, count: int, like: Array) -> Array:
        """Without array_api_compat's look at the device, at which dynamo warns."""
        return torch.arange(count, dtype=like.dtype, device=like.device)

    def stop_gradient(self, array: Array) -> Array:
        """Cut by ``detach``."""
        return array.detach()

    def log_softmax(self, logits: Array) -> Array:
        """torch's own fused forward and backward."""
        return torch.log_softmax(logits, dim=1)

    def log_sigmoid(self, logits: Array) -> Array:
        """torch's own fused forward and backward."""
        return torch.nn.functional.logsigmoid(logits)

    def softmax(self, logits: Array) -> Array:
        """torch's own fused forward and backward."""
        return torch.softmax(logits, dim=1)

    def sigmoid(self, logits: Array) -> Array:
        """torch's own fused forward and backward."""
        return torch.sigmoid(logits)

    def gather(self, values: Array, labels: Array) -> Array:
        """``torch.gather``: take_along_axis is 6 times slower and recompiles for each shape."""
        return torch.gather(values, 1, labels[:, None].to(torch.int64))[:, 0]

    def label_log_probs(self, block: Any) -> Array:
        """With a rule that Inductor compiles to few loops."""
        if not _compiles():
            return super().label_log_probs(block)
        return torch_rules.LabelLogProbs.apply(block.wide, block.labels, block.valid)

    def prob_sums(self, block: Any) -> Array:
        """With a rule of the same kind."""
        if not _compiles():
            return super().prob_sums(block)
        weights = None if block.pixel_weights is None else block.weights
        return torch_rules.ProbSums.apply(block.wide, block.valid, weights)

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Sum by one ``scatter_add`` instead of one pass for each class; compiled, by a rule.

        In float64: it adds one after the other, and float32 loses 1e-6 of a sum of 512 x 512 numbers.
        """
        if _compiles():
            return torch_rules.ClassSums.apply(values, labels, classes)
        wide = values if values.device.type == "mps" else values.double()  # which has no float64
        sums = wide.new_zeros(values.shape[0], classes).scatter_add(1, labels, wide)
        return sums.to(values.dtype)

    writes = True

    block_elements = 2**24
    """64 MiB, as with CuPy: blocks of tensors are for GPUs."""

    panel_pixels = 2**22

    def empty(self, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """Without array_api_compat's wrapper."""
        return torch.empty(shape, dtype=dtype, device=like.device)

    def recorder(self, pixels: Any, functions: tuple[Callable[[Any], Any], ...]) -> Any:
        """By autograd."""
        return torch_blocks.Recorder(functions)

    def look(self, block: Any, pieces: Any, place: Array | None, sums: bool) -> Any:
        """By torch's softmax, whose threads need no interpreter."""
        return torch_blocks.look(block, pieces, place, sums)

    def softmax_gradient(
        self, block: Any, pieces: Any, place: Array, totals: None, of_log_probs: Any, of_sums: Any
    ) -> None:
        """In place, with a scatter for the label's own class."""
        torch_blocks.softmax_gradient(block, place, of_log_probs, of_sums)

    remembers = True

    def remembered(
        self, loss: Callable[..., Array], predictions: Array, targets: Any, options: dict[str, Any]
    ) -> Array | None:
        """On a CPU, by a program of NumPy: it takes a third of the time of as many operations of torch."""
        if not _viewable(predictions):  # asked first: a compiler would make its graph for small inputs alone
            return None
        from ..programs import each_array
        from ..remembered import small

        if not small(predictions):
            return None
        beside, arrays = (targets, tuple(options.values())), [predictions]
        each_array(beside, arrays.append)
        if not all(map(_viewable, arrays)) or not _constant(beside):
            return None
        return torch_blocks.remembered(loss, _numpy(), predictions, targets, options)

    def sum_blocks(self, pixels: Any, statistics: tuple[Callable[..., Any], ...]) -> list[Any]:
        """With one rule for autograd, that of all blocks.

        On a CPU in NumPy: its exponential takes half as long as torch's, its arrays lie in large pages.
        """
        from ..blocks import blocks_of

        if not _in_blocks(pixels, statistics):
            return [statistic(pixels.whole) for statistic in statistics]
        backend, change = (
            (_numpy(), torch_blocks.view) if _in_host_memory(pixels.predictions) else (self, Tensor.detach)
        )
        needs_gradient = bool(pixels.predictions.requires_grad and torch.is_grad_enabled())
        with torch.no_grad():
            plain = pixels.on(backend, partial(torch_blocks.each, change))
            blocks = blocks_of(plain, torch_blocks.each(change, statistics), needs_gradient)
        beside = _tensors((pixels.targets, pixels.pixel_weights, pixels.class_weights, statistics))
        vector = torch_blocks.Sums.apply(pixels.predictions, pixels, blocks, *beside)
        return blocks.split(self.xp, vector)

    def sum_sorted(
        self,
        pixels: Any,
        errors: Callable[[Any], Array],
        weigh: Callable[..., Array],
        per_image: bool,
        matters: Callable[[int, float], bool],
    ) -> list[Array]:
        """On a CPU in NumPy: it sorts integers faster, and a row at a time in less memory."""
        from ..sorted_sums import SortedSums

        if not _in_blocks(pixels) or not _in_host_memory(pixels.predictions):
            return super().sum_sorted(pixels, errors, weigh, per_image, matters)
        on_numpy = pixels.on(_numpy(), partial(torch_blocks.each, torch_blocks.view))
        sums = SortedSums(on_numpy, errors, weigh, per_image, matters)
        beside = _tensors((pixels.targets, pixels.pixel_weights))
        return sums.split(self.xp, torch_blocks.Sums.apply(pixels.predictions, pixels, sums, *beside))

    def cumulative_sum(self, values: Array) -> Array:
        """torch's own: dynamo warns about the wrapper's look for a namespace.

        Counts stay in 32 bits: in 64 they are the largest arrays of a compiled Lovász loss.
        """
        return torch.cumsum(values, dim=-1, dtype=torch.int32 if values.dtype is torch.int32 else None)

    def in_descending_order(self, errors: Any, payload: Any, function: Any) -> Any:
        """Put back by ``scatter``, not by a second sort."""
        errors = errors.detach()
        order = torch.argsort(errors, dim=-1, descending=True)
        values = function(self, errors.dtype, *(torch.gather(part, -1, order) for part in payload))
        return torch.empty_like(values).scatter(-1, order, values).detach()

    def over_rows(self, function: neighbours.OfRows, rows: tuple[Array, ...]) -> tuple[Array, ...]:
        """All pairs where Inductor fuses them away; else 2**22, 16 MiB, so that threads pay."""
        if torch.compiler.is_compiling():
            return function(*rows, self.arange(rows[0].shape[1], rows[0]))
        return neighbours.over_rows(self, function, rows, 2**22)

    def max_pool(self, values: Array, size: int) -> Array:
        """torch's own in 1-D to 3-D: one kernel forward and one backward."""
        pool = _POOLS.get(values.ndim)
        if pool is None or 0 in values.shape:
            return super().max_pool(values, size)
        return pool(values, size, 1, size // 2)

    def value_and_grad(
        self,
        function: Callable[..., Array],
        argnums: tuple[int, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[Array, tuple[Array, ...]]:
        """Value and gradients by autograd, by torch.func where something traces or batches."""
        if torch.compiler.is_compiling() or torch._C._functorch.maybe_current_level() is not None:
            gradients, value = torch.func.grad_and_value(function, argnums)(*args, **kwargs)
            return value, gradients
        leaves = [args[i].detach().requires_grad_() for i in argnums]
        inputs = list(args)
        for i, leaf in zip(argnums, leaves, strict=True):
            inputs[i] = leaf
        with torch.enable_grad():
            value = function(*inputs, **kwargs)
            if value.requires_grad:
                gradients = torch.autograd.grad(value, leaves, materialize_grads=True)
            else:
                gradients = tuple(torch.zeros_like(leaf) for leaf in leaves)
        return value.detach(), gradients


_POOLS = {
    3: torch.nn.functional.max_pool1d,
    4: torch.nn.functional.max_pool2d,
    5: torch.nn.functional.max_pool3d,
}


_FULL = (torch.float32, torch.float64)

_INT32 = (-(2**31), 2**31 - 1)


def _compiles() -> bool:
    """Whether a compiler fuses what is traced, and torch.func does not transform it.

    Exported programs run one operation after the other. Of an ``autograd.Function`` dynamo traces neither
    the second derivative, which it takes for 0, nor ``vmap``.
    """
    return (
        torch.compiler.is_dynamo_compiling()
        and not torch.compiler.is_exporting()
        and not torch._C._are_functorch_transforms_active()
    )


def _in_host_memory(tensor: Tensor) -> bool:
    """Whether values can be read at no cost: nothing traces or batches them, or moved them."""
    return _is_plain(tensor) and tensor.device.type == "cpu"


def _viewable(tensor: Tensor) -> bool:
    """Whether it is a tensor that NumPy can view, or its copy in full precision."""
    return _in_host_memory(tensor) and not (
        tensor.is_complex()
        or tensor.is_neg()
        or tensor.is_quantized
        or str(tensor.dtype).startswith("torch.float8")
    )


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor is one, and nothing traces or batches it."""
    return (
        not torch.compiler.is_compiling()
        and type(tensor) in (Tensor, torch.nn.Parameter)
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        and not torch.jit.is_tracing()
        and not torch._C._len_torch_dispatch_stack()  # as in make_fx
    )


def _in_blocks(pixels: Any, *others: Any) -> bool:
    """Whether to compute in blocks.

    Not where something traces or batches, where more than predictions is differentiated, in half
    precision, or with few scores.
    """
    from ..passes import worthwhile

    predictions = pixels.predictions
    if not worthwhile(pixels) or predictions.dtype not in _FULL:
        return False
    beside = (pixels.targets, pixels.pixel_weights, pixels.class_weights, others)
    return (
        _is_plain(predictions)
        and predictions.device.type in ("cpu", "cuda")
        and _constant(beside)
        and not any(tensor.dtype == torch.bfloat16 for tensor in _tensors(beside))
    )


def _constant(beside: Any) -> bool:
    """Whether tensors beside predictions are plain, and predictions alone are differentiated, in reverse."""
    return (
        all(
            _is_plain(tensor) and tensor.device.type in ("cpu", "cuda") and not tensor.requires_grad
            for tensor in _tensors(beside)
        )
        and torch._C._functorch.maybe_current_level() is None
        and torch.autograd.forward_ad._current_level < 0
    )


def _tensors(value: Any) -> list[Tensor]:
    """Every tensor in tuples, lists and partial functions."""
    if isinstance(value, partial):
        value = (*value.args, *value.keywords.values())
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in _tensors(part)]
    return [value] if isinstance(value, Tensor) else []


def _numpy() -> Backend:
    """NumPy's backend, for arrays it can view."""
    from .numpy import BACKEND as NUMPY

    return NUMPY


BACKEND = Torch(namespace("torch"), "torch")
