"""Everything that the cached votes of a certification say about a surrogate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert._results import Brief
from smoothcert.certificate import Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation.cached_votes import SampledInputs, read_sampled
from smoothcert.evaluation.estimation import EstimationErrors, estimation_errors, sampling_variance
from smoothcert.evaluation.metrics import average_certified_radius
from smoothcert.procedures import decide_class
from smoothcert.sampling import Identity
from smoothcert.surrogate import (
    Calibration,
    Prediction,
    Surrogate,
    plan_samples,
    surrogate_certificates,
    with_agreement,
)
from smoothcert.votes import tally_of

__all__ = ["GuidedPoint", "SurrogateEvaluation", "evaluate_surrogate", "guided_curve"]

_REPEATS = 50


@dataclass(frozen=True)
class GuidedPoint:
    """ACR of guided certification beside one n for all, on the same inputs and for as many samples."""

    n: int  # estimation samples per input on average
    samples: int  # estimation samples that guided certification spent on all inputs
    uniform: float
    guided: float
    unselected: float  # guided without selection samples: the surrogate's class is certified, or none


@dataclass(frozen=True, kw_only=True, repr=False)
class SurrogateEvaluation(Brief):
    """A surrogate against sampling.

    Attributes
    ----------
    y : ndarray of int64, shape (m,)
        Labels.
    certificates : dict of str to Certificates
        By method: sampling at several n, and the surrogate, raw or calibrated.
    agreement : float
        Share of inputs whose class by the surrogate is the one with most votes.
    errors : EstimationErrors
        The raw surrogate against sampling at the cache's n.
    variance : ndarray of float64, shape (k,)
        Sampling variance of the counts, see `sampling_variance`.
    guided : list of GuidedPoint
        Guided certification, by budget.
    left_out : int
        Inputs of the cache that the surrogate was fitted to or calibrated on.
    """

    y: NDArray[np.int64]
    certificates: dict[str, Certificates]
    agreement: float
    errors: EstimationErrors
    variance: NDArray[np.float64]
    guided: list[GuidedPoint]
    left_out: int


def evaluate_surrogate(
    surrogate: Surrogate,
    cache: str | Path,
    x: Any,
    y: NDArray[np.int64],
    *,
    calibration: Calibration | None = None,
    few: int = 100,
    n: int | None = None,
    alpha: float = 0.001,
) -> SurrogateEvaluation:
    """Compare a surrogate with sampling on inputs whose votes are cached, without a forward pass of f.

    Inputs that the surrogate was fitted to or calibrated on are left out: it is better on them than on new ones.

    Parameters
    ----------
    surrogate : Surrogate
        The surrogate.
    cache : str or Path
        Folder of a certification cache of the classifier that it was fitted for.
    x : array, tensor, sequence, data set or loader, shape (m, *shape)
        Inputs, all of them in the cache.
    y : ndarray of int64, shape (m,)
        Their labels.
    calibration : Calibration, optional
        Adds the calibrated radii.
    few : int
        Samples of the baseline that costs about what the surrogate costs; 100 in the paper.
    n : int, optional
        Samples that the raw surrogate stands in for; by default the cache's.
    alpha : float
        Failure probability of what sampling certifies, and of the agreement check.

    Returns
    -------
    SurrogateEvaluation

    Raises
    ------
    InvalidArgumentError
        When the cache is of another classifier or noise, has no selection votes, or only inputs that are left out.
    CacheError
        When an input is missing or the cache is damaged.

    References
    ----------
    Bhardwaj, Kaushik, Gupta, "Accelerated Smoothing", 2024, Tables I and III to VI.
    """
    everything = read_sampled(cache, x, y)
    manifest = everything.manifest
    surrogate.record.require(
        str(cache),
        num_classes=manifest.num_classes,
        input_shape=manifest.input_shape,
        sigma=manifest.sigma,
        noise_law=manifest.noise_law,
        fingerprint=manifest.fingerprint,
    )
    if manifest.identity:
        surrogate.record.require_identity(Identity(**manifest.identity), str(cache), manifest.classifier)
    sampled = _fresh(surrogate, calibration, everything)
    full = manifest.n
    prediction, tally = surrogate.predict(sampled.inputs), tally_of(sampled.rows, full)
    raw = surrogate_certificates(surrogate, prediction, n=n or full, alpha=alpha)
    agreed = decide_class(tally.selection, alpha)
    certificates = {
        f"sampling, n = {size}": sampled.certificates(size, alpha) for size in sorted({few, full}) if size <= full
    }
    certificates[f"surrogate, n0 = {manifest.n0}"] = with_agreement(raw, agreed)
    certificates["surrogate, n0 = 0"] = raw
    if calibration is not None:
        lowered = surrogate_certificates(surrogate, prediction, calibration=calibration)
        certificates[f"calibrated, n0 = {manifest.n0}"] = with_agreement(lowered, agreed)
        certificates["calibrated, n0 = 0"] = lowered
    most_votes = tally.counts.argmax(axis=1)
    return SurrogateEvaluation(
        y=sampled.y,
        certificates=certificates,
        agreement=float((prediction.top_class == most_votes).mean()),
        errors=estimation_errors(with_agreement(raw, agreed), sampled.certificates(full, alpha)),
        variance=sampling_variance(sampled.votes, manifest.num_classes, repeats=min(_REPEATS, full)),
        guided=guided_curve(prediction, sampled, _budgets(full), alpha),
        left_out=len(everything.rows) - len(sampled.rows),
    )


def guided_curve(
    prediction: Prediction, sampled: SampledInputs, budgets: Sequence[int], alpha: float
) -> list[GuidedPoint]:
    """Certify with a surrogate's numbers of samples and with one number for all, from the same cached votes."""
    its_own, points = prediction.top_class, []
    for n in budgets:
        sizes = plan_samples(prediction, n, alpha, most=sampled.manifest.n)
        points.append(
            GuidedPoint(
                n=n,
                samples=int(sizes.sum()),
                uniform=average_certified_radius(sampled.certificates(n, alpha), sampled.y),
                guided=average_certified_radius(sampled.certificates(sizes, alpha), sampled.y),
                unselected=average_certified_radius(sampled.certificates(sizes, alpha, its_own), sampled.y),
            )
        )
    return points


def _budgets(n: int) -> list[int]:
    """Budgets that leave room for inputs that get far more than others."""
    low = min(50, n)
    high = max(n // 10, low)
    steps = round(math.log2(high / low)) + 1
    return [int(size) for size in np.unique(np.geomspace(low, high, steps).astype(int))]


def _fresh(surrogate: Surrogate, calibration: Calibration | None, sampled: SampledInputs) -> SampledInputs:
    known = surrogate.was_fitted_to(sampled.keys)
    if calibration is not None:
        calibrated = set(calibration.keys)
        known |= np.array([key.hex() in calibrated for key in sampled.keys])
    if known.all():
        raise InvalidArgumentError(
            f"all {len(known)} inputs of the cache served to fit or to calibrate the surrogate: certify others"
        )
    return sampled.select(np.flatnonzero(~known))
