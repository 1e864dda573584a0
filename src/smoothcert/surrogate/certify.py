"""Certification by a surrogate: Algorithm 1 of Accelerated Smoothing, and its calibrated form."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from smoothcert.bounds import certified_radius, lower_confidence_bound
from smoothcert.certificate import ABSTAIN, Certificates
from smoothcert.certified_result import CertifiedResult
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseStream, noise_of_law
from smoothcert.procedures import BELOW_HALF, predict
from smoothcert.sampling import Identity, as_inputs, identify
from smoothcert.surrogate.calibration import Calibration, calibrated_probit
from smoothcert.surrogate.inputs import Rows
from smoothcert.surrogate.model import Surrogate
from smoothcert.surrogate.prediction import Prediction
from smoothcert.votes import (
    ShowProgress,
    require_classifier,
    require_count,
    require_probability,
    run_as_made,
)
from smoothcert.votes.store import Timing

__all__ = ["SurrogateRun", "certify_with_surrogate", "surrogate_certificates"]

DISAGREES = "f's class in n0 samples is another"

_ESTIMATED = "the surrogate is trusted: nothing bounds its error"


@dataclass(frozen=True, kw_only=True, repr=False)
class SurrogateRun(CertifiedResult):
    """What `certify_with_surrogate` returns.

    Attributes
    ----------
    certificates : Certificates
        One per input; their guarantee is ``estimated`` or ``calibrated``, never ``certified``.
    prediction : Prediction
        What the surrogate said.
    timing : Timing
        Samples of the base classifier, and seconds in all.
    """

    certificates: Certificates
    prediction: Prediction
    timing: Timing

    def _more(self) -> list[str]:
        return [self.timing.words]


def certify_with_surrogate(
    surrogate: Surrogate,
    x: Any,
    classifier: Classifier | None = None,
    *,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    calibration: Calibration | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: ShowProgress = None,
) -> SurrogateRun:
    """Give each input a class and a radius from one forward pass of a surrogate (Algorithm 1).

    The surrogate's share for its top class stands in for that of n votes. A radius is given only where PREDICT
    returns the same class of the smoothed classifier from n0 samples of f; with ``n0=0`` the surrogate's class is
    taken as it is. The guarantee is not that of `certify`:

    - without a calibration the radius is ``estimated``: nothing bounds the surrogate's error. The class has
      PREDICT's guarantee when n0 > 0.
    - with one it is ``calibrated``: see `calibrate_surrogate` for what is promised of inputs drawn like the
      calibration set, and what is not. With ``n0=0`` the promise covers the class as well.

    Parameters
    ----------
    surrogate : Surrogate
        From `fit_surrogate` or `load_surrogate`.
    x : array, tensor, sequence, data set or loader, shape (m, *shape)
        Inputs in [0, 1].
    classifier : Classifier, optional
        The base classifier f that the surrogate was fitted for; needed unless n0 is 0.
    n0 : int
        Samples of f per input for the class; only inputs that would get a radius take them.
    n : int
        Samples that the surrogate stands in for.
    alpha : float
        Failure probability of the bound and of PREDICT.
    calibration : Calibration, optional
        From `calibrate_surrogate` or `load_calibration`. It brings its own n, and for the bound its own alpha.
    seed : int
        Seed of the noise stream.
    batch_size : int, optional
        Forward passes at once; it changes no noise.
    progress : callable or False, optional
        Called with (samples done, samples in total).

    Returns
    -------
    SurrogateRun

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or the surrogate or the calibration does not fit the classifier, the
        inputs or each other.

    References
    ----------
    Bhardwaj, Kaushik, Gupta, "Accelerated Smoothing", 2024, Algorithm 1.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile, torch
    >>> from dataclasses import replace
    >>> from smoothcert.surrogate import surrogate_recipe
    >>> f = sc.FunctionClassifier(lambda batch: batch, num_classes=2, fingerprint="identity")
    >>> x = np.random.default_rng(0).random((200, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     votes = sc.collect_votes(f, x, sigma=0.25, n=100, cache=folder)
    >>> recipe = replace(surrogate_recipe("fast"), epochs=60, batch_size=20, learning_rate=0.1)
    >>> h = sc.fit_surrogate(votes, module=torch.nn.Linear(2, 2), recipe=recipe).surrogate
    >>> run = sc.certify_with_surrogate(h, np.array([[0.9, 0.1], [0.5, 0.5]]), f)
    >>> run.certificates.guarantee, run.certificates.prediction
    ('estimated', array([ 0, -1]))
    """
    began = time.perf_counter()
    n0, n = require_count("n0", n0, at_least=0), require_count("n", n)
    alpha = require_probability("alpha", alpha)
    inputs = as_inputs(x).inputs
    stream = surrogate_noise(surrogate, seed)
    if n0 and classifier is None:
        raise InvalidArgumentError(
            f"n0 is {n0}, but there is no classifier to take samples of: give it, or n0 = 0"
        )
    if classifier is not None:
        classifier = run_as_fitted(surrogate, require_classifier("classifier", classifier))
        require_fitted_for(surrogate, classifier)
    if calibration is not None and calibration.surrogate != surrogate.record.digest:
        raise InvalidArgumentError("calibration is of another surrogate: calibrate this one")
    prediction = surrogate.predict(inputs, batch_size=batch_size)
    raw = surrogate_certificates(surrogate, prediction, n=n, alpha=alpha, calibration=calibration)
    rows = np.flatnonzero(raw.certified)
    agreed = raw.prediction
    if n0 and classifier is not None and len(rows):
        agreed = raw.prediction.copy()
        agreed[rows] = predict(
            classifier,
            Rows(inputs, rows),
            sigma=surrogate.record.sigma,
            n=n0,
            alpha=alpha,
            seed=seed,
            batch_size=batch_size,
            progress=progress,
            noise=stream,
        )
    certificates = with_agreement(raw, agreed)
    return SurrogateRun(
        certificates=certificates,
        prediction=prediction,
        timing=Timing(n0 * len(rows), time.perf_counter() - began),
    )


def surrogate_certificates(
    surrogate: Surrogate,
    prediction: Prediction,
    *,
    n: int = 100_000,
    alpha: float = 0.001,
    calibration: Calibration | None = None,
) -> Certificates:
    """Turn predicted shares into classes and radii: lines 2 to 13 of Algorithm 1 without the agreement.

    Parameters
    ----------
    surrogate : Surrogate
        That predicted.
    prediction : Prediction
        Of m inputs.
    n : int
        Samples that the surrogate stands in for.
    alpha : float
        Failure probability of the bound.
    calibration : Calibration, optional
        With it, n and alpha are its own.

    Returns
    -------
    Certificates
        ``estimated``, or ``calibrated``; `count` is n times the share, rounded down.
    """
    if calibration is not None:
        n, alpha = calibration.n, calibration.alpha
    count = np.minimum(np.floor(n * prediction.top_share), n).astype(np.int64)
    if calibration is None:
        p_lower = np.asarray(lower_confidence_bound(count, n, alpha))
    else:
        p_lower = ndtr(calibrated_probit(calibration, prediction))
    claimed = p_lower > 0.5
    record = surrogate.record
    noise = surrogate_noise(surrogate, 0)
    return Certificates(
        prediction=np.where(claimed, prediction.top_class, ABSTAIN),
        radius=np.asarray(certified_radius(p_lower, record.sigma)),
        p_lower=p_lower,
        top_class=prediction.top_class,
        count=count,
        n=np.full(len(prediction), n),
        reason=np.where(claimed, "", BELOW_HALF),
        alpha=1.0 if calibration is None else calibration.miss + alpha,
        alpha_split={"radius": 1.0} if calibration is None else {"miss": calibration.miss, "base": alpha},
        sigma=record.sigma,
        method="surrogate",
        noise=record.noise_law,
        guarantee="estimated" if calibration is None else "calibrated",
        premise=f"{_ESTIMATED if calibration is None else calibration.summary()}; {noise.premise}",
    )


def with_agreement(certificates: Certificates, predicted: NDArray[np.int64]) -> Certificates:
    """Abstain where PREDICT's class is not the certificate's.

    Parameters
    ----------
    certificates : Certificates
        Of m inputs.
    predicted : ndarray of int64, shape (m,)
        PREDICT's classes; -1 where it abstained. Where the certificate abstains they do not matter.

    Returns
    -------
    Certificates
    """
    differs = certificates.certified & (predicted != certificates.prediction)
    return replace(
        certificates,
        prediction=np.where(differs, ABSTAIN, certificates.prediction),
        radius=np.where(differs, 0.0, certificates.radius),
        reason=np.where(differs, DISAGREES, certificates.reason),
    )


def surrogate_noise(surrogate: Surrogate, seed: int) -> NoiseStream:
    """Return the noise that a surrogate was fitted for; InvalidArgumentError when it cannot be drawn."""
    record = surrogate.record
    stream = _drawn(record.noise_law, record.sigma, seed)
    if stream is None or stream.digest != record.noise_digest:
        raise InvalidArgumentError(
            f"the surrogate was fitted for noise_law = {record.noise_law!r}, which this version or the installed "
            "libraries draw otherwise: fit one to votes sampled here"
        )
    return stream


@functools.lru_cache(maxsize=8)
def _drawn(law: str, sigma: float, seed: int) -> NoiseStream | None:
    """Keep a few streams: to make one's tables takes longer than a surrogate's forward pass."""
    return noise_of_law(law, sigma, seed)


def run_as_fitted(surrogate: Surrogate, classifier: Classifier) -> Classifier:
    """Run a torch module by the runtime of the votes that a surrogate was fitted to."""
    record = surrogate.record
    return run_as_made(classifier, record.fingerprint, tuple(record.input_shape)) or classifier


def require_fitted_for(surrogate: Surrogate, classifier: Classifier, identity: Identity | None = None) -> None:
    """Refuse another classifier than the one that the surrogate was fitted for."""
    record = surrogate.record
    record.require("the classifier", num_classes=classifier.num_classes, fingerprint=classifier.fingerprint)
    if identity is None:
        identity = identify(classifier, tuple(record.input_shape), surrogate_noise(surrogate, 0))
    record.require_identity(identity, "the classifier", classifier.description)
