"""What a certification returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.certified_result import CertifiedResult
from smoothcert.votes import Tally
from smoothcert.votes.store import Timing

__all__ = ["CertificationRun"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CertificationRun(CertifiedResult):
    """What `certify`, `certify_at_radius` and `certify_with_budget` return.

    It is as long as its inputs, and ``run[3]``, iteration and ``run.to_pandas()`` are those of its certificates.

    Attributes
    ----------
    certificates : Certificates
        One per input.
    tally : Tally
        The counts that they follow from.
    keys : list of bytes
        The inputs' keys.
    timing : Timing
        Samples drawn and seconds spent by this call.
    cache : Path or None
        Where the votes are kept.
    labels : ndarray of int64, shape (m,), or None
        Labels that came with the inputs; nothing certified follows from them.
    """

    certificates: Certificates
    tally: Tally
    keys: list[bytes]
    timing: Timing
    cache: Path | None
    labels: NDArray[np.int64] | None = None

    def _more(self) -> list[str]:
        kept = [] if self.cache is None else [f"votes in {str(self.cache)!r}"]
        return [self.timing.words, *kept]
