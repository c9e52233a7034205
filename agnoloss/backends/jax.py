"""JAX: gradients by jax.grad, no devices in constructors, and NumPy targets as JAX takes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import jax_rules
from .base import Array, Backend
from .neighbours import OfRows

_PAIRS = 2**22
"""Pairs of cells that a distance transform looks at together: 16 MiB in float32."""


class Jax(Backend):
    """Backend of ``jax.Array`` and of JAX's tracers."""

    def adopt(self, array: Array, other: Backend, name: str) -> Array:
        """Take NumPy arrays, as jax.numpy does."""
        if other.library != "numpy":
            return super().adopt(array, other, name)
        if array.dtype.kind in "iu" and array.size:
            narrow = np.iinfo(jax.dtypes.canonicalize_dtype(array.dtype))
            if array.min() < narrow.min or array.max() > narrow.max:
                raise ValueError(
                    f"`{name}` must fit {narrow.dtype}, the widest integer JAX uses here; got "
                    f"values from {array.min()} to {array.max()}."
                )
        return jnp.asarray(array)

    def conversion_hint(self, name: str) -> str:
        """Tell how to make a JAX array."""
        return f"Convert it first, for example with jax.numpy.asarray({name})."

    def labels(self, array: Array) -> Array:
        """Without 64-bit integers, unsigned ones stop at the largest signed one."""
        if array.dtype in (jnp.uint32, jnp.uint64) and not jax.config.jax_enable_x64:
            return jnp.minimum(array, np.iinfo(np.int32).max).astype(jnp.int32)
        return super().labels(array)

    def is_label(self, labels: Array, label: int) -> Array:
        """A label that the integers cannot hold stops where they do, see `labels`."""
        if jnp.issubdtype(labels.dtype, jnp.integer):
            limits = jnp.iinfo(labels.dtype)
            label = min(max(label, int(limits.min)), int(limits.max))
        return labels == label

    def extremes(self, array: Array, ignored: tuple[int, ...] = ()) -> tuple[float, float] | None:
        """Look at concrete arrays in host memory, by a view: jnp.min would be traced under jit."""
        if isinstance(array, jax.core.Tracer) or not array.is_fully_addressable:
            return None
        if any(place.platform != "cpu" for place in array.devices()):
            return None
        return _numpy().extremes(np.asarray(array), ignored)

    def constant(self, values: Any, dtype: Any, like: Array) -> Array:
        """Without a device: a JAX array's device is a sharding, which constructors refuse."""
        return jnp.asarray(values, dtype=dtype)

    def arange(self, count: int, like: Array) -> Array:
        """Without a device, see `constant`."""
        return jnp.arange(count, dtype=like.dtype)

    def stop_gradient(self, array: Array) -> Array:
        """Cut by ``jax.lax.stop_gradient``."""
        return jax.lax.stop_gradient(array)

    def log_softmax(self, logits: Array) -> Array:
        """JAX's own: XLA fuses it."""
        return jax.nn.log_softmax(logits, axis=1)

    def softmax(self, logits: Array) -> Array:
        """JAX's own: XLA fuses it."""
        return jax.nn.softmax(logits, axis=1)

    def sigmoid(self, logits: Array) -> Array:
        """JAX's own."""
        return jax.nn.sigmoid(logits)

    def widened(self, block: Any) -> Array:
        """Turned around once where channels come last."""
        scores = super().widened(block)
        turns = block.setting.closed_form and block.setting.channels_last
        return _turned(scores, block.labels) if turns else scores

    def normaliser(self, block: Any) -> tuple[Array, Array]:
        """Once for each pixel, where XLA would compute it for every class."""
        found: tuple[Array, Array] = _normaliser(block.wide, block.labels)
        return found

    def label_log_probs(self, block: Any) -> Array:
        """With a rule that XLA compiles to one pass: 6 times faster than a gather of log_softmax."""
        return _label_log_probs(*_parts(block))

    def prob_sums(self, block: Any) -> Array:
        """With a rule of the same kind."""
        return _prob_sums(*_parts(block), None if block.pixel_weights is None else block.weights)

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Sum by a scatter on a lone CPU; elsewhere by a fused comparison, in a fixed order."""
        if jax_rules.alone_on_a_cpu():
            return jax_rules.class_sums(values, labels, classes)
        inside = labels[:, None, :] == jnp.arange(classes, dtype=labels.dtype)[:, None]
        return jnp.sum(jnp.where(inside, values[:, None, :], 0.0), axis=-1)

    def in_descending_order(self, errors: Any, payload: Any, function: Any) -> Any:
        """By keys of error and position in one integer, which XLA sorts 4 times faster than pairs."""
        errors = jax.lax.stop_gradient(errors)
        if errors.dtype != jnp.float32:
            return super().in_descending_order(errors, payload, function)
        order = _descending(errors)
        values = function(self, errors.dtype, *(jnp.take_along_axis(p, order, axis=-1) for p in payload))
        rows = jnp.arange(errors.shape[0])[:, None]
        return jnp.zeros_like(values).at[rows, order].set(values, unique_indices=True)

    def over_rows(self, function: OfRows, rows: tuple[Array, ...]) -> tuple[Array, ...]:
        """By ``lax.map`` over a few rows at a time.

        8 images of 256 x 256 on two CPU cores: 81 ms in 5 MB. A ``fori_loop`` over the cells of a row:
        129 ms. All pairs at once: 1.4 s in 541 MB, since XLA stores them; and a loop in Python would be
        unrolled into the graph.
        """
        length = rows[0].shape[1]
        cells = self.arange(length, rows[0])

        def of_row(row: tuple[Array, ...]) -> tuple[Array, ...]:
            if length * length <= _PAIRS:
                return tuple(found[0] for found in function(*(part[None] for part in row), cells))
            return jax.lax.map(partial(of_cell, row), cells, batch_size=max(1, _PAIRS // length))

        def of_cell(row: tuple[Array, ...], cell: Array) -> tuple[Array, ...]:
            return tuple(found[0, 0] for found in function(*(part[None] for part in row), cell[None]))

        found: tuple[Array, ...] = jax.lax.map(of_row, rows, batch_size=max(1, _PAIRS // length**2))
        return found

    def distance_transform(self, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
        """Compiled: outside jit ``lax.map`` would be compiled anew at each call."""
        return _distance_transform(self, mask, spacing, dtype)

    def nearest_two_distances(
        self, labels: Array, spacing: tuple[float, ...], dtype: Any
    ) -> tuple[Array, Array]:
        """Compiled, as `distance_transform` is."""
        return _nearest_two_distances(self, labels, spacing, dtype)

    def value_and_grad(
        self,
        function: Callable[..., Array],
        argnums: tuple[int, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[Array, tuple[Array, ...]]:
        """Value and gradients by ``jax.value_and_grad``."""
        result: tuple[Array, tuple[Array, ...]] = jax.value_and_grad(function, argnums)(*args, **kwargs)
        return result


def _numpy() -> Backend:
    """NumPy's backend, for arrays it can view."""
    from .numpy import BACKEND as NUMPY

    return NUMPY


# Compiled, since outside jit their branches would be compiled anew at each call: 0.1 s.
_turned = jax.jit(jax_rules.turned)
_normaliser = jax.jit(jax_rules.normaliser)
_label_log_probs = jax.jit(jax_rules.label_log_probs)
_prob_sums = jax.jit(jax_rules.prob_sums)


def _parts(block: Any) -> tuple[Array, ...]:
    """Scores, labels, where they count, and the normaliser of a block."""
    valid = jnp.ones(block.labels.shape, bool) if block.valid is None else block.valid
    return block.wide, block.labels, valid, *block.normaliser


def _descending(errors: Array) -> Array:
    """Indices that sort rows so that they fall: of equal errors the first comes first."""
    bits = jax.lax.bitcast_convert_type(errors, jnp.int32)
    # The bits of a float order like an integer once those of negative numbers are turned around.
    rising = bits ^ ((bits >> 31) & jnp.int32(0x7FFFFFFF))
    falling = jax.lax.bitcast_convert_type(~rising, jnp.uint32) ^ jnp.uint32(0x80000000)
    with jax.enable_x64(True):
        places = jax.lax.broadcasted_iota(jnp.uint64, errors.shape, errors.ndim - 1)
        keys = jax.lax.sort((falling.astype(jnp.uint64) << jnp.uint64(32)) | places, is_stable=False)
        return (keys & jnp.uint64(0xFFFFFFFF)).astype(jnp.int32)


@partial(jax.jit, static_argnums=(0, 2, 3))
def _distance_transform(backend: Jax, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
    return Backend.distance_transform(backend, mask, spacing, dtype)


@partial(jax.jit, static_argnums=(0, 2, 3))
def _nearest_two_distances(
    backend: Jax, labels: Array, spacing: tuple[float, ...], dtype: Any
) -> tuple[Array, Array]:
    return Backend.nearest_two_distances(backend, labels, spacing, dtype)


BACKEND = Jax(jnp, "jax")
