"""Hooks of the backend layer on boxes: the inner library's own forward, its closed form backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..backends import Backend
from ..backends.chunks import Function, Sums, several, sums_and_gradient
from ..backends.distances import max_along_back

if TYPE_CHECKING:
    from .tape import Tape


class TapeBackend(Backend):
    """Hooks on boxes: the inner library's own hook forward, its closed form backward."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape.xp, tape.inner.library)
        self.tape, self.inner = tape, tape.inner
        self.level, self.as_array = tape.level, tape.inner.as_array

    def convert(self, array: Array, owner: Backend, name: str) -> Array:
        """Take what the inner backend takes, as a constant."""
        if owner is self:
            return array
        return self.tape.box(self.inner.convert(array, owner, name))

    def kind(self, array: Array) -> str:
        """Ask the inner backend."""
        return self.inner.kind(array.value)

    def outliers(
        self, array: Array, low: float, high: float, ignored: tuple[int, ...] = ()
    ) -> list[float] | None:
        """Look where the inner backend looks."""
        return self.inner.outliers(array.value, low, high, ignored)

    def class_indices(self, labels: Array, classes: int | None = None) -> Array:
        """Box the inner backend's."""
        return self.tape.box(self.inner.class_indices(labels.value, classes))

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

    def log_sigmoid(self, logits: Array) -> Array:
        """d z = g sigmoid(-z)."""
        z, inner = logits.value, self.inner
        return self.tape.note(
            inner.log_sigmoid(z), (logits, lambda g: g * inner.xp.exp(inner.log_sigmoid(-z)))
        )

    def differs(self, targets: Array, label: int) -> Array:
        """Box the inner backend's."""
        return self.tape.box(self.inner.differs(targets.value, label))

    def gather(self, values: Array, labels: Array) -> Array:
        """Gradient at the pixel's class, zero at the others; of a table, sums of each class's pixels."""
        xp, inner, index, classes = self.inner.xp, self.inner, labels.value, values.shape[-1]

        def back(g: Array) -> Array:
            if values.ndim < 3:
                sums = inner.class_sums(g, index, classes)
                return sums if values.ndim == 2 else xp.sum(sums, axis=0)
            numbers = xp.reshape(inner.arange(values.shape[1], index), (1, -1, 1))
            return xp.where(xp.expand_dims(index, axis=1) == numbers, xp.expand_dims(g, axis=1), 0.0)

        return self.tape.note(inner.gather(values.value, index), (values, back))

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Each pixel gets the gradient of its class's sum."""
        inner, index = self.inner, labels.value
        sums = inner.class_sums(values.value, index, classes)
        return self.tape.note(sums, (values, lambda g: inner.gather(g, index)))

    def softmax_sums(
        self, scores: Array, labels: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str] = ("log_p",), mix: Array | None = None, keep: bool = False,
    ) -> tuple[dict[str, Array], None]:  # fmt: skip
        """The inner backend's rule; of boxes of another tape, step by step."""
        tape, given = self.tape, (scores, labels, valid, weights)
        inner: Any = self.inner
        if tape.nested or tape.any_tracked(mix):
            return super().softmax_sums(*given, wanted, mix)[0], None
        keep = tape.any_tracked((scores, weights))
        outputs, pullback = inner.softmax_sums(*tape.plain(given), wanted, tape.plain(mix), keep)
        return self._noted(outputs, pullback, scores, weights), None

    def sigmoid_sums(
        self, scores: Array, targets: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], keep: bool = False,
    ) -> tuple[dict[str, Array], None]:  # fmt: skip
        """As `softmax_sums`."""
        tape, given = self.tape, (scores, targets, valid, weights)
        inner: Any = self.inner
        if tape.nested or tape.any_tracked(targets):
            return super().sigmoid_sums(*given, wanted)[0], None
        keep = tape.any_tracked((scores, weights))
        outputs, pullback = inner.sigmoid_sums(*tape.plain(given), wanted, keep)
        return self._noted(outputs, pullback, scores, weights), None

    def sorted_sums(
        self, scores: Array, foreground: Array, valid: Array | None, weights: Array | None, link: str,
        weigh: Callable[..., Array], per_image: bool, matters: Callable[[int, float], bool],
        keep: bool = False,
    ) -> tuple[dict[str, Array], None]:  # fmt: skip
        """As `softmax_sums`."""
        tape, given = self.tape, (scores, foreground, valid, weights)
        inner: Any = self.inner
        options = (link, weigh, per_image, matters)
        if tape.nested:
            return super().sorted_sums(*given, *options)[0], None
        keep = tape.any_tracked(scores)
        outputs, pullback = inner.sorted_sums(*tape.plain(given), *options, keep)
        sums = self._noted({"sums": outputs["sums"]}, pullback, scores, None)
        return {**sums, "true": tape.box(outputs["true"])}, None

    def _noted(
        self, outputs: Mapping[str, Array], pullback: Any, scores: Array, weights: Array | None
    ) -> dict[str, Array]:
        """Outputs of a rule, whose gradients go back together."""
        tape = self.tape
        of_weights = tape.any_tracked(weights)
        names = list(outputs)

        def back(gradients: Sequence[Array | None]) -> tuple[Array, Array | None]:
            given = {name: g for name, g in zip(names, gradients, strict=True) if g is not None}
            found: tuple[Array, Array | None] = pullback(given, of_weights)
            return found

        return dict(zip(names, tape.note_together(outputs.values(), back, (scores, weights)), strict=True))

    def in_chunks(
        self, function: Function, values: Array, beside: Sequence[Any], options: Sequence[Any],
        otherwise: Callable[[], Sums],
    ) -> Sums:  # fmt: skip
        """With the gradient of each chunk, where the values alone are differentiated, once."""
        tape, given = self.tape, (values, beside, options)
        if tape.nested or not several(values, self.inner.chunk):
            return otherwise()
        if not tape.any_tracked(values) or tape.any_tracked((beside, options)):
            return super().in_chunks(function, *given, otherwise)
        (total, *others), gradient = sums_and_gradient(self.inner, function, *tape.plain(given))
        return tape.note(total, (values, lambda g: gradient * g)), *tape.box(others)

    def descending(self, errors: Array, payload: Sequence[Array], function: Callable[..., Array]) -> Array:
        """Sort the plain arrays: no gradient flows through the result."""
        inner = self.inner
        errors, *payload = (inner.stop_gradient(part) for part in self.tape.plain((errors, *payload)))

        def of_plain(_: Backend, dtype: Any, *sorted_payload: Array) -> Array:
            return self.tape.plain(function(self, dtype, *self.tape.box(sorted_payload)))

        return self.tape.box(inner.descending(errors, payload, of_plain))

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
