"""Gradients by one call on every backend."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import wraps
from typing import Any

from . import autodiff  # noqa: F401 - its function joins the backends
from .array import Array
from .backends import backend_of, is_array


def value_and_grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """Turn a function into one that returns its value and its gradient.

    PyTorch differentiates by autograd, JAX by ``jax.grad``; NumPy, CuPy and every other library of
    the array API standard by agnoloss's own tape. It knows the functions that the standard has, on
    NumPy and CuPy under NumPy's names too: operators, ``np.exp(x)``, ``x.sum(axis=1)``,
    ``x.reshape(-1, 3)``, ``np.where``, ``x[rows, labels]``. What it cannot differentiate it names:
    docs/gradients.md.

    Parameters
    ----------
    f : callable
        Function of arrays to one number (an array of shape ``()``), such as a loss.
    argnums : int or tuple of ints, default 0
        Positions of the arguments to differentiate with respect to. These must be real floating
        arrays; every other argument, by position or keyword, is passed on unchanged.
    has_aux : bool, default False
        Whether `f` returns a pair: the number to differentiate, and whatever else is wanted of it.

    Returns
    -------
    callable
        Takes what `f` takes; returns ``(value, gradient)``, with a tuple of gradients if `argnums`
        is a tuple; with `has_aux`, ``((value, aux), gradient)``. A gradient has the shape, dtype and
        device of its argument. The results are detached, and on PyTorch no ``.grad`` is touched.

    Raises
    ------
    TypeError
        If an argument to differentiate is no real floating array, or would become a Python number.
    ValueError
        If the value is not a single number, `argnums` names no argument, or with `has_aux` no pair
        is returned.
    NotImplementedError
        If the tape has no rule for a function.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import cross_entropy_loss, value_and_grad
    >>> logits, labels = np.asarray([[2.0, 0.0], [0.0, 2.0]]), np.asarray([0, 0])
    >>> value, gradient = value_and_grad(cross_entropy_loss)(logits, labels)
    >>> print(f"{value:.4f}")
    1.1269
    >>> print(gradient.round(4))
    [[-0.0596  0.0596]
     [-0.4404  0.4404]]
    """
    several = isinstance(argnums, tuple)
    wanted_args = argnums if isinstance(argnums, tuple) else (argnums,)
    positions = tuple(operator.index(i) for i in wanted_args)

    @wraps(f)
    def value_and_gradient(*args: Any, **kwargs: Any) -> tuple[Array, Any]:
        try:
            wanted = tuple(range(len(args))[i] for i in positions)
        except IndexError:
            raise ValueError(
                f"`argnums` must name positional arguments, of which there are {len(args)}; got {argnums}."
            ) from None
        backends = [backend_of(args[i], f"argument {i}") for i in wanted]
        for i, backend in zip(wanted, backends, strict=True):
            if backend.kind(args[i]) not in ("floating", "half"):
                raise TypeError(
                    f"Argument {i} must be real floating to be differentiated; got {args[i].dtype}."
                )

        def checked(*inner: Any, **options: Any) -> tuple[Array, Any]:
            pair = f(*inner, **options) if has_aux else (f(*inner, **options), ())
            if not isinstance(pair, tuple) or len(pair) != 2:
                raise ValueError(
                    f"With `has_aux` a function must return a pair (value, aux); got {type(pair).__name__}."
                )
            value, aux = pair
            shape = getattr(value, "shape", None)
            if shape is None or tuple(shape) != ():
                came = type(value).__name__ if shape is None else f"shape {tuple(shape)}"
                raise ValueError(
                    "A function must return one number (an array of shape ()) to be differentiated; "
                    f'got {came}. `reduction="none"` has no gradient.'
                )
            return value, aux

        if not wanted:
            arrays = filter(is_array, (*args, *kwargs.values()))
            backends = [backend_of(array, "argument") for array in arrays]
        (value, aux), gradients = backends[0].value_and_grad(checked, wanted, args, kwargs)
        return (value, aux) if has_aux else value, tuple(gradients) if several else gradients[0]

    return value_and_gradient


def grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Turn a function into one that returns its gradient; see `value_and_grad`.

    Parameters
    ----------
    f : callable
        Function of arrays to one number, such as a loss.
    argnums : int or tuple of ints, default 0
        Positions of the arguments to differentiate with respect to.
    has_aux : bool, default False
        Whether `f` returns a pair ``(value, aux)``.

    Returns
    -------
    callable
        Takes what `f` takes; returns the gradient, or a tuple of gradients if `argnums` is a tuple;
        with `has_aux`, ``(gradient, aux)``.

    Examples
    --------
    >>> import numpy as np
    >>> from agnoloss import dice_loss, grad
    >>> logits = np.asarray([0.0, 1.0, -1.0])
    >>> grad(dice_loss)(logits, np.asarray([0, 1, 1]), mode="binary").round(4)
    array([ 0.037 , -0.0583, -0.0583])
    """
    with_value = value_and_grad(f, argnums, has_aux)

    @wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, found = with_value(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient
