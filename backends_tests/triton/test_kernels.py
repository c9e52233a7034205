"""Triton's form of the softmax's rule against the standard's in float64; without a GPU by its interpreter."""

import itertools

import numpy as np
import pytest
import torch

from agnoloss.backends import backend_of, closed_forms, torch_rules
from conformance.suite.libraries import LIBRARIES

triton = pytest.importorskip("agnoloss.backends.kernels.triton", reason="Triton is not installed")

ALL = ("log_p", "tp", "p", "p2", "y", "mixed")
CHANNELS = ("first", "last")


def made(shape, valid, weighted, channels="first", scale=2.0):
    images, classes, count = shape
    rng = np.random.default_rng(0)
    z = torch.from_numpy((scale * rng.normal(size=shape)).astype("f4"))
    labels = torch.from_numpy(rng.integers(0, classes, (images, count)))
    ok = torch.from_numpy(rng.random((images, count)) < 0.8) if valid else None
    u = torch.from_numpy(rng.random((images, count)).astype("f4")) if weighted else None
    if valid:
        z = torch.where(ok[:, None], z, torch.nan)  # reaches nothing
        u = None if u is None else u * ok
    if channels == "last":
        z = z.transpose(1, 2).contiguous().transpose(1, 2)
    mix = torch.from_numpy(rng.random(classes).astype("f4"))
    place = LIBRARIES["torch"].place
    return [x if x is None else x.to(place) for x in (z, labels, ok, u, mix)]


def wide(array):
    return array.double() if array is not None and array.is_floating_point() else array


def compare(given, wanted):
    *arrays, mix = given
    outputs, pullback = triton.softmax_sums(*given, wanted)
    whole, back = closed_forms.softmax_sums(
        backend_of(given[0], "scores"), *map(wide, arrays), wanted, wide(mix)
    )
    rng = np.random.default_rng(1)
    gradients = {
        name: torch.from_numpy(rng.normal(size=value.shape).astype("f4")).to(value.device)
        for name, value in outputs.items()
    }
    found = pullback(gradients, arrays[3] is not None)
    right = back({name: g.double() for name, g in gradients.items()}, arrays[3] is not None)
    pairs = [(outputs[name], whole[name]) for name in wanted]
    for ours, theirs in (*pairs, *zip(found, right, strict=True)):
        if theirs is None:
            assert ours is None
        else:
            assert ours.dtype == torch.float32
            torch.testing.assert_close(ours.double(), theirs, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(("valid", "weighted", "channels"), [*itertools.product((0, 1), (0, 1), CHANNELS)])
def test_all_outputs_together(valid, weighted, channels):
    compare(made((2, 5, 300), valid, weighted, channels), ALL)


@pytest.mark.parametrize("wanted", [("log_p",), ("tp", "p", "y"), ("p2", "log_p"), ("mixed", "log_p")])
def test_some_outputs(wanted):
    compare(made((2, 3, 70), True, False), wanted)


@pytest.mark.parametrize("classes", [2, 19, 256])
def test_numbers_of_classes(classes):
    compare(made((1, classes, 40), True, True), ALL)


@pytest.mark.parametrize("scale", [1e-3, 100.0, 1e4])
def test_scores_near_and_far(scale):
    compare(made((1, 4, 200), False, False, scale=scale), ("log_p", "tp", "p"))


def test_several_blocks_for_each_program(monkeypatch):
    monkeypatch.setattr(triton, "PROGRAMS", 2)
    monkeypatch.setattr(triton, "TILE", 64)
    compare(made((1, 4, 200), True, True), ALL)


@pytest.mark.parametrize("margin", [6.0, 8.0, 12.0])
def test_confident_pixels_keep_their_digits(margin):
    z = torch.zeros(1, 3, 40, device=LIBRARIES["torch"].place)
    z[:, 0] = margin
    labels = torch.zeros(1, 40, dtype=torch.int64, device=z.device)
    outputs, pullback = triton.softmax_sums(z, labels, None, None, None, ("log_p",))
    gradient, _ = pullback({"log_p": torch.ones_like(outputs["log_p"])}, False)
    other = np.exp(-margin) / (1 + 2 * np.exp(-margin))
    ulp = float(np.finfo("f4").eps)
    np.testing.assert_allclose(outputs["log_p"].cpu(), -np.log1p(2 * np.exp(-margin)), rtol=4 * ulp)
    np.testing.assert_allclose(gradient[:, 0].cpu(), 2 * other, rtol=8 * ulp)
    np.testing.assert_allclose(gradient[:, 1].cpu(), -other, rtol=8 * ulp)


def test_nan_and_classes_without_a_probability():
    z = torch.tensor(
        [[0.0, torch.nan, 1.0], [-torch.inf, 1.0, 2.0], [1.0, 0.0, 0.5]], device=LIBRARIES["torch"].place
    ).T
    labels = torch.tensor([[0, 0, 0]], device=z.device)
    outputs, pullback = triton.softmax_sums(z.T.T[None], labels, None, None, None, ("log_p",))
    gradient, _ = pullback({"log_p": torch.ones(1, 3, device=z.device)}, False)
    want = torch.log_softmax(z[None].double(), 1)[:, 0]
    torch.testing.assert_close(outputs["log_p"].double(), want, rtol=1e-6, atol=0, equal_nan=True)
    assert gradient[0, 1, 0] != 0


def test_a_kernel_is_taken_only_where_it_fits():
    z = torch.zeros(1, 3, 4)
    assert triton.fits(z)
    assert not triton.fits(z.double())
    assert not triton.fits(torch.zeros(1, 257, 4))
    assert torch_rules._kernel("sorted_sums", z) is None
