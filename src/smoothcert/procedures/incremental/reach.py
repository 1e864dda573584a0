"""Radii of the base that the samples of a changed classifier cannot show, whatever they are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import certified_radius, lower_confidence_bound
from smoothcert.certificate import Certificates
from smoothcert.procedures.certificates import under_exact_noise
from smoothcert.procedures.incremental.bounds import recertificates
from smoothcert.procedures.incremental.methods import Terms
from smoothcert.votes import PairedCounts
from smoothcert.votes.store import Manifest

__all__ = ["out_of_reach"]

_SHARE = 0.9
"""Of the base's radius: fewer samples always show a little less."""


def out_of_reach(
    pairs: PairedCounts, certificates: Certificates, manifest: Manifest, terms: Terms
) -> tuple[str, ...]:
    """Say how many inputs have a radius with the base of which unanimous samples cannot show nine tenths.

    Parameters
    ----------
    pairs : PairedCounts
        Counts of N inputs.
    certificates : Certificates
        What follows from them.
    manifest : Manifest
        Of the cache of f.
    terms : Terms
        The bound that is used.

    Returns
    -------
    tuple of str
        Empty where there are none.
    """
    base = _base_radius(pairs, manifest)
    worth = _SHARE * base
    # Inputs without samples were left out on purpose, and one that shows as much is within reach.
    short = np.flatnonzero((pairs.m > 0) & (worth > certificates.radius))
    if not len(short):
        return ()
    shown, _ = recertificates(_unanimous(pairs.take(short)), manifest, terms)
    beyond = worth[short] > shown.radius
    if not beyond.any():
        return ()
    rows = short[beyond]
    return (
        f"{len(rows):,} of {len(base):,} inputs have radii with the base, up to {_down(base[rows].max())}, that "
        f"are more than a tenth above what their samples can show, {_down(shown.radius[beyond].max())} at most "
        f"from {_sizes(pairs.m[rows])}: no candidate keeps those with so few; a larger n_p shows more",
    )


def _base_radius(pairs: PairedCounts, manifest: Manifest) -> NDArray[np.float64]:
    p_lower = np.asarray(lower_confidence_bound(pairs.count, pairs.n, manifest.alpha))
    p_lower = np.where(pairs.top_class >= 0, p_lower, 0.0)
    return np.asarray(
        certified_radius(under_exact_noise(p_lower, manifest.noise(), manifest.size), manifest.sigma)
    )


def _unanimous(pairs: PairedCounts) -> PairedCounts:
    """Let f^p vote for the cached class each time: it loses no vote for that, and all for others."""
    is_top = np.arange(pairs.own.shape[1]) == pairs.top_class[:, None]
    return replace(
        pairs,
        own=np.where(is_top, pairs.m[:, None], 0),
        lost=np.where(is_top, 0, pairs.paired),
        n_disagree=np.zeros_like(pairs.n_disagree),
    )


def _sizes(m: NDArray[np.int64]) -> str:
    return f"{m.max():,} samples" if (m == m[0]).all() else f"{m.min():,} to {m.max():,} samples"


def _down(radius: float) -> str:
    return f"{math.floor(radius * 1e3) / 1e3:g}"
