"""Every hook of the backend layer, written in the array API standard alone.

A library's own file overrides a hook only where it must or where it is faster; its docstring says
which. Arrays are ``(N, C, P)`` (images, classes, pixels) or ``(N, P)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

from ..compat import device
from . import neighbours

Array = Any


class Backend:
    """What a loss needs of an array library.

    Parameters
    ----------
    xp : namespace
        The library's array API namespace.
    library : str
        Its name, for messages.
    """

    level = -1
    """How deep its arrays are nested in tapes; plain arrays are not."""

    def __init__(self, xp: Any, library: str) -> None:
        self.xp = xp
        self.library = library

    # --- inputs -----------------------------------------------------------------------------

    def check_type(self, array: Array, name: str) -> None:
        """Refuse array types of the library that do not behave as arrays (TypeError)."""

    def adopt(self, array: Array, other: Backend, name: str) -> Array:
        """Take an array of another backend, or refuse it (TypeError)."""
        if other is self:
            return array
        raise TypeError(
            f"`{name}` must be an array of {self.library}, as `predictions` is; got one of "
            f"{other.library}. {self.conversion_hint(name)}"
        )

    def conversion_hint(self, name: str) -> str:
        """Tell how to make an array of this library, the last sentence of a TypeError."""
        return f"Convert it first, for example with {self.library}.asarray({name})."

    def kind(self, array: Array) -> str:
        """``"floating"``, ``"integer"`` (bool too) or ``"other"``, read from the dtype's name.

        Not ``isdtype``: it raises for the bfloat16 that ml_dtypes gives NumPy.
        """
        name = _name(array.dtype)
        if name.startswith(("float", "bfloat")):
            return "floating"
        return "integer" if name.startswith(("int", "uint", "bool")) else "other"

    def is_half(self, array: Array) -> bool:
        """Whether a floating dtype is narrower than float32."""
        name = _name(array.dtype)
        return name.startswith(("float16", "bfloat16", "float8"))

    def upcast(self, array: Array) -> Array:
        """float16 and bfloat16 to float32, anything else as it is."""
        return self.xp.astype(array, self.xp.float32) if self.is_half(array) else array

    def labels(self, array: Array) -> Array:
        """Integer or bool labels as signed integers that can be compared with any label."""
        name = _name(array.dtype)
        if name in ("int32", "int64"):
            return array
        wide = self.xp.int64 if name in ("uint32", "uint64") else self.xp.int32
        return self.xp.astype(array, wide)

    def is_label(self, labels: Array, label: int) -> Array:
        """Where integers or floats are a given label."""
        return labels == label

    def extremes(self, array: Array, ignored: tuple[int, ...] = ()) -> tuple[float, float] | None:
        """Smallest and largest element, where looking costs nothing; otherwise None.

        Labels to ignore count as 0, and so does an array without elements.
        """
        return None

    def within(self, array: Array, low: float, high: float, ignored: tuple[int, ...] = ()) -> bool | None:
        """Whether all elements that are not ignored lie in a range, where looking costs nothing."""
        extremes = self.extremes(array, ignored)
        return None if extremes is None else low <= extremes[0] and extremes[1] <= high

    def in_range(self, labels: Array, classes: int) -> Array:
        """Labels, with the nearest class in place of what is none."""
        return self.xp.clip(labels, 0, classes - 1)

    def ones_where(self, mask: Array, dtype: Any) -> Array:
        """1 where a mask holds, 0 elsewhere."""
        return self.xp.astype(mask, dtype)

    # --- constants --------------------------------------------------------------------------

    def beside(self, like: Array) -> dict[str, Any]:
        """Keyword that puts a new array on the device of another; none for MLX, whose arrays have none."""
        try:
            return {"device": device(like)}
        except AttributeError:
            return {}

    def constant(self, values: Any, dtype: Any, like: Array) -> Array:
        """Python numbers as an array of a dtype, on the device of another."""
        return self.xp.asarray(values, dtype=dtype, **self.beside(like))

    def arange(self, count: int, like: Array) -> Array:
        """``0 .. count - 1`` with the dtype and device of another."""
        return self.xp.arange(count, dtype=like.dtype, **self.beside(like))

    def stop_gradient(self, array: Array) -> Array:
        """The same values, cut off from differentiation."""
        return array

    def masked(self, values: Array, valid: Array) -> Array:
        """Floating values where a mask holds, 0 elsewhere."""
        return self.xp.where(valid, values, 0.0)

    def per_label(self, table: Array, labels: Array) -> Array:
        """``table[n, labels[n, i]]`` for a table (N, C) of one number for each image and class: (N, P)."""
        return self.xp.take_along_axis(table, labels, axis=1)

    # --- mathematics ------------------------------------------------------------------------

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

    def softmax(self, logits: Array) -> Array:
        """exp(z_c) / sum_k exp(z_k) along axis 1."""
        return self.xp.exp(self.log_softmax(logits))

    def sigmoid(self, logits: Array) -> Array:
        """1 / (1 + exp(-z)), exact for every z."""
        return self.xp.exp(self.log_sigmoid(logits))

    def sigmoid_complement(self, logits: Array) -> Array:
        """1 / (1 + exp(z)), which is 1 - sigmoid(z), exact for every z."""
        return self.sigmoid(-logits)

    def gather(self, values: Array, labels: Array) -> Array:
        """``values[n, labels[n, i], i]``: the entry of each pixel's class, (N, P)."""
        xp = self.xp
        index = xp.expand_dims(labels, axis=1)
        return xp.squeeze(xp.take_along_axis(values, index, axis=1), axis=1)

    def lookup(self, table: Array, labels: Array) -> Array:
        """``table[labels]`` for a table of one number per class."""
        xp = self.xp
        flat = xp.take(table, xp.reshape(labels, (-1,)), axis=0)
        return xp.reshape(flat, labels.shape)

    def class_sums(self, values: Array, labels: Array, classes: int) -> Array:
        """Sum the values (N, P) of each label: (N, C)."""
        xp = self.xp
        sums = [xp.sum(xp.where(labels == c, values, 0.0), axis=-1) for c in range(classes)]
        return xp.stack(sums, axis=1)

    def widened(self, block: Any) -> Array:
        """Predictions of a `Block` in float32 or wider."""
        return self.upcast(block.predictions)

    def normaliser(self, block: Any) -> tuple[Array, Array]:
        """Largest score of each pixel of a `Block` and log of the sum of exp(z - largest), (n, p) each."""
        xp = self.xp
        top = self.stop_gradient(xp.max(block.scores, axis=1, keepdims=True))
        log_sum = xp.log(xp.sum(xp.exp(block.scores - top), axis=1))
        return xp.squeeze(top, axis=1), log_sum

    def label_log_probs(self, block: Any) -> Array:
        """Log-softmax of each pixel's label (n, p) in a `Block`, something finite where ignored."""
        return self.gather(block.log_probs, block.labels)

    def prob_sums(self, block: Any) -> Array:
        """Weighted sums (n, C) of the softmax over the pixels of a `Block`."""
        return block.sum_pixels(block.probs)

    def cumulative_sum(self, values: Array) -> Array:
        """Sums up to each entry along the last axis."""
        return self.xp.cumulative_sum(values, axis=-1)

    def in_descending_order(
        self, errors: Array, payload: tuple[Array, ...], function: Callable[..., Array]
    ) -> Array:
        """Sort each row by falling error, apply a function to the sorted payload, put back.

        Parameters
        ----------
        errors : array, (R, P)
            What to sort by.
        payload : tuple of arrays, (R, P)
            What the function needs, sorted along.
        function : callable
            ``function(backend, dtype, *sorted_payload)`` to an array (R, P) of the errors' dtype.

        Returns
        -------
        array, (R, P)
            The function's values in the order of `errors`; no gradient flows through them.
        """
        xp = self.xp
        order = xp.argsort(errors, axis=-1, descending=True)
        values = function(self, errors.dtype, *(xp.take_along_axis(part, order, axis=-1) for part in payload))
        return xp.take_along_axis(values, xp.argsort(order, axis=-1), axis=-1)

    # --- neighbours -------------------------------------------------------------------------

    def distance_transform(self, mask: Array, spacing: tuple[float, ...], dtype: Any) -> Array:
        """Distance of each cell (M, *S) to the nearest True cell of its image, inf if it has none.

        Parameters
        ----------
        mask : array, (M, *S), bool
            Images.
        spacing : tuple of floats
            Step of the grid along each spatial axis.
        dtype : dtype
            Of the result.
        """
        return neighbours.distance_transform(self, mask, spacing, dtype)

    def nearest_two_distances(
        self, labels: Array, spacing: tuple[float, ...], dtype: Any
    ) -> tuple[Array, Array]:
        """Distances (M, *S) to the nearest label other than 0 and to the second nearest, or inf."""
        return neighbours.nearest_two_distances(self, labels, spacing, dtype)

    def over_rows(self, function: neighbours.OfRows, rows: tuple[Array, ...]) -> tuple[Array, ...]:
        """Apply a function of rows that looks at pairs of cells, without storing too many of them.

        2**18 pairs, 2 MiB in float64, stay in a CPU's cache: 4 times as fast as 2**22 with NumPy.
        """
        return neighbours.over_rows(self, function, rows, 2**18)

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
        return neighbours.max_along(self.xp, values, axis, size)

    def sum_blocks(self, pixels: Any, statistics: tuple[Callable[..., Any], ...]) -> list[Any]:
        """Statistics of all pixels; see `Pixels.sum`."""
        from ..blocks import blocks_of
        from ..passes import worthwhile

        if not (self.writes and worthwhile(pixels)):
            return [statistic(pixels.whole) for statistic in statistics]
        blocks = blocks_of(pixels, statistics, gradient=False)
        vector = blocks.vector()
        return blocks.split(self.xp, vector)

    def sum_sorted(
        self,
        pixels: Any,
        errors: Callable[[Any], Array],
        weigh: Callable[..., Array],
        per_image: bool,
        matters: Callable[[int, float], bool],
    ) -> list[Array]:
        """Sums over sorted pixels; see `Pixels.sum_sorted`."""
        from ..passes import worthwhile
        from ..sorted_sums import SortedSums, composed

        if not (self.sorts and worthwhile(pixels)):
            return list(composed(pixels, errors, weigh, per_image))
        sums = SortedSums(pixels, errors, weigh, per_image, matters)
        return sums.split(self.xp, sums.vector())

    sorts = False
    """Whether to sort row by row, by `by_falling`: where rows lie in host memory."""

    remembers = False
    """Whether losses of small inputs are remembered as programs."""

    def remembered(
        self, loss: Callable[..., Array], predictions: Array, targets: Any, options: dict[str, Any]
    ) -> Array | None:
        """Value of a loss of a small input from a program, if there is one; asked where it `remembers`."""
        raise NotImplementedError

    reads = False
    """Whether to look at a number costs nothing."""

    def by_falling(self, errors: Array, sides: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Pixels that have an error sorted so that it falls, in pieces.

        Parameters
        ----------
        errors : array, (P,)
            Not negative.
        sides : array, (P,), int8
            A number from 0 to 3 for each.

        Yields
        ------
        tuple of arrays
            Where they stand in the row, their errors and their sides.
        """
        xp = self.xp
        (where,) = xp.nonzero(errors != 0)
        order = xp.take(where, xp.argsort(xp.take(errors, where), descending=True))
        yield order, xp.take(errors, order), xp.take(sides, order)

    writes = False
    """Whether results may be written into parts of arrays, block by block."""

    block_elements = 500_000
    """Scores that are worked on at a time, 2 MB of float32: with fewer, two threads wait more often for the
    interpreter; up to two millions the time is the same, in more memory."""

    panel_pixels = 2**15
    """Pixels whose own numbers are computed together, at most: with fewer Python takes longer."""

    threads = False
    """Whether blocks may run in threads."""

    def empty(self, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """An array to be filled, on the device of another."""
        return self.xp.empty(shape, dtype=dtype, **self.beside(like))

    def recorder(self, pixels: Any, functions: tuple[Callable[[Any], Any], ...]) -> Any:
        """Functions of blocks, to be differentiated: a `Recorder`, by the tape."""
        from ..recorder import Recorder

        return Recorder(pixels, functions)

    def look(
        self, block: Any, pieces: Sequence[tuple[slice, slice]], place: Array | None, sums: bool
    ) -> tuple[Array, Array, Array | None]:
        """Look at the raw scores z of a `Block` of labels; without derivatives.

        Parameters
        ----------
        block : Block
            Multiclass; ignored pixels may hold anything.
        pieces : sequence of pairs of slices
            Images and pixels of the block, in pieces that fit the cache.
        place : array, (n, C, p), or None
            Where to leave what `softmax_gradient` begins with, if anywhere: u p_c if class sums are
            wanted, exp(z_c - top) otherwise.
        sums : bool
            Whether class sums are wanted.

        Returns
        -------
        log_probs : array, (n, p)
            log p of the labels, something finite where ignored.
        totals : array, (n, p), or None
            What the place is to be divided by to hold p_c or u p_c; None for 1.
        class_sums : array, (n, C), or None
            sum_i u_i p_ic.
        """
        xp = self.xp
        scores = block.scores
        top = xp.max(scores, axis=1)
        values = xp.exp(scores - xp.expand_dims(top, axis=1))
        totals = xp.sum(values, axis=1)
        log_probs = (self.gather(scores, block.labels) - top) - xp.log(totals)
        if sums:
            inverse = 1.0 / totals if block.weights is None else block.weights / totals
            values = values * xp.expand_dims(inverse, axis=1)
        if place is not None:
            place[...] = values
        return log_probs, None if sums else totals, xp.sum(values, axis=2) if sums else None

    closes = False
    """Whether `parts` and `parts_gradient` save time, in place of operations that are differentiated."""

    def parts(self, scores: Array, labels: Array, valid: Array | None) -> tuple[Array, Array, Array]:
        """What `look` leaves in the place, the totals and log p of the labels, of a whole input."""
        place = self.empty(tuple(scores.shape), scores.dtype, scores)  # in the order that `look` expects
        block = SimpleNamespace(
            predictions=scores, labels=labels, valid=valid, weights=None, dtype=scores.dtype
        )
        log_probs, totals, _ = self.look(block, _WHOLE, place, False)
        return place, totals, log_probs

    def parts_sums(self, values: Array, totals: Array, weights: Array | None) -> Array:
        """sum_i u_i p_ic, (n, C), from `parts`."""
        scale = 1.0 / totals if weights is None else weights / totals
        return self.xp.sum(values * self.xp.expand_dims(scale, axis=1), axis=2)

    def parts_gradient(
        self, values: Array, totals: Array, labels: Array, weights: Array | None, d: Any, b: Any
    ) -> Array:
        """Gradient of the scores from `parts`, by d or b of `softmax_gradient`; where it `closes`."""
        raise NotImplementedError

    def softmax_gradient(
        self,
        block: Any,
        pieces: Sequence[tuple[slice, slice]],
        place: Array,
        totals: Array,
        of_log_probs: Any,
        of_sums: Any,
    ) -> None:
        """Gradient of scores in closed form: u p_c (b_c - sum_k p_k b_k) - d p_c + d [c = y].

        Parameters
        ----------
        block, pieces, place, totals
            As of `look`; the gradient takes the place.
        of_log_probs : array, (n, p), or None
            Gradient d of the log-probability of each pixel's label, 0 where pixels do not count.
        of_sums : array, (n, C), or None
            Gradient b of the weighted sums of probabilities.
        """
        xp = self.xp
        if of_sums is None:
            place[...] = place * xp.expand_dims(-of_log_probs / totals, axis=1)
        else:
            b = xp.expand_dims(of_sums, axis=2)
            slope = xp.sum(place * b, axis=1)
            if of_log_probs is not None:
                slope = slope + of_log_probs
            if block.pixel_weights is not None:
                slope = slope / xp.where(block.weights == 0, 1.0, block.weights)
            place[...] = place * (b - xp.expand_dims(slope, axis=1))
        if of_log_probs is not None:
            d = xp.expand_dims(of_log_probs, axis=1)
            place[...] = place + xp.where(block.is_class, d, 0.0)

    # --- gradients --------------------------------------------------------------------------

    def value_and_grad(
        self,
        function: Callable[..., Array],
        argnums: tuple[int, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[Array, tuple[Array, ...]]:
        """Value of a function and its gradients, by the tape."""
        from ..tape import value_and_grad

        return value_and_grad(self, function, argnums, args, kwargs)


_WHOLE = [(slice(None), slice(None))]


def _name(dtype: Any) -> str:
    """``float64`` for any library's way to write it (NumPy's own str of a swapped one is ``>f8``)."""
    name = getattr(dtype, "name", None)
    return name if isinstance(name, str) else str(dtype).rpartition(".")[2]
