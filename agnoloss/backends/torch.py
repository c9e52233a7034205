"""PyTorch: autograd, fused log-softmax, gather, and no look at values while tracing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from ..array import Array
from ..compat import namespace
from . import chunks, distances, torch_rules
from .base import Backend
from .closed_forms import Pullback
from .numpy import BACKEND as NUMPY
from .torch_state import compiles, in_host_memory, look, transformed


class Torch(Backend):
    """Backend of ``torch.Tensor``, of parameters and of tensor subclasses."""

    as_array = "torch.as_tensor({name})"
    as_labels = "{name}.long()"
    as_near = "{name}.to(predictions.device)"

    def convert(self, array: Array, owner: Backend, name: str, beside: Array | None = None) -> Array:
        """Refuse masked, sparse and nested tensors. Numbers may lie on any device, as torch has it."""
        if isinstance(array, torch.masked.MaskedTensor):
            raise TypeError(
                f"`{name}` must be a torch.Tensor; got a MaskedTensor. Pass its `get_data()`, and its mask "
                "through `ignore_index` or `pixel_weights`."
            )
        if owner is self and (array.layout is not torch.strided or array.is_nested):
            how = f"torch.nested.to_padded_tensor({name}, 0)" if array.is_nested else f"{name}.to_dense()"
            what = "a nested one" if array.is_nested else f"layout {array.layout}"
            raise TypeError(f"`{name}` must be a dense tensor; got {what}. Convert it first with {how}.")
        if owner is self and beside is not None and not array.ndim:
            return array.to(beside.device)
        return super().convert(array, owner, name, beside)

    def kind(self, array: Array) -> str:
        """Read the dtype's flags: dynamo traces them."""
        dtype = array.dtype
        if dtype.is_floating_point:
            return "floating" if dtype in (torch.float32, torch.float64) else "half"
        return "other" if dtype.is_complex or array.is_quantized else "integer"

    def outliers(
        self, array: Array, low: float, high: float, ignored: tuple[int, ...] = ()
    ) -> list[float] | None:
        """Look at plain tensors in host memory, not while something traces or batches them."""
        if not in_host_memory(array):
            return None
        if array.dtype is torch.bfloat16:  # which NumPy does not know
            array = array.float()
        return NUMPY.outliers(array.detach().numpy(), low, high, ignored)

    def look(self, array: Array, low: float, high: float, message: str) -> Array | None:
        """By an operator of its own, which compilers and transformations take as it is."""
        return look(array.detach(), low, high, message)

    def class_indices(self, labels: Array, classes: int | None = None) -> Array:
        """int64, which gather and scatter require; int32 where Inductor compiles.

        It does not compute a bool of integers of 64 bits a second time, for the backward pass, but stores
        it: a quarter of the time of cross entropy's forward pass. In host memory by NumPy, see `differs`.
        """
        if labels.dtype is not torch.int64:
            labels = labels.to(torch.int64)
        if classes is None:
            return labels
        if in_host_memory(labels):
            return torch.from_numpy(labels.numpy().clip(0, classes - 1))
        labels = labels.clamp(0, classes - 1)
        return labels.to(torch.int32) if compiles() else labels

    def differs(self, targets: Array, label: int) -> Array:
        """In host memory by NumPy: threads of torch's that wait for its next operation take NumPy's cores."""
        if not in_host_memory(targets):
            if targets.dtype is torch.int64 and abs(label) < 2**31 - 1 and compiles():
                targets = targets.clamp(-(2**31), 2**31 - 1).to(torch.int32)  # see `class_indices`
            return super().differs(targets, label)
        return torch.from_numpy(NUMPY.differs(targets.detach().numpy(), label))

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

    def gather(self, values: Array, labels: Array) -> Array:
        """``torch.gather``: take_along_axis is 6 times slower and recompiles for each shape."""
        if values.ndim == 1:
            return values[labels]
        if values.ndim == 2:
            return torch.gather(values, 1, labels.to(torch.int64))
        return torch.gather(values, 1, labels[:, None].to(torch.int64))[:, 0]

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Sum by one ``scatter_add`` instead of one pass for each class; compiled, by a rule.

        In float64: it adds one after the other, and float32 loses 1e-6 of a sum of 512 x 512 numbers.
        """
        if compiles():
            return torch_rules.ClassSums.apply(values, labels, classes)
        if not (values.requires_grad or transformed(values, labels)) and values.device.type == "cpu":
            return torch.from_numpy(NUMPY.class_sums(values.numpy(), labels.numpy(), classes))
        wide = values if values.device.type == "mps" else values.double()  # which has no float64
        sums = wide.new_zeros(values.shape[0], classes).scatter_add(1, labels, wide)
        return sums.to(values.dtype)

    def softmax_sums(
        self, scores: Array, labels: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], mix: Array | None = None, keep: bool = False, channels_last: bool = False,
    ) -> tuple[dict[str, Array], Pullback | None]:  # fmt: skip
        """With one rule for autograd: on a CPU NumPy's, in views of the tensors' memory."""
        given = (scores, labels, valid, weights, mix)
        if transformed(*given) or (mix is not None and mix.requires_grad):
            return super().softmax_sums(scores, labels, valid, weights, wanted, mix)
        return torch_rules.apply("softmax_sums", self, given, tuple(wanted)), None

    def sigmoid_sums(
        self, scores: Array, targets: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], keep: bool = False,
    ) -> tuple[dict[str, Array], Pullback | None]:  # fmt: skip
        """As `softmax_sums`."""
        given = (scores, targets, valid, weights)
        if transformed(*given) or targets.requires_grad:
            return super().sigmoid_sums(*given, wanted)
        return torch_rules.apply("sigmoid_sums", self, given, tuple(wanted)), None

    def sorted_sums(
        self, scores: Array, foreground: Array, valid: Array | None, weights: Array | None, link: str,
        weigh: Callable[..., Array], per_image: bool, matters: Callable[[int, float], bool],
        keep: bool = False,
    ) -> tuple[dict[str, Array], Pullback | None]:  # fmt: skip
        """On a CPU in NumPy: it sorts integers faster, and a row at a time in less memory."""
        given = (scores, foreground, valid, weights)
        options = (link, weigh, per_image, matters)
        tracked = weights is not None and weights.requires_grad
        if tracked or not in_host_memory(scores) or transformed(*given):
            return super().sorted_sums(*given, *options)
        return torch_rules.apply("sorted_sums", self, given, *options), None

    def in_chunks(
        self, function: chunks.Function, values: Array, beside: Sequence[Any], options: Sequence[Any],
        otherwise: Callable[[], chunks.Sums],
    ) -> chunks.Sums:  # fmt: skip
        """On a CPU in NumPy, with one rule for autograd: see `differs`. Not what torch does in one thread."""
        others = [value for value in (*beside, *options) if isinstance(value, Tensor)]
        if (
            values.numel() < _SERIAL
            or any(tensor.requires_grad and torch.is_grad_enabled() for tensor in others)
            or not in_host_memory(values)
            or transformed(values, *others)
        ):
            return otherwise()
        return torch_rules.in_chunks(function, values, beside, options)

    def cumulative_sum(self, values: Array) -> Array:
        """torch's own: dynamo warns about the wrapper's look for a namespace.

        Counts stay in 32 bits: in 64 they are the largest arrays of a compiled Lovász loss.
        """
        return torch.cumsum(values, dim=-1, dtype=torch.int32 if values.dtype is torch.int32 else None)

    def descending(self, errors: Array, payload: Sequence[Array], function: Callable[..., Array]) -> Array:
        """Put back by ``scatter``, not by a second sort."""
        errors = errors.detach()
        order = torch.argsort(errors, dim=-1, descending=True)
        values = function(self, errors.dtype, *(torch.gather(part, -1, order) for part in payload))
        return torch.empty_like(values).scatter(-1, order, values)

    def distance_transform(self, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
        """All pairs at once where Inductor fuses them away; else 2**22, 16 MiB, so that threads pay."""
        return distances.distance_transform(self, mask, spacing, dtype, _over_rows)

    def nearest_two_distances(self, labels: Array, spacing: Any, dtype: Any) -> tuple[Array, Array]:
        """As `distance_transform`."""
        return distances.nearest_two_distances(self, labels, spacing, dtype, _over_rows)

    def max_pool(self, values: Array, size: int) -> Array:
        """torch's own in 1-D to 3-D: one kernel forward and one backward."""
        pool = _POOLS.get(values.ndim)
        if pool is None or 0 in values.shape:
            return super().max_pool(values, size)
        return pool(values, size, 1, size // 2)

    def value_and_grad(
        self, function: Callable[..., Array], argnums: tuple[int, ...], args: tuple[Any, ...],
        kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[Any, tuple[Array, ...]]:  # fmt: skip
        """Value and gradients by autograd, by torch.func where something traces or batches."""
        traced = torch.compiler.is_compiling() or torch._C._functorch.maybe_current_level() is not None
        if argnums and traced:
            differentiate = torch.func.grad_and_value(function, argnums, has_aux=True)
            gradients, found = differentiate(*args, **(kwargs or {}))
            return found, gradients
        leaves = [args[i].detach().requires_grad_() for i in argnums]
        inputs = list(args)
        for i, leaf in zip(argnums, leaves, strict=True):
            inputs[i] = leaf
        with torch.enable_grad():
            value, aux = function(*inputs, **(kwargs or {}))
            if value.requires_grad and leaves:
                gradients = torch.autograd.grad(value, leaves, materialize_grads=True)
            else:
                gradients = tuple(torch.zeros_like(leaf) for leaf in leaves)
        if type(aux) is not tuple or aux:
            aux = tree_map_only(Tensor, Tensor.detach, aux)
        return (value.detach(), aux), gradients


_SERIAL = 2**15
"""Numbers below which torch's operations keep to one thread."""

_POOLS = {
    3: torch.nn.functional.max_pool1d,
    4: torch.nn.functional.max_pool2d,
    5: torch.nn.functional.max_pool3d,
}


def _over_rows(backend: Torch, function: distances.OfRows, rows: tuple[Array, ...]) -> tuple[Array, ...]:
    if torch.compiler.is_compiling():
        return function(*rows, backend.arange(rows[0].shape[1], rows[0]))
    return distances.in_parts(backend, function, rows, 2**22)


BACKEND = Torch(namespace("torch"), "torch")
