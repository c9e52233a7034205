"""NumPy's functions on boxes: which function of the standard each is, and how NumPy spells its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..backends import is_array
from .rules import NO_GRADIENT, RULES, WAY_OUT, no_rule
from .rules_of_indexing import padded

_STANDARD = {
    **{f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")},
    "absolute": "abs", "fabs": "abs", "amax": "max", "amin": "min", "concatenate": "concat",
    "conjugate": "conj", "copy": "positive", "cumprod": "cumulative_prod", "cumsum": "cumulative_sum",
    "flatten": "ravel", "power": "pow", "true_divide": "divide",
}  # fmt: skip
"""NumPy's name of a function, and the standard's where it is another."""

# Parameters in NumPy's order: what has no default / what has one; those marked "!" are refused.
_SIGNATURES = {
    "sum prod mean": "a / axis dtype !out keepdims",
    "max min": "a / axis !out keepdims",
    "var std": "a / axis !dtype !out correction keepdims",
    "cumulative_sum cumulative_prod": "a / axis dtype !out",
    "sort": "a / axis !kind !order stable",
    "clip": "a / min max !out",
    "take take_along_axis": "a indices / axis !out !mode",
    "expand_dims squeeze flip": "a / axis",
    "roll": "a shift / axis",
    "repeat": "a repeats / axis",
    "tile": "a reps /",
    "moveaxis": "a source destination /",
    "transpose": "a / axes",
    "reshape broadcast_to": "a shape /",
    "ravel": "a / !order",
    "tril triu": "a / k",
    "diff": "a / n axis",
    "concat stack": "arrays / axis !out",
    "astype": "a dtype / !order !casting !subok copy",
    "pad": "a pad_width / !mode",
    "dot inner outer": "a b / !out",
    "tensordot": "a b / axes",
    "linalg.norm": "a / ord axis keepdims",
}
_PARAMETERS = {name: text.split("/") for names, text in _SIGNATURES.items() for name in names.split()}
_RENAMED = {"a_max": "max", "a_min": "min", "ddof": "correction"}
_DEFAULTS = (("mode", "constant"), ("order", "C"), ("order", "K"))
_LAID_FLAT = {"cumulative_sum": None, "cumulative_prod": None, "sort": "last", "take_along_axis": "last"}
"""Functions that NumPy applies to the array laid flat where the axis is None, and the one that they have."""
# A list is an array, but for these.
_TUPLES = frozenset({"axes", "axis", "destination", "reps", "shape", "shift", "source"})

# Functions whose results have no slope, NumPy's own among them.
_CONSTANT = NO_GRADIENT | {"around", "fix", "isclose", "ndim", "rint", "shape", "size"}

_INSTEAD = {
    "accumulate": "use `cumsum` or `cumprod`",
    "out": "nothing can be written into; make a new array, as `total = total + a` does",
    "reduce": "use `sum`, `prod`, `max` or `min`",
    "where": "choose by the function `where`",
}
"""What to write in place of methods of ufuncs and of arguments."""


def _call(name: str, plain: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Apply NumPy's function of a name, which is `plain` of plain arrays, to boxes among its arguments."""
    values = [*args, *kwargs.values()]
    values += [part for value in values if isinstance(value, (list, tuple)) for part in value]
    tapes = [value._agnoloss_tape for value in values if hasattr(value, "_agnoloss_tape")]
    tape = max(tapes, key=lambda tape: tape.level)  # of the innermost derivative
    if name in _CONSTANT or not tape.any_tracked((args, kwargs)):
        return tape.box(plain(*tape.plain(args), **tape.plain(kwargs)))
    name = _STANDARD.get(name, name)
    if name not in RULES and name not in _BY_OTHERS:
        raise no_rule(name, _INSTEAD.get(name.rpartition(".")[2]))
    # Of what is not listed, the number of inputs is known of ufuncs and of CuPy's kernels.
    unnamed = " ".join(f"x{i}" for i in range(getattr(plain, "nin", len(args)))), "!out"
    needed, optional = (text.split() for text in _PARAMETERS.get(name, unnamed))
    options, names = {}, [*needed, *optional, *["further"] * len(args)]
    for key, value in [*zip(names, args, strict=False), *kwargs.items()]:
        key = _RENAMED.get(key, key).removeprefix("!")
        if (value is None and key != "axis") or (key, value) in _DEFAULTS:
            continue
        if key not in needed + optional:
            raise no_rule(f"{name}({key}=)", _INSTEAD.get(key))
        options[key] = _spelt(tape.xp, key, value)
    inputs = [options.pop(key) for key in needed if key in options]
    if name in _LAID_FLAT and options.get("axis", _LAID_FLAT[name]) is None:
        inputs[0], options["axis"] = tape.xp.ravel(inputs[0]), 0
    function = partial(_BY_OTHERS[name], tape.xp) if name in _BY_OTHERS else getattr(tape.xp, name)
    return function(*inputs, **options)


def _spelt(xp: Any, key: str, value: Any) -> Any:
    """An argument as the standard takes it, which knows no lists and no numbers in place of arrays."""
    if key == "arrays":
        return [part if is_array(part) else xp.asarray(part) for part in value]
    if not isinstance(value, (list, tuple)):
        return value
    return tuple(value) if key in _TUPLES else xp.asarray(value)


# --- what the standard spells by other functions ----------------------------------------------


def _dot(xp: Any, a: Any, b: Any, axis: int = -2) -> Any:
    """Sum over the last axis of a and one of b, which is the last where b has no more."""
    if not getattr(a, "ndim", 0) or not getattr(b, "ndim", 0):
        return xp.multiply(xp.asarray(a), xp.asarray(b))
    return xp.tensordot(a, b, axes=((-1,), (max(axis, -b.ndim),)))


def _norm(xp: Any, a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Square root of the sum of squares, with gradient 0 where it is 0."""
    of_vectors = isinstance(axis, int) or (axis is None and a.ndim == 1)
    if ord not in ((None, 2) if of_vectors else (None, "fro")):
        raise no_rule("linalg.norm(ord=)")
    squares = xp.sum(a * a, axis=axis, keepdims=keepdims)
    return xp.where(squares == 0, 0.0, xp.sqrt(xp.where(squares == 0, 1.0, squares)))


def _pad(xp: Any, a: Any, pad_width: Any) -> Any:
    """Zeros around an array."""
    pairs = xp.broadcast_to(xp.asarray(pad_width), (a.ndim, 2)).tolist()
    for axis, (before, after) in enumerate(pairs):
        a = padded(xp, padded(xp, a, axis, before, before=True), axis, after)
    return a


_BY_OTHERS: dict[str, Callable[..., Any]] = {
    "dot": _dot,
    "inner": partial(_dot, axis=-1),
    "linalg.norm": _norm,
    "outer": lambda xp, a, b: xp.multiply(xp.reshape(a, (-1, 1)), xp.reshape(b, (1, -1))),
    "pad": _pad,
    "tile": lambda xp, a, reps: xp.tile(a, reps if isinstance(reps, tuple) else (reps,)),
    "transpose": lambda xp, a, axes=None: xp.permute_dims(a, axes or tuple(range(a.ndim))[::-1]),
}


# --- what NumPy and CuPy ask of boxes ---------------------------------------------------------


class NumPyArray:
    """An array that NumPy's functions take for one of its own, with the methods of its library's arrays."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """NumPy's ufuncs; operators of plain arrays are among them, and losses use these."""
        name = ufunc.__name__
        if method != "__call__":
            name = f"{name}.{method}"
        elif inputs[-1] is self and name in RULES and hasattr(inputs[0], "ndim") and not kwargs:
            return getattr(self._agnoloss_tape.xp, name)(*inputs)
        return _call(name, getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """NumPy's other functions."""
        name = f"{function.__module__}.{function.__name__}"
        return _call(name.removeprefix("numpy."), function, args, kwargs)

    def __cupy_override_elementwise_kernel__(self, kernel: Any, *args: Any, **kwargs: Any) -> Any:
        """CuPy's ufuncs and its `where`; its other functions call methods, or refuse the box."""
        return _call(kernel.name.removeprefix("cupy_"), kernel, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        """Methods of the array: its own where they have no slope, and of constants."""
        own = None if name.startswith("__") else getattr(self.value, name)
        if own is not None and (name in _CONSTANT or not self.tracked):
            return own
        if not callable(own):
            raise AttributeError(f"A value that is being differentiated has no `{name}`: {WAY_OUT}.")

        def of_plain(x: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(x, name)(*args, **kwargs)

        def method(*args: Any, **kwargs: Any) -> Any:
            inputs = (args,) if len(args) > 1 and name in ("reshape", "transpose") else args
            return _call("sort in place" if name == "sort" else name, of_plain, (self, *inputs), kwargs)

        return method
