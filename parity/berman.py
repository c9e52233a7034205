"""Berman's Lovász losses, from the paper's formulas and as plainly as possible (torch, float64).

The arguments are those of his PyTorch code. The code shares nothing with it, nor with agnoloss: the
Jaccard loss of every set of mispredicted pixels is counted anew, equation 8 of Berman, Rannen Triki
and Blaschko, "The Lovász-Softmax Loss", CVPR 2018.
"""

import torch


def jaccard_loss_of(wrong, foreground):
    """Delta_J = |M| / |{y = c} + M|: the Jaccard loss where exactly the pixels of `wrong` are wrong."""
    true = {i for i, is_foreground in enumerate(foreground) if is_foreground}
    union = true | set(wrong)
    return len(wrong) / len(union) if union else 0.0


def extension(errors, foreground):
    """sum_i e_i (Delta({1..i}) - Delta({1..i-1})), the errors falling."""
    order = sorted(range(len(foreground)), key=lambda i: -errors[i].item())
    value = 0 * errors.sum()
    for i, pixel in enumerate(order):
        step = jaccard_loss_of(order[: i + 1], foreground) - jaccard_loss_of(order[:i], foreground)
        value = value + errors[pixel] * step
    return value


def lovasz_softmax(probas, labels, classes="present", per_image=False, ignore=None):
    """Multiclass, on probabilities (B, C, H, W) and labels (B, H, W)."""
    if per_image:
        images = zip(probas, labels, strict=True)
        losses = [lovasz_softmax(p[None], y[None], classes, ignore=ignore) for p, y in images]
        return torch.stack(losses).mean()
    count = probas.shape[1]
    p, y = probas.movedim(1, -1).reshape(-1, count), labels.reshape(-1)
    if ignore is not None:
        p, y = p[y != ignore], y[y != ignore]
    losses = []
    for c in range(count) if classes in ("all", "present") else classes:
        foreground = (y == c).tolist()
        if classes == "present" and not any(foreground):
            continue
        of_class = p[:, c if count > 1 else 0]
        errors = torch.stack([1 - q if is_c else q for q, is_c in zip(of_class, foreground, strict=True)])
        losses.append(extension(errors, foreground))
    return torch.stack(losses).mean()


def lovasz_hinge(logits, labels, per_image=True, ignore=None):
    """Binary, on scores (B, H, W) and labels (B, H, W)."""
    if per_image:
        images = [lovasz_hinge(z[None], y[None], False, ignore) for z, y in zip(logits, labels, strict=True)]
        return torch.stack(images).mean()
    z, y = logits.reshape(-1), labels.reshape(-1)
    if ignore is not None:
        z, y = z[y != ignore], y[y != ignore]
    foreground = (y == 1).tolist()
    errors = torch.stack([1 - a if is_c else 1 + a for a, is_c in zip(z, foreground, strict=True)])
    return extension(errors.clamp(min=0), foreground)
