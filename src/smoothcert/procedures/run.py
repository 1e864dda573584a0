"""What a certification returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.votes.store import Timing

__all__ = ["CertificationRun"]


@dataclass(frozen=True, kw_only=True)
class CertificationRun:
    """What `certify`, `certify_at_radius`, `certify_with_budget` and `certify_guided` return.

    Attributes
    ----------
    certificates : Certificates
        One per input.
    counts : ndarray of int64, shape (m, k)
        Estimation votes per class; invalid votes are in n and in no class.
    selection_counts : ndarray of int64, shape (m, k)
        Selection votes per class.
    keys : list of bytes
        The inputs' keys.
    timing : Timing
        Samples drawn and seconds spent by this call.
    cache : Path or None
        Where the votes are kept.
    """

    certificates: Certificates
    counts: NDArray[np.int64]
    selection_counts: NDArray[np.int64]
    keys: list[bytes]
    timing: Timing
    cache: Path | None
