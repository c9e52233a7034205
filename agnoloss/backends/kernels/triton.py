"""The rule of the softmax as kernels of Triton, for float32 tensors on CUDA.

Forward is one read of the scores, backward one read and one write: a tile of pixels with all its classes lies
in registers, and nothing is kept in between. Each program adds up its own sums of the classes, without
atomics: the same input gives the same digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

HIGHEST = tl.constexpr(20.0)
LOWEST = tl.constexpr(-8.0)
# Scores are not shifted where the largest lies between: e^z is then exact in all digits of z.

NEGLIGIBLE = tl.constexpr(1e-15)
# Where a label's share of the exponentials is smaller, log p_y is that of its score.

MOST_CLASSES = 256
"""With more a tile no longer fits the registers."""

TILE = 4096
"""Scores of a tile."""

PROGRAMS = 2048
"""Programs at most: some for each of a large GPU's multiprocessors."""

_SUMS = ("tp", "p", "p2", "y")


@triton.jit
def _exp(x):  # type: ignore[no-untyped-def]
    """e^x within two units in the last place, by two powers of two; 0 below -87.3."""
    inside = tl.where(x < -87.3, -87.3, x)  # NaN stays
    k = tl.floor(inside * 1.4426950408889634 + 0.5)
    r = (inside - k * 0.693359375) + k * 2.12194440e-4
    return tl.where(x < -87.3, 0.0, tl.exp2(r * 1.4426950408889634) * tl.exp2(k))


@triton.jit
def _log1p(r):  # type: ignore[no-untyped-def]
    """log(1 + r) of r >= 0: 2 atanh(r / (2 + r)) as a series where r is below 1."""
    s = r / (2.0 + r)
    t = s * s
    series = 1.0 / 11.0 + t * (1.0 / 13.0 + t * (1.0 / 15.0 + t / 17.0))
    series = 1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t * (1.0 / 9.0 + t * series)))
    return tl.where(r < 1.0, 2.0 * s * (1.0 + t * series), tl.log(1.0 + r))


@triton.jit
def _tile(z, y, valid, n, i, c, C, P, sn, sc, sp, MASKED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Scores and shifted exponentials of a tile, where its labels lie, and what counts."""
    ok = i < P
    pixel = n * P + i
    if MASKED:
        ok = ok & (tl.load(valid + pixel, mask=ok, other=0) != 0)
    label = tl.load(y + pixel, mask=i < P, other=0).to(tl.int32)
    there = (c[:, None] < C) & ok[None, :]
    at = z + n * sn + c[:, None].to(tl.int64) * sc + i[None, :].to(tl.int64) * sp
    scores = tl.load(at, mask=there, other=0.0)
    # the maximum loses NaN, which comes back by the exponentials
    top = tl.max(tl.where(c[:, None] < C, scores, -float("inf")), axis=0)
    shift = tl.where((top > LOWEST) & (top < HIGHEST), 0.0, top)
    e = tl.where(c[:, None] < C, _exp(scores - shift[None, :]), 0.0)
    here = c[:, None] == label[None, :]
    own = tl.sum(tl.where(here, e, 0.0), axis=0)
    others = tl.sum(tl.where(here, 0.0, e), axis=0)
    return scores, e, here, own, others, shift, ok, label, pixel


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    z, y, valid, u, mix, log_p, mixed, sums, C, P, sn, sc, sp,
    MASKED: tl.constexpr, WEIGHTED: tl.constexpr, LOG_P: tl.constexpr, MIXED: tl.constexpr,
    SUMS: tl.constexpr, SQUARES: tl.constexpr, BC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    program, n = tl.program_id(0), tl.program_id(1).to(tl.int64)
    c = tl.arange(0, BC)
    tp, predicted = tl.zeros((BC,), tl.float32), tl.zeros((BC,), tl.float32)
    squares, true = tl.zeros((BC,), tl.float32), tl.zeros((BC,), tl.float32)
    for start in range(program * BLOCK, P, tl.num_programs(0) * BLOCK):
        i = start + tl.arange(0, BLOCK)
        scores, e, here, own, others, shift, ok, _, pixel = _tile(
            z, y, valid, n, i, c, C, P, sn, sc, sp, MASKED
        )
        total = own + others
        if LOG_P:
            far = own < NEGLIGIBLE * others
            ratio = tl.where(far, 0.0, others) / tl.where(far, 1.0, own)
            z_y = tl.sum(tl.where(here, scores, 0.0), axis=0)
            value = tl.where(far, (z_y - shift) - tl.log(total), -_log1p(ratio))
            tl.store(log_p + pixel, tl.where(ok, value, 0.0), mask=i < P)
        if MIXED:
            m = tl.load(mix + c, mask=c < C, other=0.0)
            parts = tl.where(m[:, None] == 0.0, 0.0, m[:, None] * (scores - shift[None, :]))
            value = tl.sum(parts, axis=0) - tl.sum(m, axis=0) * tl.log(total)
            tl.store(mixed + pixel, tl.where(ok, value, 0.0), mask=i < P)
        if SUMS:
            weight = tl.where(ok, 1.0, 0.0)
            if WEIGHTED:
                weight = tl.where(ok, tl.load(u + pixel, mask=ok, other=0.0), 0.0)
            p = tl.where(ok[None, :], e / total[None, :], 0.0)
            weighted = p * weight[None, :]
            tp += tl.sum(tl.where(here, weighted, 0.0), axis=1)
            predicted += tl.sum(weighted, axis=1)
            true += tl.sum(tl.where(here, weight[None, :], 0.0), axis=1)
            if SQUARES:
                squares += tl.sum(weighted * p, axis=1)
    if SUMS:
        at = sums + ((n * tl.num_programs(0) + program) * 4) * C + c
        tl.store(at, tp, mask=c < C)
        tl.store(at + C, predicted, mask=c < C)
        tl.store(at + 2 * C, squares, mask=c < C)
        tl.store(at + 3 * C, true, mask=c < C)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    z, y, valid, u, mix, d, s, of_sums, gradient, of_u, C, P, sn, sc, sp, gn, gc, gp,
    MASKED: tl.constexpr, WEIGHTED: tl.constexpr, LOG_P: tl.constexpr, MIXED: tl.constexpr,
    SUMS: tl.constexpr, OF_WEIGHTS: tl.constexpr, BC: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    program, n = tl.program_id(0), tl.program_id(1).to(tl.int64)
    c = tl.arange(0, BC)
    a, b = tl.zeros((BC,), tl.float32), tl.zeros((BC,), tl.float32)
    b2, b_true = tl.zeros((BC,), tl.float32), tl.zeros((BC,), tl.float32)
    if SUMS:
        table = of_sums + n * 4 * C + c
        a, b = tl.load(table, mask=c < C, other=0.0), tl.load(table + C, mask=c < C, other=0.0)
        b2 = tl.load(table + 2 * C, mask=c < C, other=0.0)
        b_true = tl.load(table + 3 * C, mask=c < C, other=0.0)
    for start in range(program * BLOCK, P, tl.num_programs(0) * BLOCK):
        i = start + tl.arange(0, BLOCK)
        _, e, here, own, others, _, ok, _, pixel = _tile(z, y, valid, n, i, c, C, P, sn, sc, sp, MASKED)
        total = own + others
        p, p_y, q = e / total[None, :], own / total, others / total
        of_own = tl.zeros((BLOCK,), tl.float32)
        slope = tl.zeros((BC, BLOCK), tl.float32)
        if SUMS:
            weight = tl.where(ok, 1.0, 0.0)
            if WEIGHTED:
                weight = tl.where(ok, tl.load(u + pixel, mask=ok, other=0.0), 0.0)
            g = b[:, None] + 2.0 * p * b2[:, None]
            rest = tl.sum(tl.where(here, 0.0, p * g), axis=0)
            g_y = tl.sum(tl.where(here, g, 0.0), axis=0)
            a_y = tl.sum(tl.where(here, a[:, None], 0.0), axis=0)
            mean = rest + p_y * g_y
            if OF_WEIGHTS:
                squares = tl.sum(p * p * b2[:, None], axis=0)
                counts = tl.sum(tl.where(here, b_true[:, None], 0.0), axis=0)
                value = mean + p_y * a_y - squares + counts
                tl.store(of_u + pixel, tl.where(ok, value, 0.0), mask=i < P)
            # the last is all there is where another class has all the probability
            slope = ((g - mean[None, :]) - (p_y * a_y)[None, :]) * weight[None, :]
            of_own = weight * (p_y * ((g_y + a_y) * q - rest))
        if LOG_P:
            step = tl.load(d + pixel, mask=ok, other=0.0)
            slope -= step[None, :]
            of_own += step * q
        value = tl.where(here, of_own[None, :], p * slope)
        if MIXED:
            m, share = tl.load(mix + c, mask=c < C, other=0.0), tl.load(s + pixel, mask=ok, other=0.0)
            value += share[None, :] * (m[:, None] - tl.sum(m, axis=0) * p)
        at = gradient + n * gn + c[:, None].to(tl.int64) * gc + i[None, :].to(tl.int64) * gp
        tl.store(at, tl.where(ok[None, :], value, 0.0), mask=(c[:, None] < C) & (i[None, :] < P))


def fits(scores: Tensor) -> bool:
    """Whether there is a kernel for such scores."""
    return scores.dtype == torch.float32 and scores.shape[1] <= MOST_CLASSES and scores.numel() > 0


def softmax_sums(
    scores: Tensor, labels: Tensor, valid: Tensor | None, weights: Tensor | None, mix: Tensor | None,
    wanted: Sequence[str],
) -> tuple[dict[str, Tensor], Callable[..., tuple[Tensor, Tensor | None]]]:  # fmt: skip
    """See `Backend.softmax_sums`."""
    images, classes, count = scores.shape
    bc = max(triton.next_power_of_2(classes), 2)
    block = min(max(TILE // bc, 16), 512)
    grid = (max(min(triton.cdiv(count, block), PROGRAMS // images), 1), images)
    labels, valid, weights = (x if x is None else x.contiguous() for x in (labels, valid, weights))
    any_array = scores
    given = (scores, labels, *(any_array if x is None else x for x in (valid, weights, mix)))
    shape = (classes, count, *scores.stride())
    options = {"MASKED": valid is not None, "WEIGHTED": weights is not None, "BC": bc, "BLOCK": block}

    summed = not set(_SUMS).isdisjoint(wanted)
    outputs = {name: scores.new_empty(images, count) for name in wanted if name in ("log_p", "mixed")}
    parts = scores.new_empty(images, grid[0], 4, classes) if summed else any_array
    with torch.cuda.device_of(scores):
        _forward[grid](
            *given, outputs.get("log_p", any_array), outputs.get("mixed", any_array), parts, *shape,
            **options, LOG_P="log_p" in outputs, MIXED="mixed" in outputs, SUMS=summed,
            SQUARES="p2" in wanted,
        )  # fmt: skip
    if summed:
        outputs |= zip(_SUMS, parts.sum(1).unbind(1), strict=True)

    def pullback(g: Mapping[str, Tensor], of_weights: bool) -> tuple[Tensor, Tensor | None]:
        gradient = torch.empty_like(scores)
        of_u = scores.new_zeros(images, count) if of_weights else None
        back = any_array
        if not set(_SUMS).isdisjoint(g):
            nothing = scores.new_zeros(images, classes)
            back = torch.stack([g.get(name, nothing) for name in _SUMS], 1)
        along = [g[name].contiguous() if name in g else any_array for name in ("log_p", "mixed")]
        with torch.cuda.device_of(scores):
            _backward[grid](
                *given, *along, back, gradient, any_array if of_u is None else of_u, *shape,
                *gradient.stride(), **options, LOG_P="log_p" in g, MIXED="mixed" in g,
                SUMS=back is not any_array, OF_WEIGHTS=of_weights,
            )  # fmt: skip
        return gradient, of_u

    return {name: outputs[name] for name in wanted}, pullback
