"""PyTorch, compiled: log-probability of labels and sums over pixels, with derivatives in closed form.

Inductor fuses each of them into a few loops. What autograd makes of plain operations it does not: the
backward pass of a gather writes zeros for every score and scatters into them, that of a sum for each
label adds up over classes what it could look up, and scores masked beforehand are masked in every loop.
On 4 x 19 x 256 x 256 scores, value and gradient of cross entropy take half the time and memory that a
gather of log_softmax takes (12 to 6 ms on two cores), those of Dice 0.4 of the time (23 to 9 ms).

Rules compute anew what they need: the compiler finds that it is there already. Scores are not masked, so
that those of ignored pixels may be NaN: results are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class LabelLogProbs(torch.autograd.Function):
    """Log-softmax of each pixel's label (n, p), 0 where it does not count."""

    @staticmethod
    def forward(scores: Tensor, labels: Tensor, valid: Tensor | None) -> Tensor:
        """Take scores (n, C, p), labels (n, p) in range, and where they count."""
        top, log_sum = _normaliser(scores)
        own = torch.gather(scores, 1, labels[:, None].to(torch.int64))[:, 0]
        return _masked((own - top) - log_sum, valid)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor | None, ...], output: Tensor) -> None:
        """Keep the input."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        """d ([c = y] - p_c)."""
        scores, labels, valid = ctx.saved_tensors
        d = d[:, None]
        own = torch.where(_is_class(labels, scores.shape[1]), d, 0.0)
        return _masked(own - d * _softmax(scores), valid), None, None


class ProbSums(torch.autograd.Function):
    """Weighted sums of the softmax over pixels, (n, C)."""

    @staticmethod
    def forward(scores: Tensor, valid: Tensor | None, weights: Tensor | None) -> Tensor:
        """Take scores (n, C, p), where pixels count, and how much if not 1."""
        probs = _masked(_softmax(scores), valid)
        return (probs if weights is None else probs * weights[:, None]).sum(2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor | None, ...], output: Tensor) -> None:
        """Keep the input."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, b: Tensor) -> tuple[Tensor | None, ...]:
        """u p_c (b_c - sum_k p_k b_k), and sum_k p_k b_k for the weights."""
        scores, valid, weights = ctx.saved_tensors
        probs, b = _softmax(scores), b[:, :, None]
        mean = (probs * b).sum(1)
        slope = probs * (b - mean[:, None])
        if weights is None:
            return _masked(slope, valid), None, None
        return _masked(slope * weights[:, None], valid), None, _masked(mean, valid)


class ClassSums(torch.autograd.Function):
    """Sums of the values of each label, (n, C)."""

    @staticmethod
    def forward(values: Tensor, labels: Tensor, classes: int) -> Tensor:
        """Take values and labels, (n, p) each, and the number of classes."""
        return torch.where(_is_class(labels, classes), values[:, None], 0.0).sum(2)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the labels."""
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, b: Tensor) -> tuple[Tensor | None, ...]:
        """b_y."""
        (labels,) = ctx.saved_tensors
        return torch.gather(b, 1, labels.to(torch.int64)), None, None


def _normaliser(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Largest score and log of the sum of exponentials above it, (n, p) each."""
    top = scores.detach().amax(1)
    return top, torch.log(torch.exp(scores - top[:, None]).sum(1))


def _softmax(scores: Tensor) -> Tensor:
    top, log_sum = _normaliser(scores)
    return torch.exp((scores - top[:, None]) - log_sum[:, None])


def _is_class(labels: Tensor, classes: int) -> Tensor:
    return labels[:, None] == torch.arange(classes, dtype=labels.dtype, device=labels.device)[:, None]


def _masked(values: Tensor, valid: Tensor | None) -> Tensor:
    """Values (n, p) or (n, C, p), 0 where a pixel does not count."""
    if valid is None:
        return values
    return torch.where(valid if values.ndim == 2 else valid[:, None], values, 0.0)
