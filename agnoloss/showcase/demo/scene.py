"""A photograph, what is to be found in it, and what the model is told about each pixel."""

from __future__ import annotations

from typing import Any, NamedTuple


class Scene(NamedTuple):
    """A photograph cut in two: the model learns from the left half and is judged on the right.

    Attributes
    ----------
    photo : array, shape (rows, columns)
        Grey values from 0 to 1, NumPy float64.
    mask : array, shape (rows, columns)
        1 on a coin and 0 beside it, NumPy int64.
    features : array, shape (rows, columns, F)
        What the model sees of each pixel, NumPy float64; the last one is constant.
    """

    photo: Any
    mask: Any
    features: Any

    @property
    def middle(self) -> int:
        """Return the first column of the half that is kept from the training."""
        return int(self.photo.shape[1]) // 2

    def seen(self) -> tuple[Any, Any]:
        """Return features ``(1, H, W, F)`` and targets ``(1, H, W)`` to learn from.

        Every second row and column of the left half: neighbours say nearly the same, and a
        quarter of the pixels costs a quarter of the time.
        """
        return self.features[None, ::2, : self.middle : 2], self.mask[None, ::2, : self.middle : 2]

    def unseen(self) -> tuple[Any, Any]:
        """Return features ``(1, H, W, F)`` and targets ``(1, H, W)`` of the whole right half."""
        return self.features[None, :, self.middle :], self.mask[None, :, self.middle :]


def coins() -> Scene:
    """Load the Greek coins from Pompeii that scikit-image ships inside its wheel.

    Returns
    -------
    Scene
        The photograph, a mask of its coins and nine features of each pixel, beside a constant.

    Notes
    -----
    The mask comes from scikit-image's own example "Comparing edge-based and region-based
    segmentation": a watershed on the Sobel edges, grown from certain coin and certain table.
    """
    import numpy as np
    from scipy import ndimage
    from skimage import data, filters, segmentation

    grey = data.coins()
    markers = np.zeros(grey.shape, dtype=np.int32)
    markers[grey < 30] = 1  # surely table
    markers[grey > 150] = 2  # surely coin
    regions = segmentation.watershed(filters.sobel(grey), markers)
    filled = ndimage.binary_fill_holes(regions == 2)
    # The example leaves one speck of two pixels on the table; coins have a thousand and more.
    coin_numbers, _ = ndimage.label(filled)
    mask = (np.bincount(coin_numbers.ravel())[coin_numbers] >= 100) & filled

    photo = grey / 255.0
    views = [photo]
    views += [ndimage.gaussian_filter(photo, sigma) for sigma in (1, 2, 4, 8, 32)]
    views += [ndimage.gaussian_gradient_magnitude(photo, sigma) for sigma in (1, 2, 4)]
    standardised = [(view - view.mean()) / view.std() for view in views]
    features = np.stack([*standardised, np.ones_like(photo)], axis=-1)
    return Scene(photo, mask.astype(np.int64), features)
