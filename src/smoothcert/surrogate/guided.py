"""Guided certification: a surrogate says how many samples each input is worth, sampling certifies."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert._folders import exists
from smoothcert._records import RecordFormat, is_hex, is_int, is_list
from smoothcert.bounds import Predicted, allocate_samples, smallest_n
from smoothcert.classifiers import Classifier
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.noise import Purpose
from smoothcert.procedures import CertificationRun, cohen_certificates
from smoothcert.sampling import SampleRange, count_votes
from smoothcert.surrogate.certify import require_fitted_for, surrogate_noise
from smoothcert.surrogate.model import Surrogate
from smoothcert.surrogate.prediction import Prediction
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

__all__ = ["certify_guided", "plan_samples"]

PLAN_FILE = "guided-plan.json"

_PLAN = RecordFormat(
    name="smoothcert-guided-plan",
    version=2,
    bare=True,
    legal={"inputs": is_hex, "n": is_list(is_int(1, 10**8 + 1))},
    unreadable=CheckpointError,
    other=CheckpointError,
    unwritable=CheckpointError,
)

_VOTES_AT_ONCE = 1 << 20
_GAUSSIAN = math.sqrt(math.pi / 2)  # standard deviation over mean absolute error


def certify_guided(
    classifier: Classifier,
    x: Any,
    *,
    surrogate: Surrogate,
    sigma: float,
    n0: int = 100,
    n: int = 10_000,
    alpha: float = 0.001,
    radius: float | None = None,
    least: int | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> CertificationRun:
    """Certify the smoothed classifier around each input, spending samples where a surrogate expects them to pay.

    The surrogate predicts each input's p_A, and `allocate_samples` divides the budget of n samples an input, on
    average: many for inputs whose radius still grows or that are about to be certified, few for those that will
    abstain or are sure. Each input's number is a function of the inputs alone, fixed before any of its votes is
    seen, so that CERTIFY's guarantee holds with it: ``certified``, with probability 1 - alpha for each input,
    whatever the surrogate predicts. A bad surrogate costs radius, not validity. The noise is none that it was
    fitted to: `collect_votes` draws its own, and where a surrogate was fitted to a certification's votes, their
    seed is refused for the inputs that it knows.

    Parameters
    ----------
    classifier : Classifier
        The base classifier f that the surrogate was fitted for.
    x : array, tensor or lazy sequence, shape (m, *shape)
        Inputs in [0, 1].
    surrogate : Surrogate
        From `fit_surrogate` or `load_surrogate`.
    sigma : float
        Standard deviation of the noise, the one that the surrogate was fitted for.
    n0 : int
        Selection samples per input; with 0 the surrogate's class is the one that is certified or not.
    n : int
        Estimation samples per input on average.
    alpha : float
        Failure probability of each certificate.
    radius : float, optional
        Spend on certifying this radius for as many inputs as possible, instead of on the mean radius.
    least : int, optional
        Estimation samples that every input gets: the margin against wrong predictions, see `allocate_samples`.
    seed : int
        Seed of the noise stream.
    cache : str or Path, optional
        Folder in which the plan and the votes are kept; an interrupted call, made again, continues there.
    batch_size : int, optional
        Forward passes at once; it changes no noise.
    progress : callable, optional
        Called with (samples done, samples in total).

    Returns
    -------
    CertificationRun
        ``certificates.method`` is ``"guided"``, ``certificates.n`` differs from input to input.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, the surrogate was fitted for another classifier, sigma or shape, or it
        was fitted to the noise of this seed.
    CacheError
        When the folder does not fit the call, is damaged, locked or cannot be written.

    References
    ----------
    Chen et al., "Input-specific robustness certification for randomized smoothing", AAAI 2022, choose n from votes
    that they count again; here nothing of the votes decides n.
    """
    classifier = require_classifier("classifier", classifier)
    alpha, batch_size = require_probability("alpha", alpha), require_batch_size(batch_size)
    n0, n = require_count("n0", n0, at_least=0), require_count("n", n, at_least=smallest_n(alpha))
    radius = None if radius is None else require_radius("radius", radius)
    surrogate.record.require("the call", sigma=sigma)
    identity = require_fitted_for(surrogate, classifier)
    ready = prepare(classifier, x, sigma=sigma, seed=seed, noise=surrogate_noise(surrogate, seed))
    _require_unseen(surrogate, ready.keys, seed)
    prediction = surrogate.predict(ready.inputs)
    sizes = plan_samples(prediction, n, alpha, at=None if radius is None else radius / sigma, least=least)
    if cache is not None:
        sizes = _kept_plan(Path(cache), ready.keys, sizes)
    plan = VotingPlan(
        classifier=classifier,
        inputs=ready.inputs,
        keys=ready.keys,
        noise=ready.noise,
        n0=n0,
        n=int(sizes.max()),
        alpha=alpha,
        batch_size=batch_size,
        identity=identity,
    )
    settings: dict[str, Setting] = {
        "name": "guided",
        "surrogate": surrogate.record.digest,
        "n": n,
        "radius": "none" if radius is None else radius,
        "least": "default" if least is None else least,
        "plan": _digest(sizes),
    }
    with sampling_rounds(plan, procedure=settings, folder=cache, progress=progress) as rounds:
        selection, counts = _counts(plan, rounds, sizes)
    if n0 == 0:
        selection[np.arange(len(selection)), prediction.top_class] = 1
    size = math.prod(ready.inputs.shape[1:])
    certificates = cohen_certificates(selection, counts, sizes, alpha, ready.noise, size)
    return CertificationRun(
        certificates=replace(certificates, method="guided"),
        counts=counts,
        selection_counts=selection,
        keys=ready.keys,
        timing=rounds.timing,
        cache=None if cache is None else Path(cache),
    )


def _require_unseen(surrogate: Surrogate, keys: list[bytes], seed: int) -> None:
    """Refuse noise that the surrogate has seen: it may remember the votes on it, and n would follow from them."""
    record = surrogate.record
    if record.purpose == Purpose.FITTING.name.lower() or record.seed not in (None, seed):
        return
    seen = np.flatnonzero(surrogate.was_fitted_to(keys))
    if len(seen):
        unknown = "noise that its record does not name" if record.seed is None else f"noise of seed {seed}"
        remedy = "fit it again" if record.seed is None else "give another seed"
        raise InvalidArgumentError(
            f"the surrogate was fitted to votes on {unknown} around {len(seen)} of these inputs, the first of "
            f"them x[{seen[0]}], and may remember what would be counted: {remedy}, or leave these inputs out"
        )


def _counts(
    plan: VotingPlan, rounds: RoundSampler, sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sample n0 selection and sizes[i] estimation votes of each input; return both counts, (m, k)."""
    total, found = sizes + plan.n0, []
    for rows in _parts(total):
        requests = [
            SampleRange(int(i), plan.keys[i], purpose, 0, int(count))
            for i in rows
            for purpose, count in ((Purpose.SELECTION, plan.n0), (Purpose.ESTIMATION, sizes[i]))
        ]
        votes = rounds(requests, to_come=int(total[rows[-1] + 1 :].sum()))
        found += [count_votes(each, plan.classifier.num_classes) for each in votes]
    return np.stack(found[::2]), np.stack(found[1::2])


def plan_samples(
    prediction: Prediction,
    n: int,
    alpha: float,
    *,
    at: float | None = None,
    least: int | None = None,
    most: int | None = None,
) -> NDArray[np.int64]:
    """Return how many samples each input is worth.

    Parameters
    ----------
    prediction : Prediction
        Of m inputs.
    n : int
        Samples per input on average.
    alpha : float
        Failure probability of each certificate.
    at : float, optional
        Radius to certify, in units of sigma.
    least, most : int, optional
        Samples that every input gets, and that no input gets more of.

    Returns
    -------
    ndarray of int64, shape (m,)

    Raises
    ------
    InvalidArgumentError
        When `n` does not reach `least`.
    """
    believed = Predicted(prediction.probit, prediction.spread * _GAUSSIAN)
    return allocate_samples(believed, n, alpha, at=at, least=least, most=most)


def _kept_plan(folder: Path, keys: list[bytes], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep the plan: on another number of threads the surrogate may round otherwise, and another plan come out."""
    inputs = hashlib.sha256(b"".join(keys)).hexdigest()
    plan = replace(_PLAN, at_most=_PLAN.at_most + 32 * len(keys))
    if not exists(folder, PLAN_FILE):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidArgumentError(
                f"cache is {str(folder)!r}, which cannot be made: {error.strerror}"
            ) from error
        plan.write(folder, PLAN_FILE, {"inputs": inputs, "n": sizes.tolist()})
        return sizes
    kept = plan.read(folder, PLAN_FILE)
    if kept["inputs"] != inputs or len(kept["n"]) != len(sizes):
        raise InvalidArgumentError(f"{folder} was made with other inputs: give the same, or another folder")
    return np.array(kept["n"], dtype=np.int64)


def _digest(sizes: NDArray[np.int64]) -> str:
    return hashlib.sha256(sizes.astype("<i8").tobytes()).hexdigest()


def _parts(lengths: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cut the inputs into consecutive parts of about a million votes, which are in memory at a time."""
    part = (np.cumsum(lengths) - lengths) // _VOTES_AT_ONCE
    yield from np.split(np.arange(len(lengths)), np.flatnonzero(np.diff(part)) + 1)
