"""Hooks of the backend layer on boxes: the inner library's own forward, its closed form backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .backends.base import Array, Backend
from .backends.neighbours import max_along_back

if TYPE_CHECKING:
    from .tape import Tape


class TapeBackend(Backend):
    """Hooks on boxes: the inner library's own hook forward, its closed form backward."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape.xp, tape.inner.library)
        self.tape = tape
        self.inner = tape.inner
        self.level = tape.level

    def adopt(self, array: Array, other: Backend, name: str) -> Array:
        """Take what the inner backend takes, as a constant."""
        if other is self:
            return array
        return self.tape.box(self.inner.adopt(array, other, name))

    def conversion_hint(self, name: str) -> str:
        """Say what the inner library says."""
        return self.inner.conversion_hint(name)

    def kind(self, array: Array) -> str:
        """Ask the inner backend."""
        return self.inner.kind(array.value)

    def is_half(self, array: Array) -> bool:
        """Ask the inner backend."""
        return self.inner.is_half(array.value)

    def labels(self, array: Array) -> Array:
        """Ask the inner backend."""
        return self.tape.box(self.inner.labels(array.value))

    def extremes(self, array: Array, ignored: tuple[int, ...] = ()) -> tuple[float, float] | None:
        """Look where the inner backend looks."""
        return self.inner.extremes(array.value, ignored)

    def within(self, array: Array, low: float, high: float, ignored: tuple[int, ...] = ()) -> bool | None:
        """Look where the inner backend looks."""
        return self.inner.within(array.value, low, high, ignored)

    def in_range(self, labels: Array, classes: int) -> Array:
        """Box the inner backend's."""
        return self.tape.box(self.inner.in_range(labels.value, classes))

    def ones_where(self, mask: Array, dtype: Any) -> Array:
        """Box the inner backend's."""
        return self.tape.box(self.inner.ones_where(mask.value, dtype))

    def constant(self, values: Any, dtype: Any, like: Array) -> Array:
        """Box the inner backend's constant."""
        return self.tape.box(self.inner.constant(values, dtype, like.value))

    def arange(self, count: int, like: Array) -> Array:
        """Box the inner backend's."""
        return self.tape.box(self.inner.arange(count, like.value))

    def stop_gradient(self, array: Array) -> Array:
        """Box the value alone, as a constant of this tape and of those around it."""
        return self.tape.box(self.inner.stop_gradient(array.value))

    def log_softmax(self, logits: Array) -> Array:
        """d z = g - softmax(z) sum_c g_c."""
        xp = self.inner.xp
        value = self.inner.log_softmax(logits.value)

        def back(g: Array) -> Array:
            return g - xp.exp(value) * xp.sum(g, axis=1, keepdims=True)

        return self.tape.note(value, (logits, back))

    def softmax(self, logits: Array) -> Array:
        """d z = p (g - sum_c p_c g_c)."""
        xp = self.inner.xp
        p = self.inner.softmax(logits.value)

        def back(g: Array) -> Array:
            return p * (g - xp.sum(p * g, axis=1, keepdims=True))

        return self.tape.note(p, (logits, back))

    def sigmoid(self, logits: Array) -> Array:
        """d z = g p (1 - p)."""
        p = self.inner.sigmoid(logits.value)
        return self.tape.note(p, (logits, lambda g: g * p * (1.0 - p)))

    def sigmoid_complement(self, logits: Array) -> Array:
        """d z = - g p (1 - p)."""
        p = self.inner.sigmoid_complement(logits.value)
        return self.tape.note(p, (logits, lambda g: g * p * (p - 1.0)))

    def log_sigmoid(self, logits: Array) -> Array:
        """d z = g sigmoid(-z)."""
        z = logits.value
        back = self.inner.sigmoid_complement
        return self.tape.note(self.inner.log_sigmoid(z), (logits, lambda g: g * back(z)))

    def gather(self, values: Array, labels: Array) -> Array:
        """Gradient at the pixel's class, zero at the others."""
        xp, index = self.inner.xp, labels.value

        def back(g: Array) -> Array:
            classes = xp.reshape(self.inner.arange(values.shape[1], index), (1, -1, 1))
            here = xp.expand_dims(index, axis=1) == classes
            return xp.where(here, xp.expand_dims(g, axis=1), 0.0)

        return self.tape.note(self.inner.gather(values.value, index), (values, back))

    def lookup(self, table: Array, labels: Array) -> Array:
        """Each class gets the sum of its pixels' gradients."""
        xp, index = self.inner.xp, labels.value

        def back(g: Array) -> Array:
            return xp.sum(self.inner.class_sums(g, index, table.shape[0]), axis=0)

        return self.tape.note(self.inner.lookup(table.value, index), (table, back))

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Each pixel gets the gradient of its class's sum."""
        inner, index = self.inner, labels.value
        sums = inner.class_sums(values.value, index, classes)
        return self.tape.note(sums, (values, lambda g: inner.per_label(g, index)))

    def masked(self, values: Array, valid: Array) -> Array:
        """The same of the gradient."""
        inner, mask = self.inner, valid.value
        return self.tape.note(inner.masked(values.value, mask), (values, lambda g: inner.masked(g, mask)))

    def _parts(self, block: Any) -> tuple[Array, tuple[Array, Array, Array]]:
        """Scores of a block and what the inner backend finds in them, once."""
        known = block.__dict__
        if "parts" not in known:
            # scores that are there already may be what is differentiated; else they need no mask here
            scores = known.get("scores", block.wide)
            valid = self.tape.plain(block.valid)
            known["parts"] = scores, self.inner.parts(scores.value, block.labels.value, valid)
        parts: tuple[Array, tuple[Array, Array, Array]] = known["parts"]
        return parts

    def label_log_probs(self, block: Any) -> Array:
        """d z_c = d ([c = y] - p_c)."""
        if not self.inner.closes:
            return super().label_log_probs(block)
        inner, labels, valid = self.inner, block.labels.value, self.tape.plain(block.valid)
        scores, (values, totals, log_probs) = self._parts(block)

        def back(g: Array) -> Array:
            d = g if valid is None else inner.masked(g, valid)
            return inner.parts_gradient(values, totals, labels, None, d, None)

        return self.tape.note(log_probs, (scores, back))

    def prob_sums(self, block: Any) -> Array:
        """d z_c = u p_c (b_c - sum_k p_k b_k)."""
        if not self.inner.closes or self.tape.any_tracked(block.weights):
            return super().prob_sums(block)
        inner, labels, weights = self.inner, block.labels.value, self.tape.plain(block.weights)
        scores, (values, totals, _) = self._parts(block)
        return self.tape.note(
            inner.parts_sums(values, totals, weights),
            (scores, lambda b: inner.parts_gradient(values, totals, labels, weights, None, b)),
        )

    def sum_blocks(self, pixels: Any, statistics: tuple[Callable[..., Any], ...]) -> list[Any]:
        """Block by block, where the library can and predictions alone are differentiated."""
        from .blocks import blocks_of
        from .passes import worthwhile

        tape, predictions = self.tape, pixels.predictions
        others = (pixels.targets, pixels.pixel_weights, pixels.class_weights, statistics)
        if not (self.inner.writes and worthwhile(pixels)) or tape.any_tracked(others):
            return super().sum_blocks(pixels, statistics)
        blocks = blocks_of(pixels.on(self.inner, tape.plain), tape.plain(statistics), predictions.tracked)
        vector = tape.note(blocks.vector(), (predictions, blocks.gradient))
        return blocks.split(self.xp, vector)

    def sum_sorted(
        self,
        pixels: Any,
        errors: Callable[[Any], Array],
        weigh: Callable[..., Array],
        per_image: bool,
        matters: Callable[[int, float], bool],
    ) -> list[Array]:
        """Row by row, under the same conditions."""
        from .passes import worthwhile
        from .sorted_sums import SortedSums

        tape, predictions = self.tape, pixels.predictions
        others = (pixels.targets, pixels.pixel_weights)
        if not (self.inner.sorts and worthwhile(pixels)) or tape.any_tracked(others):
            return super().sum_sorted(pixels, errors, weigh, per_image, matters)
        sums = SortedSums(pixels.on(self.inner, tape.plain), errors, weigh, per_image, matters)
        return sums.split(self.xp, tape.note(sums.vector(), (predictions, sums.gradient)))

    def in_descending_order(self, errors: Any, payload: Any, function: Any) -> Any:
        """Sort the plain arrays: no gradient flows through the result."""
        inner = self.inner
        plain = (inner.stop_gradient(part) for part in self.tape.plain((errors, *payload)))
        errors, *payload = plain
        function = self.tape.plain(function)
        return self.tape.box(inner.in_descending_order(errors, tuple(payload), function))

    def distance_transform(self, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
        """The inner backend's: a mask has no derivative."""
        return self.tape.box(self.inner.distance_transform(mask.value, spacing, dtype))

    def nearest_two_distances(
        self, labels: Array, spacing: tuple[float, ...], dtype: Any
    ) -> tuple[Array, Array]:
        """The inner backend's: labels have no derivative."""
        return self.tape.box(self.inner.nearest_two_distances(labels.value, spacing, dtype))

    def max_along(self, values: Array, axis: int, size: int) -> Array:
        """Each window's gradient goes to the first of its largest values."""
        xp, x = self.inner.xp, values.value
        largest = self.inner.max_along(x, axis, size)
        return self.tape.note(largest, (values, lambda g: max_along_back(xp, x, largest, g, axis, size)))
