"""Before a changed classifier votes: hold it, its inputs and its samples against the cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import Purpose, input_keys
from smoothcert.procedures.incremental.holdout import HELD_OUT, PREMISE, require_samples
from smoothcert.sampling import Inputs, check_classifier, check_inputs, identify
from smoothcert.votes import VotingPlan, replay, require_batch_size, require_classifier, require_probability
from smoothcert.votes.store import CertificationCache, note_seen, reserve

__all__ = ["Opened", "open_for"]


@dataclass(frozen=True)
class Opened:
    """A cache that a changed classifier fits.

    Attributes
    ----------
    store : CertificationCache
        The votes of f.
    plan : VotingPlan
        f^p, the inputs, their keys and the cache's noise; `plan.n` is n_p and `plan.alpha` the total.
    start : int
        First sample of the cache that f^p may vote on.
    premise : str
        What the guarantee presupposes about f^p.
    identical : bool
        Whether f^p is f, as far as fingerprints and outputs tell.
    """

    store: CertificationCache
    plan: VotingPlan
    start: int
    premise: str
    identical: bool


def open_for(
    candidate: Classifier,
    x: Any,
    cache: str | Path,
    n_p: int | range,
    *,
    n0: int,
    alpha_zeta: float,
    base: Classifier | None,
    batch_size: int | None,
) -> Opened:
    """Check everything that can be checked before f^p votes, and write down which samples it looks at."""
    candidate = require_classifier("candidate", candidate)
    alpha_zeta, batch_size = require_probability("alpha_zeta", alpha_zeta), require_batch_size(batch_size)
    store, samples = CertificationCache(cache), require_samples(n_p)
    plan = _plan(store, candidate, check_inputs(x), samples, n0, alpha_zeta, batch_size)
    manifest, key = store.manifest, plan.keys[0]
    logits = check_classifier(candidate, plan.inputs, key, plan.noise)
    identity = identify(candidate, manifest.input_shape, plan.noise)
    identical = manifest.is_of(candidate, identity)
    if base is not None:
        base = require_classifier("base", base)
        base_logits = check_classifier(base, plan.inputs, key, plan.noise)
        manifest.require_identity(identify(base, manifest.input_shape, plan.noise), str(store.path))
        replay(replace(plan, classifier=base), store)
        identical |= base_logits.tobytes() == logits.tobytes()
    held_out = isinstance(n_p, range)
    look = reserve if held_out else note_seen
    look(store.path, samples.start, samples.stop, [identity.name(candidate.fingerprint)])
    premise = HELD_OUT.format(start=samples.start, stop=samples.stop) if held_out else PREMISE
    return Opened(store, replace(plan, identity=identity), samples.start, premise, identical)


def _plan(
    store: CertificationCache,
    classifier: Classifier,
    inputs: Inputs,
    samples: range,
    n0: int,
    alpha_zeta: float,
    batch_size: int | None,
) -> VotingPlan:
    """Plan f^p's votes on the cache's noise, once everything that must agree does."""
    manifest = store.manifest
    noise = manifest.noise(str(store.path))
    for name, have, want in (
        ("num_classes", manifest.num_classes, classifier.num_classes),
        ("input_shape", manifest.input_shape, tuple(inputs.shape[1:])),
    ):
        if have != want:
            raise CacheMismatchError(f"{store.path} was made with {name} = {have!r}, but the call has {want!r}")
    if samples.stop > manifest.n:
        what = f"{len(samples)}" if not samples.start else f"the samples {samples.start} to {samples.stop - 1}"
        raise InvalidArgumentError(
            f"n_p is {what}, but the cache {store.path} holds n = {manifest.n} votes per input"
        )
    if manifest.purpose != Purpose.ESTIMATION.name.lower():
        raise CacheMismatchError(
            f"{store.path} holds votes to fit a surrogate to, not those of a certification: give the cache of one"
        )
    keys = list(input_keys(inputs))
    store.require(keys)
    return VotingPlan(
        classifier=classifier,
        inputs=inputs,
        keys=keys,
        noise=noise,
        n0=n0,
        n=len(samples),
        alpha=manifest.alpha + alpha_zeta,
        batch_size=batch_size,
    )
