"""Functions of arrays as programs: what they do is noted once, and repeated on other arrays.

Of the same functions and shapes every call does the same operations: no loss branches on a value, but to
say what is wrong. To repeat them takes a fifth of the time that Python needs to find out what they are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from numbers import Number
from types import FunctionType
from typing import Any

from .backends import is_array
from .backends.base import Array, Backend
from .tape import Box, Tape
from .tape_backend import TapeBackend


class Untraceable(RuntimeError):
    """What a function does depends on more than the shapes of its arrays."""


class Changed(Exception):
    """A program came to a question with another answer than when it was noted."""


class Tracer(Tape):
    """Notes every operation on its boxes; what is noted can be repeated.

    Parameters
    ----------
    inner : Backend
        Of the arrays in the boxes.
    keeps : bool
        Whether what it computes is kept. Otherwise, to save memory, its boxes hold ones of the same
        shapes, and no question may be asked about them.
    """

    def __init__(self, inner: Backend, keeps: bool = True) -> None:
        super().__init__(inner)
        self.keeps = keeps
        self.xp: Any = _TracedNamespace(self)
        self.backend = _TracedBackend(self)
        self.steps: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Box]] = []
        self.inputs: list[Box] = []
        self.constants: list[Box] = []
        self.questions: list[Box] = []

    def take(self, value: Any) -> Any:
        """Box arrays, also inside tuples, lists and partial functions, as inputs in order."""
        return each_array(value, lambda array: self._boxed(array, self.inputs))

    def constant(self, array: Array) -> Box:
        """Box an array that depends on no input."""
        return self._boxed(array, self.constants)

    def _boxed(self, array: Array, among: list[Box]) -> Box:
        box = Box(array, self, (), False)
        among.append(box)
        return box

    def box(self, value: Any, tracked: bool = False) -> Any:
        """Refuse arrays: a program that held one would repeat a stranger's numbers."""
        if is_array(value):
            raise Untraceable("an array came into a program that is neither its input nor its constant")
        return value

    def note(self, value: Array, *inputs: Any) -> Box:
        """Refuse values that were computed out of its sight."""
        raise Untraceable("a value was computed that its program would not repeat")

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of the arrays, and note it."""
        value = function(*self.plain(args), **self.plain(kwargs))
        if isinstance(value, (tuple, list)):
            whole = self._noted(value, function, args, kwargs)
            return tuple(self._noted(part, operator.getitem, (whole, i), {}) for i, part in enumerate(value))
        if hasattr(value, "dtype"):
            return self._noted(value, function, args, kwargs)
        if _boxes((args, kwargs)):
            if not self.keeps or type(value) is not bool:
                raise Untraceable(f"{value!r} was read off an array")
            self._noted(value, _asked, (function, value, *args), kwargs)
            self.questions.append(self.steps[-1][3])
        return value

    def _noted(self, value: Any, function: Callable[..., Any], args: Any, kwargs: Any) -> Box:
        if not (self.keeps or isinstance(value, (tuple, list)) or value.shape == ()):
            one = self.inner.xp.ones((), dtype=value.dtype, **self.inner.beside(value))
            value = self.inner.xp.broadcast_to(one, value.shape)
        box = Box(value, self, (), False)
        self.steps.append((function, args, kwargs, box))
        return box


def _asked(function: Callable[..., bool], answer: bool, *args: Any, **kwargs: Any) -> bool:
    """Ask again, and expect the same answer."""
    if function(*args, **kwargs) is not answer:
        raise Changed
    return answer


class _TracedNamespace:
    """The array API namespace of a tracer's boxes."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def __getattr__(self, name: str) -> Any:
        plain = operator.getitem if name == "getitem" else getattr(self._tracer.inner.xp, name)
        found = plain
        if callable(plain) and not isinstance(plain, type):
            found = partial(self._tracer.call, plain)
        setattr(self, name, found)
        return found


class _TracedBackend(TapeBackend):
    """Hooks on a tracer's boxes: the inner library's, noted as one operation."""

    tape: Tracer

    @property
    def closes(self) -> bool:  # type: ignore[override]
        """As the inner backend."""
        return self.inner.closes

    def constant(self, values: Any, dtype: Any, like: Array) -> Array:
        """Box the inner backend's constant."""
        return self.tape.constant(self.inner.constant(values, dtype, like.value))

    def arange(self, count: int, like: Array) -> Array:
        """Box the inner backend's."""
        return self.tape.constant(self.inner.arange(count, like.value))

    def _parts(self, block: Any) -> Any:
        """The inner backend's, noted once."""
        known = block.__dict__
        if "parts" not in known:
            scores = known.get("scores", block.wide)
            known["parts"] = scores, self.tape.call(self.inner.parts, scores, block.labels, block.valid)
        return known["parts"]

    def label_log_probs(self, block: Any) -> Array:
        """The inner backend's."""
        return self._parts(block)[1][2] if self.closes else Backend.label_log_probs(self, block)

    def prob_sums(self, block: Any) -> Array:
        """The inner backend's."""
        if not self.closes:
            return Backend.prob_sums(self, block)
        return self.tape.call(self.inner.parts_sums, *self._parts(block)[1][:2], block.weights)

    def adopt(self, array: Array, other: Backend, name: str) -> Array:
        """Its own boxes alone."""
        if other is not self:
            raise Untraceable(f"`{name}` is of another library")
        return array


def _noted_hook(name: str) -> Callable[..., Any]:
    def hook(self: _TracedBackend, *args: Any) -> Any:
        return self.tape.call(getattr(self.inner, name), *args)

    return hook


def _refused_hook(name: str) -> Callable[..., Any]:
    def hook(self: _TracedBackend, *args: Any) -> Any:
        raise Untraceable(f"{name} reads arrays, or has its own ways with them")

    return hook


for _name in ("extremes", "in_descending_order", "distance_transform", "nearest_two_distances", "max_along"):
    setattr(_TracedBackend, _name, _refused_hook(_name))

for _name in (
    "within", "labels", "is_label", "in_range", "ones_where", "stop_gradient", "masked", "per_label",
    "log_softmax", "log_sigmoid", "softmax", "sigmoid", "sigmoid_complement", "gather", "lookup",
    "class_sums", "cumulative_sum", "parts", "parts_sums", "parts_gradient",
):  # fmt: skip
    setattr(_TracedBackend, _name, _noted_hook(_name))


class Program:
    """Operations that turn inputs into outputs.

    Parameters
    ----------
    tracer : Tracer
        What noted them.
    outputs : list of Box
        What is wanted of them; operations that do not lead there are left out.
    """

    def __init__(self, tracer: Tracer, outputs: list[Box]) -> None:
        needed, kept = {box.age for box in (*outputs, *tracer.questions)}, []
        for step in reversed(tracer.steps):
            if step[3].age in needed:
                kept.append(step)
                needed.update(box.age for box in _boxes((step[1], step[2])))
        places = {box.age: i for i, box in enumerate([*tracer.inputs, *tracer.constants])}
        self._constants = [box.value for box in tracer.constants]
        last: dict[int, int] = {}
        for at, (_, args, kwargs, box) in enumerate(reversed(kept)):
            places[box.age] = len(places)
            for other in _boxes((args, kwargs)):
                last[other.age] = at
        wanted = {box.age for box in outputs}
        self._outputs = [places[box.age] for box in outputs]
        self._steps = []
        for at, (function, args, kwargs, _) in enumerate(reversed(kept)):
            dead = tuple(places[age] for age, end in last.items() if end == at and age not in wanted)
            self._steps.append((_call(function, _placed(args, places), _placed(kwargs, places)), dead))

    def __call__(self, inputs: list[Array]) -> list[Array]:
        """Outputs for other inputs of the same shapes."""
        values = [*inputs, *self._constants]
        for step, dead in self._steps:
            values.append(step(values))
            for place in dead:
                values[place] = None
        return [values[place] for place in self._outputs]


class _Place(int):
    """Where a value stands among all of a program."""


def _placed(value: Any, places: dict[int, int]) -> Any:
    """Places instead of boxes, which would keep their arrays in memory."""
    if type(value) is Box:
        return _Place(places[value.age])
    if isinstance(value, dict):
        return {key: _placed(part, places) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return like(value, [_placed(part, places) for part in value])
    return value


def _filled(value: Any, values: list[Any]) -> Any:
    """Values instead of places."""
    if type(value) is _Place:
        return values[value]
    if isinstance(value, dict):
        return {key: _filled(part, values) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return like(value, [_filled(part, values) for part in value])
    return value


def _call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[list[Any]], Any]:
    """The step as a function of all values so far; the most frequent kinds without a loop."""
    if kwargs and not _open(list(kwargs.values())):
        function, kwargs = partial(function, **kwargs), {}
    if not kwargs and args and type(args[0]) is _Place and not any(map(_open, args[2:])):
        x, *others = args
        if not _open(others):
            return lambda values: function(values[x], *others)
        y, *others = others
        if type(y) is _Place:
            return lambda values: function(values[x], values[y], *others)
    return lambda values: function(*_filled(args, values), **_filled(kwargs, values))


def _open(value: Any) -> bool:
    """Whether there is a place in tuples, lists and dictionaries."""
    if isinstance(value, dict):
        value = list(value.values())
    return type(value) is _Place or (isinstance(value, (tuple, list)) and any(map(_open, value)))


def remember(known: dict[Any, Any], key: Any, value: Any) -> None:
    """Keep a value among the last ones of a dictionary."""
    with suppress(RuntimeError):  # another thread may be at it
        if len(known) >= KEPT:
            known.pop(next(iter(known)), None)
    known[key] = value


KEPT = 512
"""Programs that are remembered."""


def _boxes(value: Any) -> list[Box]:
    """Boxes in tuples, lists and dictionaries."""
    if type(value) is Box:
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [box for part in value for box in _boxes(part)]
    return []


def each_array(value: Any, change: Callable[[Array], Any]) -> Any:
    """Change arrays, also inside tuples, lists and partial functions, in one order."""
    if isinstance(value, partial):
        args = each_array(value.args, change)
        return partial(value.func, *args, **{k: each_array(v, change) for k, v in value.keywords.items()})
    if isinstance(value, (tuple, list)):
        return like(value, [each_array(part, change) for part in value])
    return change(value) if is_array(value) else value


def like(value: Any, parts: list[Any]) -> Any:
    """Other parts in a tuple, named or not, or list of the same kind."""
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)


def signature(value: Any) -> Hashable:
    """What decides which operations a value of any kind leads to; arrays count by shape and dtype.

    Raises
    ------
    TypeError
        If it cannot be told: of a function that knows more than its arguments, or of what may change.
    """
    if isinstance(value, partial):
        return signature(value.func), signature(value.args), signature(tuple(value.keywords.items()))
    if isinstance(value, (tuple, list)):
        return type(value), tuple(map(signature, value))
    if is_array(value):
        return tuple(value.shape), value.dtype
    if isinstance(value, FunctionType) and not value.__closure__:
        return value
    if value is None or isinstance(value, (str, Number)):  # what does not change
        return type(value), value
    raise TypeError(f"what {type(value).__name__} leads to may depend on more than can be seen")
