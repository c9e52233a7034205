"""The Lovász extension of the Jaccard loss, as loops (Berman et al., CVPR 2018)."""

from ._common import chosen_classes, over_classes, read, weights_of_classes


def lovasz_extension(entries):
    """The extension of 1 - Jaccard at `entries`, a list of (error, in foreground, weight).

    Algorithm 1 of the paper with weighted counts: going down the errors, Jaccard's loss after the
    first k pixels is 1 - (G - inside) / (G + outside), where G is all foreground, and inside and
    outside are what of foreground and background was passed; each error is multiplied by what its
    pixel adds to that loss.
    """
    entries = sorted(entries, key=lambda entry: entry[0], reverse=True)
    foreground = sum(weight for _, inside, weight in entries if inside)
    passed_inside = passed_outside = 0.0
    value = before = 0.0
    for error, inside, weight in entries:
        if inside:
            passed_inside += weight
        else:
            passed_outside += weight
        loss = 1 - (foreground - passed_inside) / (foreground + passed_outside)
        value += error * (loss - before)
        before = loss
    return value


def _lovasz(batch, error_of, class_weights, classes, per_image, reduction):
    w = weights_of_classes(batch, class_weights)
    losses, chosen = [], []
    for pixels in batch.pools(per_image):
        row, present = [], []
        for c in range(batch.classes):
            entries = []
            for pixel in pixels:
                if pixel.weights[c]:
                    inside = pixel.targets[c] > 0.5
                    entries.append((error_of(pixel, c, inside), inside, pixel.weights[c]))
            row.append(lovasz_extension(entries))
            present.append(any(inside for _, inside, _ in entries))
        losses.append(row)
        chosen.append(chosen_classes(classes, present))
    return over_classes(losses, chosen, w, per_image, reduction)


def lovasz_softmax_loss(
    predictions,
    targets,
    /,
    *,
    mode="multiclass",
    from_logits=True,
    axis=1,
    ignore_index=None,
    pixel_weights=None,
    class_weights=None,
    classes="present",
    per_image=False,
    reduction="mean",
):
    """Mean over classes of the extension at the errors |y - p|, y = 1 where the target is > 0.5.

    The Lovász-softmax loss of Berman et al., CVPR 2018.
    """
    batch = read(predictions, targets, mode, from_logits, axis, ignore_index, pixel_weights)

    def error(pixel, c, inside):
        return pixel.rests[c] if inside else pixel.probs[c]

    return _lovasz(batch, error, class_weights, classes, per_image, reduction)


def lovasz_hinge_loss(
    predictions,
    targets,
    /,
    *,
    mode="binary",
    axis=1,
    ignore_index=None,
    pixel_weights=None,
    class_weights=None,
    per_image=True,
    reduction="mean",
):
    """Extension at the hinge errors max(1 - z (2 y - 1), 0) of the scores z.

    The Lovász hinge of Berman et al., CVPR 2018; a soft target is 1 where it is > 0.5.
    """
    if mode == "multiclass":
        raise ValueError("the Lovász hinge is binary or multilabel.")
    batch = read(predictions, targets, mode, True, axis, ignore_index, pixel_weights)

    def error(pixel, c, inside):
        margin = pixel.scores[c] if inside else -pixel.scores[c]
        return max(1 - margin, 0.0)

    return _lovasz(batch, error, class_weights, "all", per_image, reduction)
