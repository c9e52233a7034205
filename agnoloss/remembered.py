"""Whole losses as programs, for inputs so small that Python takes longer than the arithmetic.

What is looked at on the way, as whether labels are in range, is looked at in each call: where the answer
is another one, the loss itself is called, and says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from . import passes
from .backends import backend_of
from .backends.base import Array, Backend
from .programs import Changed, Program, Tracer, Untraceable, each_array, remember, signature
from .tape import Box, Tape

_F = TypeVar("_F", bound=Callable[..., Any])

_met: dict[Any, Program | bool] = {}
"""What was called how: its program, or False if it has none."""


def remembered(loss: _F) -> _F:
    """Have a loss repeat what it did for small inputs of the same shapes and options."""

    @wraps(loss)
    def call(predictions: Array, targets: Array, /, **options: Any) -> Array:
        backend = backend_of(predictions, "predictions")
        if backend.remembers:
            value = backend.remembered(loss, predictions, targets, options)
            if value is not None:
                return value
        return loss(predictions, targets, **options)

    return cast(_F, call)


def value_and_gradient(
    f: Callable[..., Array], backend: Backend, args: tuple[Any, ...], options: dict[str, Any]
) -> list[Array] | None:
    """Value of a loss and gradient of the predictions, or None if they are not remembered."""
    loss = getattr(f, "__wrapped__", None)
    if getattr(f, "__code__", None) is not _WRAPPER or len(args) != 2:
        return None
    return outcome(loss, backend, *args, options, gradient=True)


def small(predictions: Array) -> bool:
    """Whether a program takes less time than blocks."""
    return math.prod(predictions.shape) < passes.SMALLEST_ELEMENTS


def outcome(
    loss: Any, backend: Backend, predictions: Array, targets: Array, options: dict[str, Any], gradient: bool
) -> list[Array] | None:
    """Value of a loss, and its gradient if asked for, or None if they are not remembered.

    The first call already takes them from its program, so that no other has other last digits.
    """
    if not small(predictions) or options.get("all_reduce") is not None or options.get("reduction") == "none":
        return None
    given = predictions, targets, tuple(options.items())
    inputs: list[Array] = []
    try:
        found_key = signature(given)
        each_array(given, inputs.append)
        if any(backend_of(array, "an argument") is not backend for array in inputs):
            return None
        key = loss, gradient, found_key
        program = _met[key]
    except TypeError:  # an option that cannot be told from others, or that the loss will refuse
        return None
    except KeyError:
        traced = _traced(loss, backend, given, gradient)
        if traced is None:
            return None
        remember(_met, key, program := traced)
    if isinstance(program, bool):
        return None
    try:
        found: list[Array] = program(inputs)
    except Changed:
        return None
    return found


def _traced(loss: Any, backend: Backend, given: Any, gradient: bool) -> Program | bool | None:
    """The program; False if it has none, None if these inputs are not as they should be."""
    tracer = Tracer(backend)
    predictions, targets, options = tracer.take(given)
    try:
        if not gradient:
            return Program(tracer, [_number(loss(predictions, targets, **dict(options)))])
        tape = Tape(tracer.backend)
        leaf = tape.box(predictions, tracked=True)
        value = _number(loss(leaf, tape.box(targets), **dict(tape.box(options))))
        if not tape.any_tracked(value):
            return False
        slopes = tape.gradients([value], [tracer.xp.ones_like(value.value)], [leaf])
        return Program(tracer, [value.value, *slopes])
    except ValueError:
        return None
    except (Untraceable, TypeError, NotImplementedError):
        return False if all(box.value for box in tracer.questions) else None


def _number(value: Any) -> Box:
    if type(value) is not Box or value.shape != ():
        raise Untraceable("not one number")
    return value


_WRAPPER = remembered(small).__code__
