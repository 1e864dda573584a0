"""Certification under a budget of samples for all inputs together, spent where it buys most radius."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import allocate_samples, predicted_from_votes, smallest_n
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseName, NoiseStream, Purpose
from smoothcert.procedures.cache_guide import CacheGuide
from smoothcert.procedures.cautions import with_cautions
from smoothcert.procedures.certificates import cohen_certificates
from smoothcert.procedures.guide import Guidance, Guide
from smoothcert.procedures.run import CertificationRun
from smoothcert.sampling import SampleRange
from smoothcert.votes import (
    Quota,
    RoundSampler,
    ShowProgress,
    Smoothed,
    Tally,
    require_count,
    require_probability,
    sampling_rounds,
)
from smoothcert.votes.store import Setting, kept_sizes

__all__ = ["certify_with_budget", "divide_budget", "pilot_samples"]

_MOST = 10**8  # as many as bounds are made for
_PILOT_SHARE = 0.05
_OPEN = 2.5  # standard errors above the prediction

Counts = NDArray[np.int64]


def certify_with_budget(
    classifier: Classifier,
    x: Any,
    budget: int,
    *,
    sigma: float,
    guide: Guide | str | Path | None = None,
    n0: int = 100,
    alpha: float = 0.001,
    seed: int = 0,
    noise: NoiseName | NoiseStream = "auto",
    runner_up: bool = False,
    cache: str | Path | None = None,
    batch_size: int | None = None,
    progress: ShowProgress = None,
) -> CertificationRun:
    """Certify the smoothed classifier around each input, dividing a budget of samples among the inputs.

    From a prediction of each input's p_A `allocate_samples` says how many estimation samples it is worth: next to
    none where p_A < 1/2, many where the radius still grows. The prediction comes from a guide, such as a
    surrogate, or from selection votes: n0 of each input, and more of those whose class may have more than half of
    the votes. A bad prediction costs radius, not validity.

    Parameters
    ----------
    budget : int
        Samples of all inputs together, selection included. No more than that are drawn.
    guide : Guide, str or Path, optional
        What predicts: a `SurrogateGuide`, a `CacheGuide`, or the folder of a certification cache of these inputs,
        such as an older version's.
    n0 : int
        Selection samples of every input; with a guide it may be 0, and the guide's class is the one that is
        certified or not.
    cache : str or Path, optional
        Folder in which votes and numbers are kept; an interrupted call, made again, continues there. It is no
        certification cache: `recertify` needs the same n for every input.
    classifier, x, sigma, alpha, seed, noise, runner_up, batch_size, progress
        As in `certify`.

    Returns
    -------
    CertificationRun
        ``certificates.n`` is the estimation samples of each input. They hold with probability 1 - alpha for each
        input by itself.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, the budget cannot certify anything, or the guide does not fit or has
        seen the noise.
    CacheError
        When the folder does not fit the call, is damaged, locked or cannot be written.

    Notes
    -----
    Looking costs samples here and no part of alpha: estimation votes decide nothing before they are counted. The
    proof is in ``docs/guarantees.md``. Looking at the estimation votes themselves would need alpha to be divided
    among the looks, and buys less: even with p_A known in advance, three looks are worth no more than this
    (``experiments/adaptive_sampling.py``).

    References
    ----------
    Chen et al., "Input-specific robustness certification for randomized smoothing", AAAI 2022. They choose n from
    votes that they count again.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc
    >>> def logits(batch):
    ...     return np.stack([0.5 - batch[:, 0], batch[:, 0] - 0.5], axis=1)
    >>> f = sc.FunctionClassifier(logits, num_classes=2, fingerprint="x0 > 1/2")
    >>> x = np.array([[0.51, 0.0], [0.7, 0.0], [0.95, 0.0]])
    >>> run = certify_with_budget(f, x, budget=30_000, sigma=0.25, seed=1)
    >>> bool(run.certificates.n[0] < run.certificates.n[1] < run.certificates.n[2]), run.timing.samples <= 30_000
    (True, True)
    """
    budget, alpha = require_count("budget", budget), require_probability("alpha", alpha)
    n0 = require_count("n0", n0, at_least=1 if guide is None else 0)
    g = Smoothed.open(classifier, x, sigma=sigma, seed=seed, noise=noise, batch_size=batch_size, folder=cache)
    fewest = len(g) * (n0 + smallest_n(alpha))
    if budget < fewest:
        raise InvalidArgumentError(
            f"budget is {budget} for {len(g)} inputs: with n0 = {n0} and alpha = {alpha:g} none can be "
            f"certified; use budget >= {fewest}"
        )
    if isinstance(guide, str | Path):
        guide = CacheGuide(guide)
    told = None if guide is None else _told(g, guide, budget // len(g) - n0, alpha, cache)
    settings: Mapping[str, Setting] = {"name": "adaptive", "budget": budget} if told is None else told.settings
    quota = Quota(n0=n0, n=budget if told is None else int(told.n.max()), alpha=alpha)
    with sampling_rounds(g, quota, procedure=settings, folder=cache, progress=progress) as rounds:
        tally = _adaptive(g, quota, rounds) if told is None else _guided(g, quota, rounds, told)
    certificates = cohen_certificates(tally, alpha, g.noise, g.size, runner_up=runner_up)
    return CertificationRun(
        certificates=with_cautions(
            replace(certificates, method=str(settings["name"])), tally.counts, labels=g.labels
        ),
        tally=tally,
        keys=g.keys,
        timing=rounds.timing,
        cache=None if cache is None else Path(cache),
        labels=g.labels,
    )


def _adaptive(g: Smoothed, quota: Quota, rounds: RoundSampler) -> Tally:
    """Predict from selection votes: draw some, divide what is left of quota.n, and draw estimation votes."""
    left = budget = quota.n

    def count(purpose: Purpose, start: Counts, stop: Counts) -> Counts:
        nonlocal left
        left -= int((stop - start).sum())
        ranges = [SampleRange(i, key, purpose, int(start[i]), int(stop[i])) for i, key in enumerate(g.keys)]
        return rounds.count(ranges, to_come=left)

    none = np.zeros(len(g), np.int64)
    few = none + quota.n0
    selection = count(Purpose.SELECTION, none, few)
    size = few + pilot_samples(selection.max(axis=1), few, budget)
    selection += count(Purpose.SELECTION, few, size)
    n = divide_budget(selection.max(axis=1), size, budget, quota.alpha)
    return Tally(selection=selection, counts=count(Purpose.ESTIMATION, none, n), n=n)


def _told(g: Smoothed, guide: Guide, n: int, alpha: float, cache: str | Path | None) -> Guidance:
    """Ask the guide, and keep what it says: it may round otherwise when a killed call continues elsewhere."""
    said = guide.guidance(g, n, alpha)
    sizes = said.n if cache is None else kept_sizes(Path(cache), g.keys, said.n)
    digest = hashlib.sha256(sizes.astype("<i8").tobytes()).hexdigest()
    return replace(said, n=sizes, settings={"name": "guided", **said.settings, "n": n, "plan": digest})


def _guided(g: Smoothed, quota: Quota, rounds: RoundSampler, told: Guidance) -> Tally:
    """Draw as many votes of each input as were settled before."""
    requests = [
        SampleRange(i, key, purpose, 0, int(count))
        for i, key in enumerate(g.keys)
        for purpose, count in ((Purpose.SELECTION, quota.n0), (Purpose.ESTIMATION, told.n[i]))
    ]
    counts = rounds.count(requests, of_one_input=2)
    selection = counts[::2]
    if not quota.n0:
        selection[np.arange(len(g)), told.top_class] = 1
    return Tally(selection=selection, counts=counts[1::2], n=told.n)


def pilot_samples(count: Counts, n0: Counts, budget: int) -> Counts:
    """Return how many more selection votes each input gets; count of its n0 so far are for the class with most."""
    predicted = predicted_from_votes(count, n0)
    # None where p_A is clearly below 1/2.
    wanted = int(_PILOT_SHARE * budget / len(count))
    maybe = predicted.probit + _OPEN * predicted.spread > 0
    return np.where(maybe, np.maximum(wanted - n0, 0), 0)


def divide_budget(count: Counts, n0: Counts, budget: int, alpha: float) -> Counts:
    """Return each input's estimation samples, for the largest expected mean radius; the budget includes its n0."""
    left = (budget - int(n0.sum())) // len(n0)
    return allocate_samples(
        predicted_from_votes(count, n0),
        left,
        alpha,
        least=smallest_n(alpha),
        most=min(_MOST, max(100 * left, smallest_n(alpha))),
    )
