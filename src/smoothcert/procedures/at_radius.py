"""Certification at one radius, with no more samples than each input needs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from smoothcert.bounds import CERTIFIED, FIRST_SIZE, GIVEN_UP, UNDECIDED, RadiusTest, certified_radius
from smoothcert.certificate import ABSTAIN, Certificates
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseName, NoiseStream, Purpose
from smoothcert.procedures.certificates import NO_SELECTION
from smoothcert.procedures.run import CertificationRun
from smoothcert.sampling import SampleRange, most_voted
from smoothcert.votes import (
    Progress,
    RoundSampler,
    VotingPlan,
    prepare,
    require_batch_size,
    require_classifier,
    require_count,
    require_probability,
    require_radius,
    sampling_rounds,
)
from smoothcert.votes.store import Setting

__all__ = ["certify_at_radius", "threshold_of"]


def threshold_of(radius: float, noise: NoiseStream, size: int) -> tuple[float, float]:
    """Return what p must exceed for a certified radius.

    Parameters
    ----------
    radius : float
        L2 radius, at least 0.
    noise : NoiseStream
        The noise of the votes.
    size : int
        Coordinates of an input.

    Returns
    -------
    p0 : float
        Phi(radius / sigma), rounded up: the threshold under exact Gaussian noise.
    drawn : float
        The threshold under the noise that is drawn: p0 and the distance of the two laws, rounded up.

    Examples
    --------
    >>> from smoothcert.noise import GaussianNoise
    >>> p0, drawn = threshold_of(0.25, GaussianNoise(sigma=0.25, seed=0), 3072)
    >>> round(p0, 4), p0 == drawn
    (0.8413, True)
    """
    # From the upper tail, so that a radius of many sigma keeps its digits.
    p0 = float(np.nextafter(1.0 - ndtr(-radius / noise.sigma) * (1 - 2.0**-40), 2.0))
    delta = noise.total_variation(size)
    return p0, float(np.nextafter(p0 + delta, 2.0)) if delta else p0


def certify_at_radius(
    classifier: Classifier,
    x: Any,
    radius: float,
    *,
    sigma: float,
    n0: int = 100,
    n: int = 100_000,
    alpha: float = 0.001,
    seed: int = 0,
    noise: NoiseName | NoiseStream = "auto",
    cache: str | Path | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> CertificationRun:
    """Decide for each input whether the smoothed classifier is certified at one radius.

    The class with most of n0 selection votes is the top class. Then all undecided inputs are sampled in rounds,
    until a sequential test shows that the top class has probability above Phi(radius / sigma), or it is predicted
    never to be shown, or n samples are spent (`RadiusTest`).

    Parameters
    ----------
    radius : float
        L2 radius to certify, in the units of the input, at least 0.
    n : int
        Most estimation samples of an input.
    cache : str or Path, optional
        Folder in which the votes are kept; an interrupted call, made again, continues there. It is no
        certification cache: `recertify` needs n votes of every input.
    classifier, x, sigma, n0, alpha, seed, noise, batch_size, progress
        As in `certify`.

    Returns
    -------
    CertificationRun
        ``certificates`` has the radius asked for where it is certified, and abstains elsewhere; ``n`` is the
        samples that each input took. They hold with probability 1 - alpha for each input by itself.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, or alpha, n and sigma can never reach the radius.
    CacheError
        When the folder does not fit the call, is damaged, locked or cannot be written.

    References
    ----------
    .. [1] V. Voracek, "Treatment of statistical estimation problems in randomized smoothing for adversarial
       robustness", NeurIPS 2024.

    Examples
    --------
    Far from the boundary a few dozen samples do:

    >>> import numpy as np, smoothcert as sc
    >>> def logits(batch):
    ...     return np.stack([0.5 - batch[:, 0], batch[:, 0] - 0.5], axis=1)
    >>> f = sc.FunctionClassifier(logits, num_classes=2, fingerprint="x0 > 1/2")
    >>> run = certify_at_radius(f, np.array([[0.95, 0.0], [0.6, 0.0]]), radius=0.2, sigma=0.25)
    >>> run.certificates.prediction.tolist(), run.certificates.radius.tolist()
    ([1, -1], [0.2, 0.0])
    >>> bool((run.certificates.n < 500).all())
    True
    """
    classifier, radius = require_classifier("classifier", classifier), require_radius("radius", radius)
    n0, n, alpha = require_count("n0", n0), require_count("n", n), require_probability("alpha", alpha)
    batch_size = require_batch_size(batch_size)
    ready = prepare(classifier, x, sigma=sigma, seed=seed, noise=noise)
    size = math.prod(ready.inputs.shape[1:])
    p0, drawn = threshold_of(radius, ready.noise, size)
    test = RadiusTest(drawn, n, alpha)
    _require_reachable(radius, test, ready.noise, size)
    plan = VotingPlan(
        classifier=classifier,
        inputs=ready.inputs,
        keys=ready.keys,
        noise=ready.noise,
        n0=n0,
        n=n,
        alpha=alpha,
        batch_size=batch_size,
    )
    settings: dict[str, Setting] = {"name": "certify at a radius", "radius": radius}
    with sampling_rounds(plan, procedure=settings, folder=cache, progress=progress) as rounds:
        selection_counts = _select(plan, rounds)
        counts, used, decided = _test(plan, rounds, selection_counts, test)
    return CertificationRun(
        certificates=_certificates(selection_counts, counts, used, decided, test, p0, radius, ready.noise),
        counts=counts,
        selection_counts=selection_counts,
        keys=ready.keys,
        timing=rounds.timing,
        cache=Path(cache) if cache is not None else None,
    )


def _require_reachable(radius: float, test: RadiusTest, noise: NoiseStream, size: int) -> None:
    """Refuse a radius that even unanimous votes do not show."""
    largest_p0 = test.largest_p0
    if test.p0 < largest_p0:
        return
    largest = certified_radius(max(0.0, largest_p0 - noise.total_variation(size)), noise.sigma)
    raise InvalidArgumentError(
        f"radius is {radius:g}: with n = {test.n}, alpha = {test.alpha:g} and sigma = {noise.sigma:g} even "
        f"unanimous votes certify no more than {math.floor(1e4 * largest) / 1e4:g}; ask for less or use a larger n"
    )


def _select(plan: VotingPlan, rounds: RoundSampler) -> NDArray[np.int64]:
    ranges = [SampleRange(i, key, Purpose.SELECTION, 0, plan.n0) for i, key in enumerate(plan.keys)]
    return rounds.count(ranges, to_come=len(ranges) * FIRST_SIZE)


def _test(
    plan: VotingPlan, rounds: RoundSampler, selection_counts: NDArray[np.int64], test: RadiusTest
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sample and judge until every input is decided; counts, samples used and decisions."""
    m, k = selection_counts.shape
    c_A = most_voted(selection_counts)
    counts, used = np.zeros((m, k), np.int64), np.zeros(m, np.int64)
    decided = np.where(c_A >= 0, UNDECIDED, GIVEN_UP)
    t = to_come = 0
    while (rows := np.flatnonzero(decided == UNDECIDED)).size:
        until = test.next_size(t)
        ranges = [SampleRange(int(i), plan.keys[i], Purpose.ESTIMATION, t, until) for i in rows]
        counts[rows] += rounds.count(ranges, to_come=max(0, to_come - len(rows) * (until - t)))
        t = until
        used[rows] = t
        decided[rows] = test.judge(counts[rows, c_A[rows]], t)
        left = rows[decided[rows] == UNDECIDED]
        to_come = test.samples_to_come(counts[left, c_A[left]], t)
    return counts, used, decided


def _certificates(
    selection_counts: NDArray[np.int64],
    counts: NDArray[np.int64],
    used: NDArray[np.int64],
    decided: NDArray[np.int64],
    test: RadiusTest,
    p0: float,
    radius: float,
    noise: NoiseStream,
) -> Certificates:
    c_A = most_voted(selection_counts)
    selected = c_A >= 0
    claimed = decided == CERTIFIED
    return Certificates(
        prediction=np.where(claimed, c_A, ABSTAIN),
        radius=np.where(claimed, radius, 0.0),
        p_lower=np.where(claimed, p0, 0.0),
        top_class=c_A,
        count=np.where(selected, np.take_along_axis(counts, np.maximum(c_A, 0)[:, None], axis=1)[:, 0], 0),
        n=used,
        reason=np.where(claimed, "", np.where(selected, f"not certified at {radius:g}", NO_SELECTION)),
        alpha=test.alpha,
        alpha_split=test.alpha_split,
        sigma=noise.sigma,
        method="sequential",
        noise=noise.law,
        guarantee="certified",
        premise=noise.premise,
    )
