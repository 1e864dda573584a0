"""Certification under a budget of samples for all inputs together, spent where it buys most radius."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from smoothcert.bounds import Predicted, allocate_samples, smallest_n
from smoothcert.classifiers import Classifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseName, NoiseStream, Purpose
from smoothcert.procedures.certificates import cohen_certificates
from smoothcert.procedures.run import CertificationRun
from smoothcert.sampling import SampleRange
from smoothcert.votes import (
    Progress,
    RoundSampler,
    VotingPlan,
    prepare,
    require_batch_size,
    require_classifier,
    require_count,
    require_probability,
    sampling_rounds,
)
from smoothcert.votes.store import Setting

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
    n0: int = 100,
    alpha: float = 0.001,
    seed: int = 0,
    noise: NoiseName | NoiseStream = "auto",
    runner_up: bool = False,
    cache: str | Path | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> CertificationRun:
    """Certify the smoothed classifier around each input, dividing a budget of samples among the inputs.

    The selection votes, n0 of each input and more of those whose class may have more than half of the votes,
    choose the class and predict p_A. From that prediction `allocate_samples` says how many estimation samples each
    input is worth: next to none where p_A < 1/2, many where the radius still grows.

    Parameters
    ----------
    budget : int
        Samples of all inputs together, selection included. No more than that are drawn.
    n0 : int
        Selection samples of every input.
    cache : str or Path, optional
        Folder in which the votes are kept; an interrupted call, made again, continues there. It is no
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
        When an argument is out of range, or the budget cannot certify anything.
    CacheError
        When the folder does not fit the call, is damaged, locked or cannot be written.

    Notes
    -----
    Looking costs samples here and no part of alpha. The class and the number n of estimation samples of an input
    are functions of selection votes, its own and those of others. Selection and estimation noise are disjoint
    streams, so given all selection votes the count of estimation votes is binomial with n trials, and the
    Clopper-Pearson bound at level alpha fails with probability at most alpha; so it does on average over the
    selection votes. Estimation votes decide nothing before they are counted.

    Looking at the estimation votes themselves would need alpha to be divided among the looks. That buys less: even
    with p_A known in advance, three looks are worth no more than this (``experiments/adaptive_sampling.py``).

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
    classifier, alpha = require_classifier("classifier", classifier), require_probability("alpha", alpha)
    n0, budget = require_count("n0", n0), require_count("budget", budget)
    batch_size = require_batch_size(batch_size)
    ready = prepare(classifier, x, sigma=sigma, seed=seed, noise=noise)
    fewest = len(ready.keys) * (n0 + smallest_n(alpha))
    if budget < fewest:
        raise InvalidArgumentError(
            f"budget is {budget} for {len(ready.keys)} inputs: with n0 = {n0} and alpha = {alpha:g} none can be "
            f"certified; use budget >= {fewest}"
        )
    plan = VotingPlan(
        classifier=classifier,
        inputs=ready.inputs,
        keys=ready.keys,
        noise=ready.noise,
        n0=n0,
        n=budget,
        alpha=alpha,
        batch_size=batch_size,
    )
    settings: dict[str, Setting] = {"name": "adaptive", "budget": budget}
    with sampling_rounds(plan, procedure=settings, folder=cache, progress=progress) as rounds:
        selection, n, counts = _sample(plan, rounds, budget)
    certificates = cohen_certificates(
        selection, counts, n, alpha, ready.noise, math.prod(ready.inputs.shape[1:]), runner_up=runner_up
    )
    return CertificationRun(
        certificates=replace(certificates, method="adaptive"),
        counts=counts,
        selection_counts=selection,
        keys=ready.keys,
        timing=rounds.timing,
        cache=Path(cache) if cache is not None else None,
    )


def _sample(plan: VotingPlan, rounds: RoundSampler, budget: int) -> tuple[Counts, Counts, Counts]:
    """Draw selection votes, divide what is left, and draw estimation votes."""
    left = budget

    def count(purpose: Purpose, start: Counts, stop: Counts) -> Counts:
        nonlocal left
        left -= int((stop - start).sum())
        ranges = [SampleRange(i, key, purpose, int(start[i]), int(stop[i])) for i, key in enumerate(plan.keys)]
        return rounds.count(ranges, to_come=left)

    none = np.zeros(len(plan.keys), np.int64)
    few = none + plan.n0
    selection = count(Purpose.SELECTION, none, few)
    size = few + pilot_samples(selection.max(axis=1), few, budget)
    selection += count(Purpose.SELECTION, few, size)
    n = divide_budget(selection.max(axis=1), size, budget, plan.alpha)
    return selection, n, count(Purpose.ESTIMATION, none, n)


def pilot_samples(count: Counts, n0: Counts, budget: int) -> Counts:
    """Return how many selection votes more each input gets: none where p_A is clearly below 1/2.

    Parameters
    ----------
    count : ndarray of int64, shape (m,)
        Selection votes for the class with most, of n0.
    n0 : ndarray of int64, shape (m,)
        Selection votes so far.
    budget : int
        Samples of all inputs together.
    """
    predicted = _predict(count, n0)
    wanted = int(_PILOT_SHARE * budget / len(count))
    maybe = predicted.probit + _OPEN * predicted.spread > 0
    return np.where(maybe, np.maximum(wanted - n0, 0), 0)


def divide_budget(count: Counts, n0: Counts, budget: int, alpha: float) -> Counts:
    """Return how many estimation samples each input gets, so that the expected mean radius is largest.

    Parameters
    ----------
    count, n0 : ndarray of int64, shape (m,)
        Selection votes for the class with most, and in all.
    budget : int
        Samples of all inputs together, these selection votes included.
    alpha : float
        Failure probability of each certificate.
    """
    left = (budget - int(n0.sum())) // len(n0)
    return allocate_samples(
        _predict(count, n0),
        left,
        alpha,
        least=smallest_n(alpha),
        most=min(_MOST, max(100 * left, smallest_n(alpha))),
    )


def _predict(count: Counts, n0: Counts) -> Predicted:
    """Predict Phi^-1(p_A) and the standard deviation of the error, by Jeffreys' prior."""
    p = (count + 0.5) / (n0 + 1)
    probit = ndtri(p)
    density = np.exp(-(probit**2) / 2) / np.sqrt(2 * np.pi)
    return Predicted(probit, np.sqrt(p * (1 - p) / (n0 + 1)) / density)
