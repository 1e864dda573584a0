"""Incremental randomized smoothing: certify a changed classifier from the votes of the one it came from."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from smoothcert.cache import CertificationCache, Timing
from smoothcert.certificate import Certificates
from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import input_keys
from smoothcert.procedures.arguments import (
    require_batch_size,
    require_classifier,
    require_count,
    require_probability,
)
from smoothcert.procedures.pairing import DEFAULT_GAMMA, PairedCounts, irs_certificates, pair, stack_pairs
from smoothcert.procedures.voting import Progress, VotingPlan, collect, make_manifest, replay
from smoothcert.sampling import Inputs, check_classifier, check_inputs

__all__ = ["Recertification", "recertify"]


@dataclass(frozen=True, kw_only=True)
class Recertification:
    """What `recertify` returns.

    Attributes
    ----------
    certificates : Certificates
        One per input, with `zeta` and `branch`.
    pairs : PairedCounts
        The counts that they follow from.
    gamma : float
        The threshold; with ``gamma="auto"`` the one that was selected.
    identical : bool
        Whether the candidate's outputs are bit-identical to the base's: then it is no approximation.
    timing : Timing
        Samples drawn and seconds spent by this call.
    """

    certificates: Certificates
    pairs: PairedCounts
    gamma: float
    identical: bool
    timing: Timing


def recertify(
    candidate: Classifier,
    x: Any,
    *,
    cache: str | Path,
    n_p: int,
    alpha_zeta: float = 0.001,
    gamma: float | Literal["auto"] = DEFAULT_GAMMA,
    bound: Literal["irs"] = "irs",
    base: Classifier | None = None,
    n0: int = 0,
    out: str | Path | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Recertification:
    """Certify a changed classifier f^p around each input from the cached votes of f (CertifyIRS).

    f^p votes on the first n_p noises of the cache. Where f's lower bound p_A is below gamma, the disparity
    zeta >= P(f != f^p) is bounded from the disagreements (EstimateZeta) and the radius is
    sigma * Phi^-1(p_A - zeta); elsewhere f^p's own votes for the cached class give it. The class is always the
    cached one. `bounds.irs_bound` proves that the total failure probability is at most alpha + alpha_zeta.

    Parameters
    ----------
    candidate : Classifier
        The changed classifier f^p.
    x : array, tensor or lazy sequence, shape (m, *shape)
        Inputs in [0, 1], all of them in the cache, in any order.
    cache : str or Path
        Folder of the certification cache of f.
    n_p : int
        Samples of f^p per input, at most the n of the cache.
    alpha_zeta : float
        Failure probability of the disparity's bound; alpha is the cache's.
    gamma : float or "auto"
        Threshold on p_A between the branches, in (1/2, 1]. With ``"auto"`` the first tenth of the inputs is used
        to select it by grid search (Section 5.4) and keeps 0.99 itself; it serves the others, whose votes it did
        not see.
    bound : {"irs"}
        The paper's bound.
    base : Classifier, optional
        f itself. With it, some cached votes are repeated first, which catches another model or preprocessing, and
        an identical candidate is recognised by its outputs.
    n0 : int
        Selection samples of f^p, for comparing with certification from scratch; the certificates need none.
    out : str or Path, optional
        Folder in which f^p's votes are kept; an interrupted call continues there.
    batch_size : int, optional
        Forward passes at once; it changes no noise.
    progress : callable, optional
        Called with (samples done, samples in total).

    Returns
    -------
    Recertification

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range.
    CacheError
        When the cache does not fit the candidate, the inputs or the noise, or is damaged.

    References
    ----------
    Ugare et al., "Incremental randomized smoothing certification", ICLR 2024, Algorithms 2 and 3.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> def linear(threshold):
    ...     def logits(batch):
    ...         return np.stack([threshold - batch[:, 0], batch[:, 0] - threshold], axis=1)
    ...     return sc.FunctionClassifier(logits, num_classes=2, fingerprint=f"x0 > {threshold}")
    >>> x = np.array([[0.7, 0.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = sc.certify(linear(0.5), x, sigma=0.25, n=10_000, cache=folder)
    ...     again = sc.recertify(linear(0.501), x, cache=folder, n_p=1000)
    >>> again.certificates.branch[0], bool(0.15 < again.certificates.radius[0] < 0.2)
    (np.str_('zeta'), True)
    """
    candidate = require_classifier("candidate", candidate)
    n_p, n0 = require_count("n_p", n_p), require_count("n0", n0, at_least=0)
    alpha_zeta, batch_size = require_probability("alpha_zeta", alpha_zeta), require_batch_size(batch_size)
    _require_gamma(gamma)
    if bound != "irs":
        raise InvalidArgumentError(f"bound is {bound!r}: it must be 'irs'")
    store = CertificationCache(cache)
    inputs = check_inputs(x)
    plan = _plan(store, candidate, inputs, n_p, n0, alpha_zeta, batch_size)
    logits = check_classifier(candidate, inputs, plan.keys[0], plan.noise)
    identical = candidate.fingerprint == store.manifest.fingerprint
    if base is not None:
        base = require_classifier("base", base)
        base_logits = check_classifier(base, inputs, plan.keys[0], plan.noise)
        replay(replace(plan, classifier=base), store)
        identical |= base_logits.tobytes() == logits.tobytes()
    paired: list[PairedCounts] = []
    samples, seconds = 0, 0.0
    manifest = make_manifest(plan, base=store.manifest.digest)
    with CertificationCache.writing(out, manifest) if out is not None else nullcontext() as own:
        for rows, timing in collect(plan, own, progress):
            paired += [pair(store[row.key], row, n_p) for row in rows]
            samples, seconds = samples + timing.samples, seconds + timing.seconds
    pairs = stack_pairs(paired)
    certificates, chosen = irs_certificates(pairs, store.manifest, alpha_zeta, gamma)
    return Recertification(
        certificates=certificates,
        pairs=pairs,
        gamma=chosen,
        identical=identical and not pairs.n_disagree.any(),
        timing=Timing(samples, seconds),
    )


def _require_gamma(gamma: float | Literal["auto"]) -> None:
    """Refuse a threshold outside (1/2, 1]."""
    if gamma != "auto" and not (isinstance(gamma, (int, float, np.floating)) and 0.5 < gamma <= 1):
        raise InvalidArgumentError(f"gamma is {gamma!r}: it must be in (1/2, 1], such as 0.99, or 'auto'")


def _plan(
    store: CertificationCache,
    classifier: Classifier,
    inputs: Inputs,
    n_p: int,
    n0: int,
    alpha_zeta: float,
    batch_size: int | None,
) -> VotingPlan:
    """Plan f^p's votes on the cache's noise, once everything that must agree does."""
    manifest = store.manifest
    noise = manifest.noise()
    for name, have, want in (
        ("num_classes", manifest.num_classes, classifier.num_classes),
        ("input_shape", manifest.input_shape, tuple(inputs.shape[1:])),
    ):
        if have != want:
            raise CacheMismatchError(f"{store.path} was made with {name} = {have!r}, but the call has {want!r}")
    if n_p > manifest.n:
        raise InvalidArgumentError(
            f"n_p is {n_p}, but the cache {store.path} holds n = {manifest.n} votes per input"
        )
    keys = list(input_keys(inputs))
    store.require(keys)
    return VotingPlan(
        classifier=classifier,
        inputs=inputs,
        keys=keys,
        noise=noise,
        n0=n0,
        n=n_p,
        alpha=manifest.alpha + alpha_zeta,
        batch_size=batch_size,
    )
