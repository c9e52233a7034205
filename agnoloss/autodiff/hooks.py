"""Hooks of the backend layer on boxes: the inner library's own forward, its closed form backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from ..array import Array
from ..backends import Backend
from ..backends.chunks import Function, Sums, several, sums_and_gradient
from ..backends.distances import max_along_back

if TYPE_CHECKING:
    from .tape import Tape


def _constant(name: str) -> Any:
    """A hook without a derivative: the inner backend's result, where it is an array, is a constant."""

    def hook(self: TapeBackend, *args: Any) -> Any:
        plain = self.tape.plain
        return self.known(getattr(self.inner, name)(*[x if type(x) is tuple else plain(x) for x in args]))

    return hook


def _differentiable(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The inner backend's hook where no argument is differentiated."""
    constant = _constant(hook.__name__)

    @wraps(hook)
    def either(self: TapeBackend, *args: Any) -> Any:
        return hook(self, *args) if self.tape.any_tracked(args) else constant(self, *args)

    return either


class TapeBackend(Backend):
    """Hooks on boxes: the inner library's own hook forward, its closed form backward.

    What is not differentiated is a plain array here: half of what a loss does costs no more than without.
    """

    def __init__(self, tape: Tape, xp: Any) -> None:
        super().__init__(xp, tape.inner.library)
        self.tape, self.inner = tape, tape.inner
        self.level, self.as_array, self.as_near = tape.level, tape.inner.as_array, tape.inner.as_near

    def known(self, value: Any) -> Any:
        """A constant, boxed where plain arrays would not leave their operators to boxes."""
        return self.tape.box(value) if self.tape.boxes_all else value

    def convert(self, array: Array, owner: Backend, name: str, beside: Array | None = None) -> Array:
        """Take what the inner backend takes, as a constant."""
        if owner is not self:
            return self.known(self.inner.convert(array, owner, name, self.tape.plain(beside)))
        super().convert(array, owner, name, beside)
        return array if array.tracked or self.tape.boxes_all else array.value

    kind, outliers, look = _constant("kind"), _constant("outliers"), _constant("look")
    class_indices, differs = _constant("class_indices"), _constant("differs")
    constant, arange = _constant("constant"), _constant("arange")
    stop_gradient = _constant("stop_gradient")
    distance_transform = _constant("distance_transform")
    nearest_two_distances = _constant("nearest_two_distances")

    @_differentiable
    def log_softmax(self, logits: Array) -> Array:
        """d z = g - softmax(z) sum_c g_c."""
        xp = self.inner.xp
        value = self.inner.log_softmax(logits.value)

        def back(g: Array) -> Array:
            return g - xp.exp(value) * xp.sum(g, axis=1, keepdims=True)

        return self.tape.note(value, (logits, back))

    @_differentiable
    def log_sigmoid(self, logits: Array) -> Array:
        """d z = g sigmoid(-z)."""
        z, inner = logits.value, self.inner
        value = inner.log_sigmoid(z)
        return self.tape.note(value, (logits, lambda g: g * inner.xp.exp(inner.log_sigmoid(-z))))

    @_differentiable
    def gather(self, values: Array, labels: Array) -> Array:
        """Gradient at the pixel's class, zero at the others; of a table, sums of each class's pixels."""
        xp, inner, index, classes = self.inner.xp, self.inner, self.tape.plain(labels), values.shape[-1]

        def back(g: Array) -> Array:
            if values.ndim < 3:
                sums = inner.class_sums(g, index, classes)
                return sums if values.ndim == 2 else xp.sum(sums, axis=0)
            numbers = xp.reshape(inner.arange(values.shape[1], index), (1, -1, 1))
            return xp.where(xp.expand_dims(index, axis=1) == numbers, xp.expand_dims(g, axis=1), 0.0)

        return self.tape.note(inner.gather(values.value, index), (values, back))

    @_differentiable
    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Each pixel gets the gradient of its class's sum."""
        inner, index = self.inner, self.tape.plain(labels)
        sums = inner.class_sums(values.value, index, classes)
        return self.tape.note(sums, (values, lambda g: inner.gather(g, index)))

    def softmax_sums(
        self, scores: Array, labels: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], mix: Array | None = None, keep: bool = False, channels_last: bool = False,
    ) -> tuple[dict[str, Array], None]:  # fmt: skip
        """The inner backend's rule; of boxes of another tape, step by step."""
        given = (scores, labels, valid, weights)
        if self.tape.nested or self.tape.any_tracked(mix):
            return super().softmax_sums(*given, wanted, mix)[0], None
        return self._noted(self.inner.softmax_sums, (scores, weights), *given, wanted, mix), None

    def sigmoid_sums(
        self, scores: Array, targets: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], keep: bool = False,
    ) -> tuple[dict[str, Array], None]:  # fmt: skip
        """As `softmax_sums`."""
        given = (scores, targets, valid, weights, wanted)
        if self.tape.nested or self.tape.any_tracked(targets):
            return super().sigmoid_sums(*given)[0], None
        return self._noted(self.inner.sigmoid_sums, (scores, weights), *given), None

    def sorted_sums(
        self, scores: Array, foreground: Array, valid: Array | None, weights: Array | None, link: str,
        weigh: Callable[..., Array], per_image: bool, matters: Callable[[int, float], bool],
        keep: bool = False,
    ) -> tuple[dict[str, Array], None]:  # fmt: skip
        """As `softmax_sums`; step by step where weights are differentiated too."""
        given = (scores, foreground, valid, weights, link, weigh, per_image, matters)
        if self.tape.nested or self.tape.any_tracked(weights):
            return super().sorted_sums(*given)[0], None
        found = self._noted(self.inner.sorted_sums, (scores, None), *given)
        return found | {"true": self.known(self.tape.plain(found["true"]))}, None

    def _noted(self, rule: Callable[..., Any], inputs: tuple[Any, Any], *given: Any) -> dict[str, Array]:
        """Outputs of a rule, whose gradients go back together to scores and weights."""
        tape = self.tape
        outputs, pullback = rule(*tape.plain(given), tape.any_tracked(inputs))
        names, of_weights = list(outputs), tape.any_tracked(inputs[1])

        def back(gradients: Sequence[Array | None]) -> tuple[Array, Array | None]:
            given = {name: g for name, g in zip(names, gradients, strict=True) if g is not None}
            found: tuple[Array, Array | None] = pullback(given, of_weights)
            return found

        return dict(zip(names, tape.note_together(outputs.values(), inputs, back), strict=True))

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
        return tape.note(total, (values, lambda g: gradient * g)), *self.known(others)

    def descending(self, errors: Array, payload: Sequence[Array], function: Callable[..., Array]) -> Array:
        """Sort the plain arrays, where no gradient flows."""
        inner = self.inner
        if self.tape.nested or self.tape.any_tracked(tuple(payload)):
            return super().descending(errors, payload, function)
        errors, *payload = (inner.stop_gradient(part) for part in self.tape.plain((errors, *payload)))

        def of_plain(_: Backend, dtype: Any, *sorted_payload: Array) -> Array:
            return self.tape.plain(function(self, dtype, *self.known(sorted_payload)))

        return self.known(inner.descending(errors, payload, of_plain))

    @_differentiable
    def max_along(self, values: Array, axis: int, size: int) -> Array:
        """Each window's gradient goes to the first of its largest values."""
        xp, x = self.inner.xp, values.value
        largest = self.inner.max_along(x, axis, size)
        return self.tape.note(largest, (values, lambda g: max_along_back(xp, x, largest, g, axis, size)))
