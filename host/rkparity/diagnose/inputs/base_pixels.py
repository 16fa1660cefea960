"""Finds the pixels behind a normalised input whose mean and std the model does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Mean and std in common use, in pixel values: 0..1, -1..1 in three spellings, ImageNet, Caffe's means.
KNOWN = (
    ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    ((128.0, 128.0, 128.0), (128.0, 128.0, 128.0)),
    ((127.5, 127.5, 127.5), (128.0, 128.0, 128.0)),
    ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
    ((123.68, 116.78, 103.94), (58.393, 57.12, 57.375)),
    ((103.94, 116.78, 123.68), (1.0, 1.0, 1.0)),
    ((104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
    ((123.0, 117.0, 104.0), (1.0, 1.0, 1.0)),
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
)


def find_normalization(
    normalized: NDArray[Any], pixels: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Mean and std, one value per channel, such that normalized * std + mean are whole numbers 0..255; None if none.

    `normalized` and `pixels` are (H, W, C). With pixels they are fitted, without they are looked for among common ones.
    """
    import numpy as np

    channels = normalized.shape[2]
    flat = normalized.reshape(-1, channels)[:: max(1, normalized.size // (channels * 4096))].astype(np.float64)
    if pixels is not None:
        picked = pixels.reshape(-1, channels)[:: max(1, normalized.size // (channels * 4096))].astype(np.float64)
        mean, std = np.zeros(channels), np.ones(channels)
        for channel in range(channels):
            x, y = flat[:, channel], picked[:, channel]
            if np.ptp(x) == 0:
                return None
            std[channel], mean[channel] = np.polyfit(x, y, 1)
            if np.abs(x * std[channel] + mean[channel] - y).max() > 0.05:
                return None
        for known_mean, known_std in KNOWN:
            if channels == 3 and np.allclose(mean, known_mean, atol=0.02) and np.allclose(std, known_std, rtol=1e-3):
                return np.asarray(known_mean), np.asarray(known_std)
        return mean, std
    for known_mean, known_std in KNOWN:
        if channels != 3 and len(set(known_mean)) > 1:
            continue
        mean, std = np.resize(known_mean, channels), np.resize(known_std, channels)
        numbers = flat * std + mean
        whole = np.abs(numbers - np.rint(numbers)).max() < 0.02
        if whole and numbers.min() > -0.5 and numbers.max() < 255.5 and np.ptp(numbers) > 16:
            return np.asarray(mean, np.float64), np.asarray(std, np.float64)
    return None
