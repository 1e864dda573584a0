"""Whether two runs of one model differ by rounding alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["beyond_rounding"]

_FINE = 1e-3  # of the spread of the logits; ONNX Runtime was within 1e-5 on a ResNet-20
_COARSE = 0.05  # where products keep 8 to 11 bits (bfloat16, float16, int8, a GPU's TensorFloat-32)
_SHORT = ("float16", "bfloat16", "float8", "int8", "uint8")


def beyond_rounding(
    expected: NDArray[np.float32], logits: NDArray[np.float32], description: Mapping[str, str]
) -> str:
    """Say how logits differ, if by more than the rounding of a runtime explains.

    Parameters
    ----------
    expected, logits : ndarray of float32, shape (b, k)
        Logits for the same batch.
    description : mapping of str to str
        Of the classifier that gave `expected`: its device and dtype say how coarsely it rounds.

    Returns
    -------
    str
        Empty when they differ by rounding alone.

    Examples
    --------
    >>> import numpy as np
    >>> logits, float32 = np.array([[0.0, 1.0]], np.float32), {"device": "cpu", "dtype": "float32"}
    >>> beyond_rounding(logits, logits * 1.0001, float32), beyond_rounding(logits, logits * 1.01, float32)
    ('', 'logits differ by up to 0.01 of a spread of 1')
    """
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(logits)):
        return "other logits are not finite"
    if not finite.any():
        return ""
    moved, spread = float(np.abs(expected - logits)[finite].max()), float(np.ptp(expected[finite]))
    dtypes = description.get("dtype", "").split("+")
    coarse = description.get("device") != "cpu" or any(d.startswith(_SHORT) for d in dtypes)
    allowed = (_COARSE if coarse else _FINE) * spread
    return f"logits differ by up to {moved:.3g} of a spread of {spread:.3g}" if moved > allowed else ""
