"""Every hook of the backend layer, written in the array API standard alone.

A library's own file overrides a hook only where it must or where it is faster; its docstring says
which. Hooks take and return plain arrays: ``(N, C, P)`` (images, classes, pixels) or ``(N, P)``.

`softmax_sums`, `sigmoid_sums` and `sorted_sums` are rules: the only hooks that touch many times ``N C P``
numbers. Beside its outputs a rule returns how gradients of these go back to the scores (and pixel
weights), in closed form, if it is asked to keep what that needs. Libraries that differentiate by
themselves return None there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..array import Array
from ..compat import device
from . import chunks, closed_forms, distances, sorting
from .closed_forms import Pullback


class Backend:
    """What a loss needs of an array library: its array API namespace, and its name for messages."""

    level = -1
    """How deep its arrays are nested in tapes; plain arrays are not."""

    chunk = 0
    """Numbers of a chunk where temporaries as large as a binary input hurt, see `in_chunks`; 0 for none."""

    threads = False
    """Whether functions of the library run beside each other in threads of one process."""

    as_array = "{library}.asarray({name})"
    as_labels = "{library}.asarray({name}, dtype={library}.int64)"
    as_near = "{library}.asarray({name}, device=predictions.device)"
    """How to make an array of the library, one of labels, one on the device of predictions, for messages."""

    def __init__(self, xp: Any, library: str) -> None:
        self.xp = xp
        self.library = library

    # --- inputs -----------------------------------------------------------------------------

    def convert(self, array: Array, owner: Backend, name: str, beside: Array | None = None) -> Array:
        """Take an array of another backend, or refuse it (TypeError), or where it lies (ValueError)."""
        if owner is self:
            place, near = getattr(array, "device", None), getattr(beside, "device", None)
            if place is not None and near is not None and place != near:
                how = self.as_near.format(library=self.library, name=name)
                raise ValueError(
                    f"`{name}` must be on the device of `predictions`, {near}; got one on {place}. Move it "
                    f"first, for example with {how}."
                )
            return array
        how = self.as_array.format(library=self.library, name=name)
        raise TypeError(
            f"`{name}` must be an array of {self.library}, as `predictions` is; got one of "
            f"{owner.library}. Convert it first, for example with {how}."
        )

    def kind(self, array: Array) -> str:
        """``"floating"``, ``"half"``, ``"integer"`` (bool too) or ``"other"``, read from the dtype's name.

        Not ``isdtype``: it raises for the bfloat16 that ml_dtypes gives NumPy.
        """
        name = dtype_name(array.dtype)
        if name.startswith(("float16", "bfloat16", "float8")):
            return "half"
        if name.startswith("float"):
            return "floating"
        return "integer" if name.startswith(("int", "uint", "bool")) else "other"

    def outliers(
        self, array: Array, low: float, high: float, ignored: tuple[int, ...] = ()
    ) -> list[float] | None:
        """Smallest and largest element, if one that is not ignored lies outside a range, NaN included.

        An empty list if none does; None where looking at values would cost something.
        """
        return None

    def look(self, array: Array, low: float, high: float, message: str) -> Array | None:
        """For debugging, a ValueError as soon as a number is known that lies outside a range, NaN included.

        `message` has ``{}`` for the number. Where a compiler leaves out what nothing depends on, a 1 to
        multiply with.
        """
        if 0 not in array.shape:
            number = int if self.kind(array) == "integer" else float
            refuse(number(self.xp.min(array)), number(self.xp.max(array)), low, high, message)
        return None

    def class_indices(self, labels: Array, classes: int | None = None) -> Array:
        """Labels of any integer dtype as signed integers.

        Where a number of classes is given, the nearest class in place of what is none.
        """
        xp, name = self.xp, dtype_name(labels.dtype)
        if name not in ("int32", "int64"):
            labels = xp.astype(labels, xp.int64 if name in ("uint32", "uint64") else xp.int32)
        return labels if classes is None else xp.clip(labels, 0, classes - 1)

    def differs(self, targets: Array, label: int) -> Array:
        """Where targets are not a given label, whether or not their dtype can hold it."""
        return targets != label if fits(dtype_name(targets.dtype), label) else targets == targets

    # --- constants --------------------------------------------------------------------------

    def constant(self, values: Any, dtype: Any, like: Array) -> Array:
        """Python numbers as an array of a dtype, on the device of another."""
        return self.xp.asarray(values, dtype=dtype, **_beside(like))

    def arange(self, count: int, like: Array) -> Array:
        """``0 .. count - 1`` with the dtype and device of another."""
        return self.xp.arange(count, dtype=like.dtype, **_beside(like))

    def stop_gradient(self, array: Array) -> Array:
        """The same values, cut off from differentiation."""
        return array

    # --- one number in, one number out ------------------------------------------------------

    def log_softmax(self, logits: Array) -> Array:
        """log(exp(z_c) / sum_k exp(z_k)) along axis 1."""
        xp = self.xp
        shifted = logits - self.stop_gradient(xp.max(logits, axis=1, keepdims=True))
        return shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))

    def log_sigmoid(self, logits: Array) -> Array:
        """log(1 / (1 + exp(-z))), exact for every z."""
        xp = self.xp
        negative = logits < 0
        below = xp.where(negative, logits, 0.0)
        return below - xp.log1p(xp.exp(xp.where(negative, logits, -logits)))

    def gather(self, values: Array, labels: Array) -> Array:
        """The entry of each pixel's class, (N, P).

        ``values[labels[n, i]]`` of a table (C,), ``values[n, labels[n, i]]`` of one (N, C),
        ``values[n, labels[n, i], i]`` of values (N, C, P).
        """
        xp = self.xp
        if values.ndim == 1:
            return xp.reshape(xp.take(values, xp.reshape(labels, (-1,)), axis=0), labels.shape)
        if values.ndim == 2:
            return xp.take_along_axis(values, labels, axis=1)
        index = xp.expand_dims(labels, axis=1)
        return xp.squeeze(xp.take_along_axis(values, index, axis=1), axis=1)

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Sum the values (N, P) of each label: (N, C)."""
        xp = self.xp
        sums = [xp.sum(xp.where(labels == c, values, 0.0), axis=-1) for c in range(classes)]
        return xp.stack(sums, axis=1)

    # --- rules ------------------------------------------------------------------------------

    def softmax_sums(
        self, scores: Array, labels: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], mix: Array | None = None, keep: bool = False, channels_last: bool = False,
    ) -> tuple[dict[str, Array], Pullback | None]:  # fmt: skip
        """What losses need of the softmax p of scores (N, C, P) where targets are labels y (N, P).

        `valid` (N, P) says where pixels count, everywhere if None: scores may be anything elsewhere, and
        weights u (N, P), 1 if None, are 0 there. `keep` says whether gradients will be asked for,
        `channels_last` whether the classes of a pixel lie side by side in memory.

        Returns
        -------
        outputs : dict of arrays
            What is `wanted`: ``"log_p"``: log p_y of each pixel (N, P), exact in the relative sense also
            where p_y is nearly 1, something finite where pixels do not count. ``"tp"``: sum_i u_i [y_i = c]
            p_ic, (N, C). ``"p"``: sum_i u_i p_ic. ``"p2"``: sum_i u_i p_ic^2. ``"mixed"``: sum_c m_c log
            p_ic of each pixel, with `mix` m (C,). ``"y"``: sum_i u_i [y_i = c], (N, C), a function of u.
        pullback : callable or None
            ``pullback(gradients, of_weights)``: from gradients of outputs, by name, those of scores and,
            if `of_weights`, of weights (else None).
        """
        return closed_forms.softmax_sums(self, scores, labels, valid, weights, wanted, mix)

    def sigmoid_sums(
        self, scores: Array, targets: Array, valid: Array | None, weights: Array | None,
        wanted: Sequence[str], keep: bool = False,
    ) -> tuple[dict[str, Array], Pullback | None]:  # fmt: skip
        """What losses need of the sigmoid p of scores (N, C, P) and of targets y of the same shape.

        Integer targets are true where they are 1; others are y. `valid` and `weights` are (N, 1, P) or
        (N, C, P), all else is as in `softmax_sums`. What may be `wanted`: ``"log_p"``: of integer targets,
        log p of the true side of each element (N, C, P), something finite where it does not count. Sums
        over pixels, (N, C): ``"p"``: sum_i u_i p_ic. ``"p2"``: sum_i u_i p_ic^2. ``"py"``: sum_i u_i p_ic
        y_ic. ``"tp"``: sum_i u_i min(p_ic, y_ic), with slope y where p = y. ``"y"``, ``"y2"`` and ``"u"``:
        sums of u y, u y^2 and u, functions of u.
        """
        return closed_forms.sigmoid_sums(self, scores, targets, valid, weights, wanted)

    def in_chunks(
        self, function: chunks.Function, values: Array, beside: Sequence[Array | None],
        options: Sequence[Any], otherwise: Callable[[], chunks.Sums],
    ) -> chunks.Sums:  # fmt: skip
        """Sums () over pixels, some pixels at a time, with the gradient of each chunk taken at once.

        ``function(values, *beside, *options)`` returns sums of which the first depends on the values
        (N, C, P), as scores, and no other does. Arrays (N, ..., P) `beside` them are cut along, None
        stays; `options` are the same for all. `otherwise` computes the sums where no chunks pay.
        """
        if not chunks.several(values, self.chunk):
            return otherwise()
        return chunks.sums(function, values, beside, options, self.chunk)

    def sorted_sums(
        self, scores: Array, foreground: Array, valid: Array | None, weights: Array | None, link: str,
        weigh: Callable[..., Array], per_image: bool, matters: Callable[[int, float], bool],
        keep: bool = False,
    ) -> tuple[dict[str, Array], Pullback | None]:  # fmt: skip
        """sum_i e_i g_i of each class, where g follows from the order of the errors e, and from weights.

        `foreground` is (N, C, P), bool, or the class of each pixel (N, P); scores, `valid` and `weights`
        are as in `sigmoid_sums`. Outputs are "sums" and "true", the weight of each class in the targets,
        (C,), or (N, C) if the pixels of each image are sorted by themselves (`per_image`).

        Parameters
        ----------
        link : str
            How errors follow: |y - p| of ``"softmax"`` or ``"sigmoid"`` of scores or of ``"probability"``;
            ``"hinge"``: max(0, 1 - z (2 y - 1)). Where one is 0 its weight is: no gradient at the kink.
        weigh : callable
            ``weigh(backend, dtype, foreground, background, intersection, union)``: g of pixels sorted so
            that errors fall, from the weight of each on the side of the class and on the other, and those
            of intersection and union before the first of them.
        matters : callable
            Whether a class is of use, given its index and its weight in the targets; where that costs
            nothing to know, the sum of others is 0.
        """
        return sorting.sorted_sums(self, scores, foreground, valid, weights, link, weigh, per_image)

    def descending(self, errors: Array, payload: Sequence[Array], function: Callable[..., Array]) -> Array:
        """Sort each row by falling error, apply a function to the sorted payload, put back.

        ``function(backend, dtype, *sorted_payload)`` returns an array (R, P) of the errors' dtype, which
        comes back in the order of the errors (R, P). A gradient flows to the payload alone.
        """
        xp = self.xp
        order = xp.argsort(errors, axis=-1, descending=True)
        values = function(self, errors.dtype, *(xp.take_along_axis(part, order, axis=-1) for part in payload))
        return xp.take_along_axis(values, xp.argsort(order, axis=-1), axis=-1)

    def cumulative_sum(self, values: Array) -> Array:
        """Sums up to each entry along the last axis."""
        return self.xp.cumulative_sum(values, axis=-1)

    # --- neighbours -------------------------------------------------------------------------

    def distance_transform(self, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
        """Distance of each cell (M, *S), bool, to the nearest True one of its image, inf if it has none.

        `spacing` is the step of the grid along each spatial axis, `dtype` that of the result.
        """
        return distances.distance_transform(self, mask, spacing, dtype)

    def nearest_two_distances(
        self, labels: Array, spacing: tuple[float, ...], dtype: Any
    ) -> tuple[Array, Array]:
        """Distances (M, *S) to the nearest label other than 0 and to the second nearest, or inf."""
        return distances.nearest_two_distances(self, labels, spacing, dtype)

    def max_pool(self, values: Array, size: int) -> Array:
        """Largest value in the window of odd `size` about each cell of (N, C, *S), cut off at borders.

        The gradient goes to the first, in the order of memory, of several largest values.
        """
        if 0 in values.shape:
            return values
        for axis in range(values.ndim - 1, 1, -1):
            values = self.max_along(values, axis, size)
        return values

    def max_along(self, values: Array, axis: int, size: int) -> Array:
        """`max_pool` along one axis."""
        return distances.max_along(self.xp, values, axis, size)

    # --- gradients --------------------------------------------------------------------------

    def value_and_grad(
        self, function: Callable[..., Any], argnums: tuple[int, ...], args: tuple[Any, ...],
        kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[Any, tuple[Array, ...]]:  # fmt: skip
        """What ``function(*args, **kwargs)`` returns, and gradients by the arguments `argnums`, by the tape.

        The function returns a pair: the value to differentiate and what else is wanted, () if nothing; on
        the tape any tuple that begins with the value.
        """
        (differentiate,) = TAPE
        found: tuple[Any, tuple[Array, ...]] = differentiate(self, function, argnums, args, kwargs or {})
        return found


def refuse(least: float, most: float, low: float, high: float, message: str) -> None:
    """Refuse numbers from `least` to `most` if one lies outside a range (ValueError)."""
    if not (low <= least and most <= high):
        raise ValueError(message.format(least if least < low else most))


TAPE: list[Callable[..., Any]] = []
"""How to differentiate arrays of a library that cannot: `agnoloss.autodiff` puts its function here."""


def _beside(like: Array) -> dict[str, Any]:
    """Keyword that puts a new array on the device of another; none for MLX, whose arrays have none."""
    try:
        return {"device": device(like)}
    except AttributeError:
        return {}


_LIMITS = {f"int{b}": (-(2 ** (b - 1)), 2 ** (b - 1) - 1) for b in (8, 16, 32, 64)}
_LIMITS |= {f"uint{b}": (0, 2**b - 1) for b in (8, 16, 32, 64)}


def fits(name: str, label: int) -> bool:
    """Whether a dtype of this name can hold a label."""
    low, high = _LIMITS.get(name, (label, label))
    return low <= label <= high


def dtype_name(dtype: Any) -> str:
    """``float64`` for any library's way to write it (NumPy's own str of a swapped one is ``>f8``)."""
    name = getattr(dtype, "name", None)
    return name if isinstance(name, str) else str(dtype).rpartition(".")[2]
