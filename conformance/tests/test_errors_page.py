"""docs/errors.md: each of its rows gets what it says, on every library."""

import ast
import math
import re
from contextlib import contextmanager
from pathlib import Path

import array_api_strict
import numpy as np
import pytest

import agnoloss

from .test_input_values import LOOKING_IS_FREE

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}
OF_LIBRARIES = {
    "numpy": "Arrays of NumPy",
    "torch": "Tensors of PyTorch",
    "jax": "Arrays of JAX",
    "cupy": "Arrays of CuPy",
}
OTHERS = ("Values", "What is no error", *OF_LIBRARIES.values())
RNG = np.random.default_rng(43)
Y = RNG.integers(0, 3, (2, 8, 8))
ARRAYS = {
    "z": RNG.normal(size=(2, 3, 8, 8)),
    "y": Y,
    "y255": np.where(Y == 2, 255, Y),
    "t": np.moveaxis(np.eye(3)[Y], -1, 1),
    "t_last": np.eye(3)[Y],
    "b": (Y > 0).astype(int),
    "m": RNG.integers(0, 2, (2, 3, 8, 8)),
    "p": np.full((2, 8, 8), 0.5),
    "u": np.ones((2, 8, 8)),
}


class Foreign:
    """An array that is to be made by another library."""

    def __init__(self, values):
        self.values = values


def rows(*titles):
    found = [
        (title, *row)
        for title in titles
        for row in re.findall(r"^\| `(.+?)` \| (.+) \|$", SECTIONS[title], re.M)
    ]
    return pytest.mark.parametrize(("title", "call", "outcome"), found, ids=[row[1] for row in found])


def called(backend, call):
    """A call as it stands in the page, its arrays made by the library."""
    names = {**vars(agnoloss), **ARRAYS, "foreign": Foreign, "nan": math.nan}
    node = ast.parse(call, mode="eval").body

    def value(part):
        found = eval(ast.unparse(part), names)
        if isinstance(found, Foreign):
            return found.values if backend.name == "strict" else array_api_strict.asarray(found.values)
        return backend.array(found) if isinstance(found, np.ndarray) else found

    function = eval(ast.unparse(node.func), names)
    return function(*map(value, node.args), **{word.arg: value(word.value) for word in node.keywords})


@contextmanager
def error(outcome):
    """Assert that an error is the page's, where ``...`` stands for anything."""
    with pytest.raises((TypeError, ValueError)) as raised:
        yield
    said = f"{raised.type.__name__}: {raised.value}"
    pattern = ".*".join(map(re.escape, outcome.split("...")))
    assert re.fullmatch(pattern, said), f"it says\n{said}\nand the page\n{outcome}"


@rows(*(title for title in SECTIONS if title not in OTHERS))
def test_errors(backend, title, call, outcome):
    with error(outcome):
        called(backend, call)


@rows("Values")
def test_values(backend, title, call, outcome):
    """Elsewhere NaN, and in `debug` the same error but for the way out."""
    if backend.name in LOOKING_IS_FREE:
        with error(outcome):
            called(backend, call)
        return
    assert math.isnan(float(backend.numpy(called(backend, call)))) or "pixel_weights=-u" in call
    with agnoloss.debug(), error(outcome.partition(" If it marks")[0]):
        called(backend, call)


@rows("What is no error")
def test_results(backend, title, call, outcome):
    np.testing.assert_allclose(backend.numpy(called(backend, call)), float(outcome), rtol=0)


# torch says itself that nested and masked tensors are prototypes
@pytest.mark.filterwarnings("ignore::UserWarning")
@rows(*OF_LIBRARIES.values())
def test_arrays_of_one_library(backend, title, call, outcome):
    if OF_LIBRARIES.get(backend.name) != title:
        return
    if backend.name == "cupy" and backend.count < 2:
        pytest.skip("one device alone")
    names = {**vars(agnoloss), **{name: backend.array(values) for name, values in ARRAYS.items()}}
    names |= globals()[f"names_of_{backend.name}"](backend)
    with error(outcome):
        eval(call, names)


def names_of_numpy(backend):
    return {"np": np, "sparse": pytest.importorskip("scipy.sparse")}


def names_of_torch(backend):
    return {"torch": backend.xp}


def names_of_jax(backend):
    return {"sparse": pytest.importorskip("jax.experimental.sparse")}


def names_of_cupy(backend):
    def on(device, array):
        with backend.xp.cuda.Device(device):
            return backend.xp.asarray(array)

    return {"on": on}
