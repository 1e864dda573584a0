"""How many votes of every input, and what a cache says of them."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from smoothcert.noise import Purpose
from smoothcert.votes.smoothed import Smoothed
from smoothcert.votes.store import BATCH_SIZE, BUDGET, EVEN, Manifest

__all__ = ["Quota", "make_manifest"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Quota:
    """How many votes of every input, and what for.

    Attributes
    ----------
    n0, n : int
        Selection samples, and other samples; in rounds, n is the most that an input can take.
    sizes : ndarray of int64, shape (m,), optional
        Other samples of each input, where they differ; n is then their mean at most.
    alpha : float
        Level of the lower bound that is kept with the votes.
    purpose : Purpose
        What the n samples are for.
    """

    n0: int
    n: int
    alpha: float
    purpose: Purpose = Purpose.ESTIMATION
    sizes: NDArray[np.int64] | None = None

    @property
    def spread(self) -> str:
        """How the samples are spread over the inputs, as a manifest says it."""
        return EVEN if self.sizes is None else BUDGET


def make_manifest(g: Smoothed, quota: Quota, *, base: str = "") -> Manifest:
    """Describe the votes for a cache; `base` is the digest of the manifest that they are paired with."""
    return Manifest(
        sigma=g.noise.sigma,
        noise_law=g.noise.law,
        noise_digest=g.noise.digest,
        seed=g.noise.seed,
        n0=quota.n0,
        n=quota.n,
        alpha=quota.alpha,
        num_classes=g.classifier.num_classes,
        input_shape=g.shape,
        fingerprint=g.classifier.fingerprint,
        purpose=quota.purpose.name.lower(),
        identity=asdict(g.identity),
        classifier={**g.classifier.description, BATCH_SIZE: str(g.forward_passes_at_once)},
        base=base,
        spread=quota.spread,
        versions={
            "smoothcert": version("smoothcert"),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    )
