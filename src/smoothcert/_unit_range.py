"""Inputs in [0, 1], channels first: the levels of 8-bit images there, and what to do with anything else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# One correctly rounded division per level. Computing x * (1/255) on the fly gives other values for 126 of the 256
# levels, and then an input would depend on who decoded it.
_LEVELS = np.arange(256, dtype=np.float32) / np.float32(255)

_COLOUR_CHANNELS = (1, 3, 4)
_MOST_CHANNELS = 4
_RESAMPLED = 0.1  # how far bicubic scaling overshoots
_DIGITS, _BYTE, _WORD = 16, 255, 65535  # the highest levels of scikit-learn's digits, and of 8 and 16 bits


def from_levels(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale levels k to the float32 nearest to k / 255."""
    return np.take(_LEVELS, levels)


def range_problem(low: float, high: float) -> str:
    """Say what values are in and what to do about it; an empty text where they are in [0, 1].

    Examples
    --------
    >>> range_problem(0, 255)
    'values in [0, 255], but inputs are in [0, 1]: they look like 8-bit levels, so divide by 255, ...'
    >>> range_problem(0, 1)
    ''
    """
    if low >= 0 and high <= 1:
        return ""
    return f"values in [{low:g}, {high:g}], but inputs are in [0, 1]: {_range_remedy(low, high)}"


def _range_remedy(low: float, high: float) -> str:
    if low >= -_RESAMPLED and high <= 1 + _RESAMPLED:
        return "they leave it as little as resampled images do, so clip them, x.clip(0, 1)"
    if low >= 0 and high <= _DIGITS:
        return (
            "they look like levels, so divide by the highest there is, 16 for scikit-learn's digits and 255 for "
            "8-bit images, and give sigma in the new units"
        )
    if low >= 0 and high <= _BYTE:
        return "they look like 8-bit levels, so divide by 255, and give sigma in the new units"
    if low >= 0 and high <= _WORD:
        return "they look like 16-bit levels, so divide by 65535, and give sigma in the new units"
    if low >= -1 and high <= 1:
        return (
            "they look like [-1, 1], so use (x + 1) / 2 and sigma / 2, which is sigma in the new units, and scale "
            "back in the classifier, as by preprocess=lambda x: 2 * x - 1"
        )
    return (
        "they look normalized, so undo that here, x * std + mean, and put the normalization in front of the "
        "network, as by preprocess="
    )


def layout_problem(shape: tuple[int, ...], transpose: str = "x.transpose") -> str:
    """Say which axes are images with channels last, and what to do about it; an empty text where none are.

    Examples
    --------
    >>> layout_problem((10, 32, 32, 3))
    'shape (10, 32, 32, 3), channels last: give x.transpose(0, 3, 1, 2), and transpose back in ...'
    >>> layout_problem((10, 3, 32, 32))
    ''
    """
    if len(shape) == 4 and shape[1] > _MOST_CHANNELS and shape[3] in _COLOUR_CHANNELS:
        return (
            f"shape {shape}, channels last: give {transpose}(0, 3, 1, 2), and transpose back in a classifier that "
            "takes channels last"
        )
    # One image in three axes could be many sequences: only a square one is clear.
    if len(shape) == 3 and shape[0] == shape[1] > _MOST_CHANNELS and shape[2] in _COLOUR_CHANNELS:
        return f"shape {shape}, one image with channels last: give {transpose}(2, 0, 1)[None]"
    return ""
