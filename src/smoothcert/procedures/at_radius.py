"""Certification at one radius, with no more samples than each input needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import CERTIFIED, FIRST_SIZE, GIVEN_UP, UNDECIDED, RadiusTest
from smoothcert.classifiers import Classifier
from smoothcert.noise import NoiseName, NoiseStream, Purpose
from smoothcert.procedures.cautions import with_cautions
from smoothcert.procedures.certificates import certificates_of, claim_at_radius
from smoothcert.procedures.run import CertificationRun
from smoothcert.procedures.threshold import threshold_of, unreachable
from smoothcert.sampling import SampleRange
from smoothcert.votes import (
    Quota,
    RoundSampler,
    ShowProgress,
    Smoothed,
    Tally,
    require_count,
    require_probability,
    require_radius,
    sampling_rounds,
)
from smoothcert.votes.store import Setting

__all__ = ["certify_at_radius"]

Counts = NDArray[np.int64]


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
    progress: ShowProgress = None,
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
    radius, alpha = require_radius("radius", radius), require_probability("alpha", alpha)
    quota = Quota(n0=require_count("n0", n0), n=require_count("n", n), alpha=alpha)
    g = Smoothed.open(classifier, x, sigma=sigma, seed=seed, noise=noise, batch_size=batch_size, folder=cache)
    p0, drawn = threshold_of(radius, g.noise, g.size)
    test = RadiusTest(drawn, quota.n, alpha)
    if drawn >= test.largest_p0:
        largest = test.largest_p0 - g.noise.total_variation(g.size)
        raise unreachable(radius, largest, g.noise.sigma, f"n = {quota.n}, alpha = {alpha:g}")
    settings: dict[str, Setting] = {"name": "certify at a radius", "radius": radius}
    with sampling_rounds(g, quota, procedure=settings, folder=cache, progress=progress) as rounds:
        selection = _select(g, quota.n0, rounds)
        tally, decided = _test(g, selection, test, rounds)
    claimed = decided == CERTIFIED
    certificates = certificates_of(
        claim_at_radius(claimed, radius),
        p_lower=np.where(claimed, p0, 0.0),
        top_class=tally.top_class,
        count=tally.count,
        n=tally.n,
        alpha=alpha,
        alpha_split=test.alpha_split,
        method="sequential",
        noise=g.noise,
        premise=g.noise.premise,
    )
    return CertificationRun(
        certificates=with_cautions(certificates, tally.counts, labels=g.labels),
        tally=tally,
        keys=g.keys,
        timing=rounds.timing,
        cache=None if cache is None else Path(cache),
        labels=g.labels,
    )


def _select(g: Smoothed, n0: int, rounds: RoundSampler) -> Counts:
    ranges = [SampleRange(i, key, Purpose.SELECTION, 0, n0) for i, key in enumerate(g.keys)]
    return rounds.count(ranges, to_come=len(ranges) * FIRST_SIZE)


def _test(g: Smoothed, selection: Counts, test: RadiusTest, rounds: RoundSampler) -> tuple[Tally, Counts]:
    """Sample and judge until every input is decided; return the counts and the decisions."""
    tally = Tally(selection=selection, counts=np.zeros_like(selection), n=np.zeros(len(g), np.int64))
    c_A = tally.top_class
    decided = np.where(c_A >= 0, UNDECIDED, GIVEN_UP)
    t = to_come = 0
    while (rows := np.flatnonzero(decided == UNDECIDED)).size:
        until = test.next_size(t)
        ranges = [SampleRange(int(i), g.keys[i], Purpose.ESTIMATION, t, until) for i in rows]
        tally.counts[rows] += rounds.count(ranges, to_come=max(0, to_come - len(rows) * (until - t)))
        t = until
        tally.n[rows] = t
        decided[rows] = test.judge(tally.count[rows], t)
        left = rows[decided[rows] == UNDECIDED]
        to_come = test.samples_to_come(tally.count[left], t)
    return tally, decided
