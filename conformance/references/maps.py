"""Distance maps by brute force over all pairs of pixels."""

import math

import numpy as np


def distance(a, b, spacing):
    """Euclidean distance of two grid points; spacing has one step per axis."""
    return math.sqrt(sum(((i - j) * step) ** 2 for i, j, step in zip(a, b, spacing, strict=True)))


def steps(spacing, ndim):
    """`spacing` (None, a number or a sequence) as one step per axis."""
    if spacing is None:
        return [1.0] * ndim
    if np.ndim(spacing) == 0:
        return [float(spacing)] * ndim
    return [float(step) for step in spacing]


def signed_distances(inside, shape, spacing=None):
    """Signed distance at every grid point; `inside` lists the points' membership, row-major.

    Outside: the distance d to the nearest point inside. Inside: -(d - the smallest step), d being
    the distance to the nearest point outside. 0 everywhere where the class is empty or full.
    """
    points = list(np.ndindex(*shape))
    spacing = steps(spacing, len(shape))
    smallest = min(spacing, default=1.0)
    if all(inside) or not any(inside):
        return [0.0] * len(points)
    values = []
    for point, member in zip(points, inside, strict=True):
        others = [other for other, flag in zip(points, inside, strict=True) if flag != member]
        d = min(distance(point, other, spacing) for other in others)
        values.append(-(d - smallest) if member else d)
    return values


def signed_distance_map(labels, num_classes, spacing=None):
    """(N, C, *S): signed distances to each class of a label map (N, *S).

    Kervadec et al., Boundary loss for highly unbalanced segmentation, MIDL 2019, with
    the offset of the authors' code: -(d - 1) inside.
    """
    labels = np.asarray(labels)
    count, *shape = labels.shape
    maps = np.zeros((count, num_classes, *shape))
    for n in range(count):
        members = labels[n].ravel().tolist()
        for c in range(num_classes):
            values = signed_distances([member == c for member in members], shape, spacing)
            maps[n, c] = np.reshape(values, shape)
    return maps


def unet_weight_map(instances, w0=10.0, sigma=5.0, spacing=None, balance=(1.0, 1.0)):
    """(N, *S): balance + w0 exp(-(d1 + d2)^2 / (2 sigma^2)) on the background, label 0.

    Ronneberger et al., U-Net, MICCAI 2015, equation 2: d1 and d2 are the distances to the nearest
    and the second nearest instance. The second term is 0 inside instances, and everywhere with
    fewer than two of them; `balance` weighs background and foreground.
    """
    instances = np.asarray(instances)
    count, *shape = instances.shape
    points = list(np.ndindex(*shape))
    spacing = steps(spacing, len(shape))
    weights = np.zeros(instances.shape)
    for n in range(count):
        names = sorted(set(instances[n].ravel().tolist()) - {0})
        for point in points:
            if instances[n][point] != 0:
                weights[n][point] = balance[1]
                continue
            weights[n][point] = balance[0]
            if len(names) < 2:
                continue
            nearest = []
            for name in names:
                members = [other for other in points if instances[n][other] == name]
                nearest.append(min(distance(point, other, spacing) for other in members))
            d1, d2 = sorted(nearest)[:2]
            weights[n][point] += w0 * math.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return weights
