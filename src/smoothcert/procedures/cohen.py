"""CERTIFY of Cohen, Rosenfeld and Kolter (2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smoothcert.bounds import smallest_n
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseName, NoiseStream
from smoothcert.procedures.cautions import with_cautions
from smoothcert.procedures.certificates import cohen_certificates
from smoothcert.procedures.run import CertificationRun
from smoothcert.votes import (
    Quota,
    ShowProgress,
    Smoothed,
    require_count,
    require_probability,
    sampling_groups,
)

__all__ = ["certify", "certify_smoothed"]


def certify(
    classifier: Classifier,
    x: Any,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    seed: int = 0,
    noise: NoiseName | NoiseStream = "auto",
    runner_up: bool = False,
    cache: str | Path | None = None,
    batch_size: int | None = None,
    progress: ShowProgress = None,
) -> CertificationRun:
    """Certify the smoothed classifier around each input (CERTIFY).

    The class with most of n0 selection votes is the top class c_A. A one-sided Clopper-Pearson bound on
    P(f(x + eps) = c_A) from n other votes gives the radius sigma * Phi^-1(p_lower), or abstention.

    Parameters
    ----------
    classifier : Classifier
        The base classifier f.
    x : array, tensor, sequence, data set or loader, shape (m, *shape)
        Inputs in [0, 1], in any form that `smoothcert.sampling.as_inputs` takes; labels that come with them are
        kept in the run.
    sigma : float
        Standard deviation of the noise, in the units of the input.
    n0 : int
        Selection samples per input.
    n : int
        Estimation samples per input.
    alpha : float
        Failure probability of each certificate.
    seed : int
        Seed of the noise stream.
    noise : {"auto", "grid", "gaussian", "quantised"} or NoiseStream
        ``"grid"`` rounds x + noise to multiples of 1/255, exactly, so that the certificate holds in floating
        point too; all inputs must lie on that grid, as 8-bit images do. ``"gaussian"`` adds float noise.
        ``"auto"`` takes the grid of 1/255 or of 1/1024 where the inputs lie on it, else float noise.
        ``"quantised"`` rounds each input to the grid once and certifies that point, as the premise says;
        `smoothcert.noise.distance_to_grid` is what the radius loses around the input itself. Other grids are
        streams: ``GridNoise(sigma, seed, levels)``.
    runner_up : bool
        Also bound the probability p_B of every other class, at half of alpha each, and certify
        sigma/2 (Phi^-1(p_A) - Phi^-1(p_B)): more where several classes share what the top class leaves, slightly
        less elsewhere.
    cache : str or Path, optional
        Folder in which every vote is kept, for `recertify` and for continuing: an interrupted call, made again,
        samples only what is missing and ends with the same bytes as an uninterrupted one.
    batch_size : int, optional
        Forward passes at once; it changes no noise.
    progress : callable or False, optional
        Called with (samples done, samples in total). By default a bar is shown in terminals and notebooks; False
        shows none.

    Returns
    -------
    CertificationRun
        ``certificates`` holds with probability 1 - alpha for each input by itself (guarantee ``certified``).

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, n votes can never certify at alpha, or the classifier's votes depend on
        batch mates.
    CacheError
        When the cache does not fit the call, is damaged, locked or cannot be written.

    References
    ----------
    Cohen, Rosenfeld, Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019, Algorithm 1.

    Examples
    --------
    A linear classifier in two dimensions; its smoothed radius at distance 0.2 of the boundary is 0.2:

    >>> import numpy as np, smoothcert as sc
    >>> def logits(batch):
    ...     return np.stack([0.5 - batch[:, 0], batch[:, 0] - 0.5], axis=1)
    >>> f = sc.FunctionClassifier(logits, num_classes=2, fingerprint="x0 > 1/2")
    >>> run = sc.certify(f, np.array([[0.7, 0.0]]), sigma=0.25, n=10_000, seed=1)
    >>> int(run.certificates.prediction[0]), bool(0.18 < run.certificates.radius[0] < 0.2)
    (1, True)
    """
    n0, n, alpha = require_count("n0", n0), require_count("n", n), require_probability("alpha", alpha)
    g = Smoothed.open(classifier, x, sigma=sigma, seed=seed, noise=noise, batch_size=batch_size, folder=cache)
    return certify_smoothed(g, Quota(n0=n0, n=n, alpha=alpha), runner_up=runner_up, cache=cache, progress=progress)


def certify_smoothed(
    g: Smoothed,
    quota: Quota,
    *,
    runner_up: bool = False,
    cache: str | Path | None = None,
    progress: ShowProgress = None,
) -> CertificationRun:
    """Certify g around its inputs, once these are checked."""
    if quota.n < (needed := smallest_n(quota.alpha)):
        raise InvalidArgumentError(
            f"n is {quota.n}: at alpha = {quota.alpha:g} even unanimous votes certify nothing; use n >= {needed}"
        )
    with sampling_groups(g, quota, folder=cache) as votes:
        tally = votes.tally(progress)
    certificates = cohen_certificates(tally, quota.alpha, g.noise, g.size, runner_up=runner_up)
    return CertificationRun(
        certificates=with_cautions(certificates, tally.counts, labels=g.labels),
        tally=tally,
        keys=g.keys,
        timing=votes.timing,
        cache=None if cache is None else Path(cache),
        labels=g.labels,
    )
