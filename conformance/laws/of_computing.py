"""Laws about how a loss is computed: compiled, mapped over inputs, without waiting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np

import agnoloss

from ..suite.cases import Case
from ..suite.differentiation import cotangent, one_number
from ..suite.libraries import Library
from .law import Law, Outcome, changed, evaluate, unlike


def compiled(library: Library, function: Callable[..., Any]) -> Any:
    """Compile a function of arrays, with an error where it would have to look at values."""
    if library.name == "jax":
        return library.xp.jit(function)
    library.xp._dynamo.reset()  # it refuses to compile one line of source too often
    return library.xp.compile(function, fullgraph=True, backend="eager")


def jit(case: Case, library: Library) -> str:
    """Compile it; JAX by jit, PyTorch by compile with ``fullgraph=True``."""
    other = evaluate(case, library, lambda function: compiled(library, function))
    return unlike(other, evaluate(case, library), case)


def vmap(case: Case, library: Library) -> str:
    """Map value and gradient over two inputs at once."""
    inputs = [(case.predictions, case.targets), (case.predictions[::-1] / 2, case.targets)]
    alone = [evaluate(changed(case, *pair), library) for pair in inputs]
    options = library.options(case.options)
    weights = library.array(cotangent(alone[0].value.shape).astype(alone[0].value.dtype))

    def both(predictions: Any, targets: Any) -> Any:
        value = case.entry.function(predictions, targets, **options)
        return value, agnoloss.grad(one_number(case.entry.function, weights))(predictions, targets, **options)

    over = library.xp.vmap if library.name == "jax" else library.xp.func.vmap
    arrays = (library.array(np.stack(parts)) for parts in zip(*inputs, strict=True))
    values, gradients = map(library.numpy, over(both)(*arrays))
    for i, one in enumerate(alone):
        complaint = unlike(Outcome(values[i], gradients[i]), one, case)
        if complaint:
            return f"input {i} of the mapped: {complaint}"
    return ""


def no_wait(case: Case, library: Library) -> str:
    """Make every Python number of an array an error, as it makes a program wait for an accelerator."""

    def refuse(array: Any, *_: Any) -> Any:
        raise TypeError("a Python number or bool was made of an array: a GPU is waited for, jit fails")

    kind = type(library.array(np.zeros(())))
    with ExitStack() as stack:
        for name in ("__float__", "__int__", "__bool__", "__index__", "__complex__"):
            stack.enter_context(mock.patch.object(kind, name, refuse))
        predictions, targets = library.array(case.predictions), library.array(case.targets)
        case.entry.function(predictions, targets, **library.options(case.options))
    return ""


COMPILERS = ("torch", "jax")

LAWS = (
    Law("jit", "compiled is eager", jit, libraries=COMPILERS),
    Law("vmap", "mapped over inputs is one by one", vmap, libraries=COMPILERS),
    Law("no wait", "no Python number is made of an array", no_wait, libraries=("strict",)),
)
