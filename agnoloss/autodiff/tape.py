"""Reverse-mode differentiation for array libraries that have none.

A `Box` stands for an array while a function runs; every operation on it is noted with the rule that
takes a gradient back to its inputs (`rules.py`). Rules are written with the operations of the
boxed arrays, so a box may hold another tape's boxes: differentiation nests.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from ..array import Array
from ..backends import Backend, is_array
from ..backends.base import TAPE
from ..compat import device
from . import rules_of_indexing, rules_of_reductions, rules_of_shapes  # noqa: F401 - their rules join RULES
from .hooks import TapeBackend
from .numpy_names import NumPyArray
from .rules import BINARY_OPERATORS, COMPARISONS, NO_GRADIENT, RULES, UNARY_OPERATORS, no_rule

_levels, _ages = itertools.count(), itertools.count()


class Box(NumPyArray):
    """An array under differentiation; behaves as an array of the standard."""

    __slots__ = ("_agnoloss_tape", "age", "parents", "tracked", "value")

    def __init__(self, value: Array, tape: Tape, parents: tuple[Any, ...], tracked: bool) -> None:
        self.value, self._agnoloss_tape = value, tape
        self.parents, self.tracked = parents, tracked
        self.age = next(_ages)  # above those of its parents

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    dtype = property(lambda self: self.value.dtype)
    size = property(lambda self: self.value.size)
    device = property(lambda self: device(self.value))
    _agnoloss_backend = property(lambda self: self._agnoloss_tape.backend)
    T = property(lambda self: self._agnoloss_tape.xp.permute_dims(self, tuple(range(self.ndim))[::-1]))
    mT = property(lambda self: self._agnoloss_tape.xp.matrix_transpose(self))
    __hash__ = object.__hash__
    __copy__ = __deepcopy__ = lambda self, *_: self  # a copy would stand for nothing on the tape

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        """Namespace whose functions note what they do."""
        return self._agnoloss_tape.xp

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Any:
        return iter(self._agnoloss_tape.xp.unstack(self) if len(self) else ())

    def __getitem__(self, key: Any) -> Box:
        return self._agnoloss_tape.xp.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "A value that is being differentiated cannot be written into: make a new array, with `where` "
            "or `concat`."
        )

    def __repr__(self) -> str:
        return f"Box({self.value!r})"


def _of_constants(convert: Callable[..., Any]) -> Callable[..., Any]:
    """Conversion that would cut a gradient in silence, where there is one."""

    def converted(self: Box, *args: Any, **kwargs: Any) -> Any:
        if self.tracked:
            raise TypeError(
                "A value that is being differentiated cannot become a Python number, bool, list or a plain "
                "array: return it from the function instead. `where` stands for `if`, `stack` for an array "
                "of results, `x @ y` for `x.dot(y)`."
            )
        return convert(self.value, *args, **kwargs)

    return converted


_CONVERSIONS: dict[str, Callable[..., Any]] = {
    "array": lambda x, *args, **kwargs: x.__array__(*args, **kwargs),
    "bool": bool, "complex": complex, "float": float, "index": operator.index, "int": int,
}  # fmt: skip
for _name, _convert in _CONVERSIONS.items():
    setattr(Box, f"__{_name}__", _of_constants(_convert))


def _operator(name: str, swap: bool) -> Callable[[Box, Any], Any]:
    def operate(self: Box, other: Any) -> Any:
        tape = self._agnoloss_tape
        if isinstance(other, Box) and other._agnoloss_tape.level > tape.level:
            tape = other._agnoloss_tape  # the inner derivative notes operations on both
        function = getattr(tape.xp, name)
        return function(other, self) if swap else function(self, other)

    return operate


for _symbol, _name in (BINARY_OPERATORS | COMPARISONS).items():
    setattr(Box, f"__{_symbol}__", _operator(_name, swap=False))
    if _symbol in BINARY_OPERATORS:
        setattr(Box, f"__r{_symbol}__", _operator(_name, swap=True))
for _symbol, _name in UNARY_OPERATORS.items():
    setattr(Box, f"__{_symbol}__", lambda self, name=_name: getattr(self._agnoloss_tape.xp, name)(self))


class _Joint:
    """Several results of one operation, whose gradients go back together; stands for them among boxes."""

    __slots__ = ("age", "inputs", "parents", "pullback", "size")

    def __init__(self, pullback: Any, inputs: tuple[Any, ...], size: int) -> None:
        self.pullback, self.size = pullback, size
        self.inputs, self.parents = inputs, [(box, None) for box in inputs]
        self.age = next(_ages)


class TapeNamespace:
    """The array API namespace of boxes, or an extension of it, as ``linalg``; the tape notes what is done."""

    __name__ = "agnoloss.tape"

    def __init__(self, tape: Tape, extension: str = "", plain: bool = False) -> None:
        self._tape, self._extension, self._plain = tape, extension, plain

    def __getattr__(self, name: str) -> Any:
        tape, extension = self._tape, self._extension
        if name in RULES and (not extension or name in _IN_LINALG):
            function: Callable[..., Any] = partial(RULES[name], tape)
            if tape.nested:
                function = self._of_known(function)
        else:
            plain = getattr(getattr(tape.inner.xp, extension) if extension else tape.inner.xp, name)
            if isinstance(plain, (ModuleType, TapeNamespace)) and not extension:
                return TapeNamespace(tape, name)
            if not callable(plain) or isinstance(plain, type):
                return plain
            function = self._constant(name, plain)
        if self._plain:
            function = _unless_plain(function, getattr(tape.inner.xp, name))
        setattr(self, name, function)
        return function

    def _of_known(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """An array of the library is a constant of the tapes around as well."""
        tape = self._tape
        return lambda *args, **kwargs: function(*tape.known(args), **tape.known(kwargs))

    def _constant(self, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        tape = self._tape

        def function(*args: Any, **kwargs: Any) -> Any:
            if name not in NO_GRADIENT and tape.any_tracked((args, kwargs)):
                raise no_rule(f"{self._extension}.{name}" if self._extension else name)
            value = plain(*tape.plain(args), **tape.plain(kwargs))
            return value if self._plain else tape.box(value)

        return function


def _unless_plain(function: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """The library's own function where no argument is a box, or may hold one."""

    def either(*args: Any, **kwargs: Any) -> Any:
        free = _BOXES.isdisjoint(map(type, args)) and _BOXES.isdisjoint(map(type, kwargs.values()))
        return (plain if free else function)(*args, **kwargs)

    return either


_BOXES = frozenset({Box, tuple, list})

# What may hold boxes. To ask for them all at once is four times as fast, and most values are none.
_CONTAINERS = (tuple, list, dict, partial)

# Functions of the extension linalg that the main namespace has as well.
_IN_LINALG = frozenset({"matmul", "matrix_transpose", "tensordot", "vecdot"})


def _rebuilt(value: Any, function: Callable[[Any], Any]) -> Any:
    """A container with a function of each thing that it holds."""
    if isinstance(value, partial):
        return partial(value.func, *_rebuilt(value.args, function), **_rebuilt(value.keywords, function))
    if isinstance(value, dict):
        return {key: function(part) for key, part in value.items()}
    parts = [function(part) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


class Tape:
    """One recording: boxes made by it, the namespace and backend they belong to."""

    def __init__(self, inner: Backend, like: Array) -> None:
        self.inner: Any = inner
        self.nested = isinstance(inner, TapeBackend)
        # arrays of NumPy and CuPy leave their operators to a box, those of array-api-strict raise
        self.boxes_all = self.nested or not hasattr(like, "__array_ufunc__")
        self.level = next(_levels)
        self.xp: Any = TapeNamespace(self)
        self.backend = TapeBackend(self, self.xp if self.boxes_all else TapeNamespace(self, plain=True))

    def box(self, value: Any, tracked: bool = False) -> Any:
        """Box arrays, also inside lists, tuples and partial functions; leave anything else alone."""
        if isinstance(value, (partial, tuple, list)):
            return _rebuilt(value, lambda part: self.box(part, tracked))
        if not is_array(value):
            return value
        if self.nested:
            value = self.inner.tape.known(value)  # a constant of the outer tape as well
        return Box(value, self, (), tracked)

    def plain(self, value: Any) -> Any:
        """Take arrays out of this tape's boxes, also inside tuples, lists and dictionaries."""
        if type(value) is Box:
            return value.value if value._agnoloss_tape is self else value
        return _rebuilt(value, self.plain) if isinstance(value, _CONTAINERS) else value

    def known(self, value: Any) -> Any:
        """Box the arrays that are not on the tape, also inside tuples, lists and dictionaries."""
        if isinstance(value, _CONTAINERS):
            return _rebuilt(value, self.known)
        return value if getattr(value, "_agnoloss_tape", None) is self else self.box(value)

    def any_tracked(self, value: Any) -> bool:
        """Whether a gradient is wanted of any of the values."""
        if type(value) is Box:
            return value.tracked and value._agnoloss_tape is self
        if not isinstance(value, _CONTAINERS):
            return False
        if isinstance(value, partial):
            value = (*value.args, *value.keywords.values())
        if isinstance(value, dict):
            value = value.values()
        return any(self.any_tracked(part) for part in value)

    def note(self, value: Array, *inputs: tuple[Any, Callable[[Array], Array]]) -> Box:
        """Box a result together with, for each input, the rule for its share of the gradient."""
        parents = tuple(
            [p for p in inputs if type(b := p[0]) is Box and b.tracked and b._agnoloss_tape is self]
        )
        return Box(value, self, parents, bool(parents))

    def note_together(
        self, values: Iterable[Array], inputs: Sequence[Any],
        pullback: Callable[[Sequence[Array | None]], Sequence[Array | None]],
    ) -> list[Box]:  # fmt: skip
        """Box several results together with the rule from their gradients to those of all inputs.

        Where no gradient of a result is wanted, or an input has none, it is None.
        """
        tracked = [self.any_tracked(box) for box in inputs]
        values = list(values)
        if not any(tracked):
            return [self.backend.known(value) for value in values]

        def of_tracked(gradients: Sequence[Array | None]) -> list[Array | None]:
            return [share for share, wanted in zip(pullback(gradients), tracked, strict=True) if wanted]

        boxes = tuple(box for box, wanted in zip(inputs, tracked, strict=True) if wanted)
        joint = _Joint(of_tracked, boxes, len(values))
        return [Box(value, self, ((joint, i),), True) for i, value in enumerate(values)]

    def gradients(self, result: Any, wanted: list[Box]) -> tuple[Array, ...]:
        """Gradients of a result with respect to boxes of this tape; 0 where it does not depend on them."""
        xp = self.inner.xp
        if not (isinstance(result, Box) and self.any_tracked(result)):
            return tuple(xp.zeros_like(box.value) for box in wanted)
        found: dict[int, Any] = {}
        keep = {box.age for box in wanted}

        def add(box: Any, share: Array) -> None:
            if share.dtype != box.value.dtype:
                share = xp.astype(share, box.value.dtype)
            known = found.get(box.age)
            found[box.age] = share if known is None else known + share

        add(result, xp.ones_like(result.value))
        pending = _oldest_first([result])
        while pending:
            box = pending.pop()
            gradient = found[box.age] if box.age in keep else found.pop(box.age)
            if type(box) is _Joint:
                for parent, share in zip(box.inputs, box.pullback(gradient), strict=True):
                    add(parent, share)
                continue
            parents, box.parents = box.parents, ()  # what was kept for the way back goes as it is used
            for parent, rule in parents:
                if type(parent) is _Joint:
                    found.setdefault(parent.age, [None] * parent.size)[rule] = gradient
                else:
                    add(parent, rule(gradient))
        return tuple(found[box.age] if box.age in found else xp.zeros_like(box.value) for box in wanted)


def _oldest_first(pending: list[Any]) -> list[Any]:
    """Boxes and all tracked ones below them, each after the boxes it was made of."""
    found: dict[int, Any] = {}
    while pending:
        box = pending.pop()
        if box.age not in found:
            found[box.age] = box
            pending.extend([parent for parent, _ in box.parents])
    return [found[age] for age in sorted(found)]


def value_and_grad(
    backend: Backend, function: Callable[..., Any], argnums: tuple[int, ...], args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> tuple[tuple[Any, ...], tuple[Array, ...]]:  # fmt: skip
    """See `Backend.value_and_grad`; every array argument is boxed."""
    tape = Tape(backend, args[argnums[0]] if argnums else None)
    boxes = [tape.box(arg, tracked=i in argnums) for i, arg in enumerate(args)]
    for i in argnums:
        if not isinstance(boxes[i], Box):  # a scalar of NumPy
            boxes[i] = Box(args[i], tape, (), True)
    result = function(*boxes, **{key: tape.box(value) for key, value in kwargs.items()})
    return tape.plain(result), tape.gradients(result[0], [boxes[i] for i in argnums])


TAPE[:] = [value_and_grad]
