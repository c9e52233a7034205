"""Calls of every function the tape has a rule for: functions of a namespace and arrays, and the arrays."""

import numpy as np

RNG = np.random.default_rng(16)
A = RNG.normal(size=(2, 3))
POSITIVE = RNG.uniform(0.5, 2, (2, 3))
SMALL = RNG.uniform(-0.9, 0.9, (2, 3))
ROW = RNG.uniform(0.5, 2, (1, 3))
CUBE = RNG.normal(size=(2, 3, 4))
DISTINCT = RNG.permutation(24).reshape(2, 3, 4) / 7 - 1.6
ZEROS = np.asarray([[1.5, 0.0, -2.0, 3.0], [0.0, 2.0, 0.0, 1.0], [1.0, 2.0, 0.5, 0.0]])
MATRICES = RNG.normal(size=(2, 4, 3))


def constant(xp, a, values):
    """An array beside another, on its device."""
    return xp.asarray(np.asarray(values).tolist(), device=a.device)


def at(names, *arrays):
    return {name: [(lambda xp, *a, n=name: getattr(xp, n)(*a), *arrays)] for name in names}


def two(names, a, b):
    """Of two arrays, broadcast in several ways, and with Python's numbers."""
    return {
        name: [
            (lambda xp, x, y, n=name: getattr(xp, n)(x, y), a, b),
            (lambda xp, x, y, n=name: getattr(xp, n)(x, y), a, b[:1]),
            (lambda xp, x, y, n=name: getattr(xp, n)(x, y), a[0], b[..., :1]),
            (lambda xp, x, y, n=name: getattr(xp, n)(x, y), np.asarray(a[0, 0]), b),
            (lambda xp, x, n=name: getattr(xp, n)(x, 1.25), a),
            (lambda xp, y, n=name: getattr(xp, n)(0.75, y), b),
        ]
        for name in names
    }


ELEMENTWISE = {
    **at(("negative", "positive", "exp", "expm1", "square", "tanh", "abs", "sin", "cos", "sinh"), A),
    **at(("cosh", "atan", "asinh", "conj", "real"), A),
    **at(("tan", "asin", "acos", "atanh"), SMALL),
    **at(("log", "log1p", "log2", "log10", "sqrt", "reciprocal"), POSITIVE),
    **at(("acosh",), 1 + POSITIVE),
    **two(("add", "subtract", "multiply", "divide", "logaddexp", "hypot", "atan2"), POSITIVE, POSITIVE[::-1]),
    **two(("maximum", "minimum", "copysign"), A, A[::-1] - 0.01),
    **two(("remainder",), 5 * A + 0.1, POSITIVE),
    **two(("pow",), POSITIVE, A),
    "where": [
        (lambda xp, a, b: xp.where(a > 0, a, b), A, POSITIVE),
        (lambda xp, a, b: xp.where(a > 0, a, b), A, ROW),
        (lambda xp, a: xp.where(a > 0, a, 0.0), A),
        (lambda xp, a: xp.where(a > 0, 1.0, a), A),
    ],
    "clip": [
        (lambda xp, a: xp.clip(a, -0.5, 0.5), A),
        (lambda xp, a: xp.clip(a, min=0.1), A),
        (lambda xp, a: xp.clip(a, max=0.1), A),
        (lambda xp, a, b, c: xp.clip(a, b - 0.6, b + c), A, SMALL, POSITIVE),
        (lambda xp, a, b: xp.clip(a, min=b), A, SMALL[:1]),
        (lambda xp, a, b: xp.clip(a, b, 3.0), A[:1], SMALL),
    ],
    "astype": [(lambda xp, a: xp.astype(xp.astype(a, xp.float64), xp.float64), A)],
    "asarray": [(lambda xp, a: xp.asarray(a), A), (lambda xp, a: xp.asarray(a, dtype=xp.float64), A)],
    "full_like": [(lambda xp, a: xp.full_like(a, 2.0) * a, A)],
}
ELEMENTWISE["pow"] += [
    (lambda xp, a: a**2, A),
    (lambda xp, a: a**1 + a**0, A),
    (lambda xp, a: a**2.5, POSITIVE),
    (lambda xp, a: 2.0**a, A),
]

SHAPES = {
    "reshape": [(lambda xp, a: xp.reshape(a, (3, 2)), A), (lambda xp, a: xp.reshape(a, (-1,)), CUBE)],
    "expand_dims": [
        (lambda xp, a: xp.expand_dims(a, axis=1), A),
        (lambda xp, a: xp.expand_dims(a, axis=-1), A),
    ],
    "squeeze": [(lambda xp, a: xp.squeeze(a, axis=0), ROW), (lambda xp, a: xp.squeeze(a, axis=(0,)), ROW)],
    "permute_dims": [
        (lambda xp, a: xp.permute_dims(a, (2, 0, 1)), CUBE),
        (lambda xp, a: xp.permute_dims(a, (-1, 0, -2)), CUBE),
    ],
    "swapaxes": [(lambda xp, a: xp.swapaxes(a, 0, -1) * xp.swapaxes(a, 2, 0), CUBE)],
    "ravel": [(lambda xp, a: xp.ravel(a), CUBE)],
    "moveaxis": [
        (lambda xp, a: xp.moveaxis(a, 0, -1), CUBE),
        (lambda xp, a: xp.moveaxis(a, (0, 1), (2, 0)), CUBE),
    ],
    "matrix_transpose": [(lambda xp, a: xp.matrix_transpose(a), CUBE), (lambda xp, a: a.mT * a.mT, CUBE)],
    "broadcast_to": [
        (lambda xp, a: xp.broadcast_to(a, (4, 2, 3)), A),
        (lambda xp, a: xp.broadcast_to(a, (5, 3)), ROW),
    ],
    "broadcast_arrays": [
        (lambda xp, a, b: xp.multiply(*xp.broadcast_arrays(a, b)), A, ROW),
        (lambda xp, a, b: xp.broadcast_arrays(a, b)[1], A, ROW),
    ],
    "meshgrid": [
        (lambda xp, a, b, n=n, i=i: xp.meshgrid(a, b, indexing=i)[n], A[0], A[1, :2])
        for n in (0, 1)
        for i in ("xy", "ij")
    ]
    + [(lambda xp, a, b: xp.meshgrid(a, b, a)[2] * xp.meshgrid(b)[0][0], A[0], A[1, :2])],
    "flip": [
        (lambda xp, a: xp.flip(a), CUBE),
        (lambda xp, a: xp.flip(a, axis=1), CUBE),
        (lambda xp, a: xp.flip(a, axis=(0, -1)), CUBE),
    ],
    "roll": [
        (lambda xp, a: xp.roll(a, 2), CUBE),
        (lambda xp, a: xp.roll(a, -1, axis=1), CUBE),
        (lambda xp, a: xp.roll(a, (1, 2), axis=(0, -1)), CUBE),
    ],
    "tril": [(lambda xp, a, k=k: xp.tril(a, k=k), CUBE) for k in (0, -1, 2)],
    "triu": [(lambda xp, a, k=k: xp.triu(a, k=k), CUBE) for k in (0, -1, 2)],
    "tile": [(lambda xp, a, r=r: xp.tile(a, r), A) for r in ((2,), (3, 2), (2, 1, 3), ())],
    "repeat": [
        (lambda xp, a: xp.repeat(a, 2), A),
        (lambda xp, a: xp.repeat(a, 3, axis=0), A),
        (lambda xp, a: xp.repeat(a, 2, axis=-2), CUBE),
        (lambda xp, a: xp.repeat(a, constant(xp, a, [2, 0, 3]), axis=1), CUBE),
        (lambda xp, a: xp.repeat(a, constant(xp, a, [2, 0, 3]), axis=-1), A),
    ],
    "concat": [
        (lambda xp, a, b: xp.concat([a, b]), A, ROW),
        (lambda xp, a, b: xp.concat([a, b, a], axis=-1), A, POSITIVE),
        (lambda xp, a, b: xp.concat((a, b), axis=None), A, CUBE),
    ],
    "stack": [
        (lambda xp, a, b: xp.stack([a, b]), A, POSITIVE),
        (lambda xp, a, b: xp.stack([a, b], axis=1), A, POSITIVE),
        (lambda xp, a, b: xp.stack([a, b], axis=-1), A, POSITIVE),
    ],
    "unstack": [
        (lambda xp, a: xp.unstack(a)[1], A),
        (lambda xp, a: xp.multiply(*xp.unstack(a, axis=-1)[:2]), CUBE),
    ],
    "diff": [
        (lambda xp, a: xp.diff(a), CUBE),
        (lambda xp, a: xp.diff(a, axis=1, n=2), CUBE),
        (lambda xp, a, b: xp.diff(a, axis=0, prepend=b, append=a), A, ROW),
    ],
}

KEYS = [
    *((0, ...), (-1, ...), (slice(1, 2), ...), (slice(None, -1), ...), (slice(2, 1), ...), (0, 1, ...)),
    *((-1, ..., 2), ..., (..., 1, slice(None)), (..., None), (None, 1, slice(1, None), ...), (0, 1, 2)),
    *((slice(0, 1), -2, slice(1, 3)), (..., slice(None, None, 2)), (..., slice(None, None, -1))),
    *((..., slice(1, None, 2)), (..., slice(3, 0, -2)), (slice(None, None, -1), ..., slice(0, None, 3))),
    (..., slice(0, 2, -1)),
]
LOOSE_KEYS = [0, -1, slice(1, 3), slice(-9, 9), (0, 1), (), (np.int64(1), slice(None), np.int64(-1))]
INDEXING = {
    "getitem": [
        *((lambda xp, a, key=key: a[key], CUBE) for key in KEYS),
        (
            lambda xp, a: a[
                constant(xp, a, [1, 0, 1]), constant(xp, a, [2, -1, 2]), constant(xp, a, [0, 3, 0])
            ],
            CUBE,
        ),
        (lambda xp, a: a[constant(xp, a, [[1], [0]]), 2, constant(xp, a, [0, -3, 0])], CUBE),
        (lambda xp, a: a[constant(xp, a, [2, 2, 0])], A[0]),
        (lambda xp, a: a[constant(xp, a, [1, 1, 0]), 2], CUBE),
        *((lambda xp, a, key=key: a[key], CUBE) for key in LOOSE_KEYS),
    ],
    "take": [
        (lambda xp, a: xp.take(a, constant(xp, a, [2, 0, 2, 2]), axis=1), CUBE),
        (lambda xp, a: xp.take(a, constant(xp, a, [-1, 0]), axis=-1), CUBE),
        (lambda xp, a: xp.take(a, constant(xp, a, [1, 1])), A[0]),
    ],
    "take_along_axis": [
        (lambda xp, a: xp.take_along_axis(a, constant(xp, a, [[2, 0, 2, -1], [1, 1, 0, 0]]), axis=1), A),
        (lambda xp, a: xp.take_along_axis(a, constant(xp, a, [[1, 0, 1], [1, 1, -2]]), axis=0), A),
        (lambda xp, a: xp.take_along_axis(a, xp.argsort(a, axis=-1)), CUBE),
    ],
}

AXES = [(axis, keep) for axis in (None, 0, -1, (0, 2), (-1, 1)) for keep in (False, True)]


def reducing(names, array, **options):
    return {
        name: [
            (lambda xp, a, n=name, i=axis, k=keep: getattr(xp, n)(a, axis=i, keepdims=k, **options), array)
            for axis, keep in AXES
        ]
        for name in names
    }


REDUCTIONS = {
    **reducing(("sum", "mean", "var", "std"), CUBE),
    **reducing(("max", "min"), DISTINCT),
    **reducing(("prod",), CUBE),
    "cumulative_sum": [
        (lambda xp, a: xp.cumulative_sum(a, axis=1), CUBE),
        (lambda xp, a: xp.cumulative_sum(a, axis=-1, include_initial=True), CUBE),
        (lambda xp, a: xp.cumulative_sum(a), A[0]),
    ],
    "cumulative_prod": [
        (lambda xp, a: xp.cumulative_prod(a, axis=1), CUBE),
        (lambda xp, a: xp.cumulative_prod(a, axis=-1, include_initial=True), CUBE),
        (lambda xp, a: xp.cumulative_prod(a), A[0]),
        (lambda xp, a: xp.cumulative_prod(a, axis=1), ZEROS),
    ],
    "sort": [
        (lambda xp, a: xp.sort(a), DISTINCT),
        (lambda xp, a: xp.sort(a, axis=1, descending=True), DISTINCT),
        (lambda xp, a: xp.sort(a, axis=0, stable=False), DISTINCT),
    ],
    "matmul": [
        (lambda xp, a, b: xp.matmul(a, b), A, POSITIVE.T),
        (lambda xp, a, b: a @ b, CUBE, CUBE.swapaxes(-1, -2)),
        (lambda xp, a, b: a @ b, CUBE, RNG.normal(size=(4, 5))),  # one matrix for all
        (lambda xp, a, b: a @ b, A, CUBE),
        (lambda xp, a, b: a @ b, A[0], POSITIVE[0]),
        (lambda xp, a, b: a @ b, A[0], POSITIVE.T),
        (lambda xp, a, b: a @ b, A, POSITIVE[0]),
        (lambda xp, a, b: a @ b, A[0], CUBE),
        (lambda xp, a, b: xp.linalg.matmul(a, b), CUBE, RNG.normal(size=4)),
    ],
    "vecdot": [
        (lambda xp, a, b: xp.vecdot(a, b), A, POSITIVE),
        (lambda xp, a, b: xp.vecdot(a, b, axis=-2), CUBE, CUBE[:1, :, :1]),
        (lambda xp, a, b: xp.vecdot(a, b), A, POSITIVE[0]),
    ],
    "tensordot": [
        (lambda xp, a, b: xp.tensordot(a, b, axes=1), A, MATRICES[0].T),
        (lambda xp, a, b: xp.tensordot(a, b, axes=((2, 0), (1, 0))), CUBE, MATRICES),
        (lambda xp, a, b: xp.tensordot(a, b, axes=((-2, 0), (2, 0))), CUBE, MATRICES),
        (lambda xp, a, b: xp.tensordot(a, b, axes=0), A, A[0]),
        (lambda xp, a, b: xp.tensordot(a, b), A, POSITIVE),
    ],
}
REDUCTIONS["einsum"] = [
    (lambda xp, a, b: xp.einsum("ij,kj->ik", a, b), A, POSITIVE),
    (lambda xp, a, b: xp.einsum("ijk, jl -> lk", a, b), CUBE, POSITIVE.T),
    (lambda xp, a, b, c: xp.einsum("ij,ij,kj->k", a, b, c), A, POSITIVE, SMALL),
    (lambda xp, a, b: xp.einsum("ij,k->j", a, b), A, POSITIVE[0]),
    (lambda xp, a, b: xp.einsum("ij,ij->ij", a, b), A[:1], POSITIVE),  # of length 1, repeated
    (lambda xp, a: xp.einsum("ijk->kj", a), CUBE),
    (lambda xp, a: xp.einsum("ij->", a), A),
]
REDUCTIONS["sum"] += [(lambda xp, a, k=k: xp.sum(a, axis=(), keepdims=k), CUBE) for k in (False, True)]
REDUCTIONS["prod"] += [(lambda xp, a, i=i: xp.prod(a, axis=i), ZEROS) for i in (None, 0, 1)]
REDUCTIONS["var"] += [(lambda xp, a: xp.var(a, axis=(0, 2), correction=1.0), CUBE)]
REDUCTIONS["std"] += [(lambda xp, a: xp.std(a, axis=1, correction=0.5, keepdims=True), CUBE)]

CALLS = ELEMENTWISE | SHAPES | INDEXING | REDUCTIONS
CASES = [(name, call, arrays) for name, calls in CALLS.items() for call, *arrays in calls]
NAMES = [f"{name}{i}" for name, calls in CALLS.items() for i in range(len(calls))]

# What NumPy does and array-api-strict refuses, though not under the tape alone.
NOT_OF_STRICT = {
    "real0": "complex numbers only",
    **{f"{name}{i}": "no such function" for name in ("swapaxes", "ravel", "einsum") for i in range(7)},
    "repeat3": "the shape depends on values",
    "repeat4": "the shape depends on values",
    **{f"getitem{len(KEYS) + 3 + i}": "not promised by the standard" for i in range(1 + len(LOOSE_KEYS))},
}
