"""Before a changed classifier votes: hold it, its inputs and its samples against the cache."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import Purpose, input_keys
from smoothcert.procedures.incremental.holdout import HELD_OUT, PREMISE, require_samples
from smoothcert.sampling import Inputs, check_classifier, check_inputs
from smoothcert.votes import (
    Quota,
    Smoothed,
    repeat_cached,
    require_batch_size,
    require_classifier,
    require_probability,
)
from smoothcert.votes.store import CertificationCache, note_seen, reserve

__all__ = ["Opened", "note_look", "open_for"]


@dataclass(frozen=True)
class Opened:
    """A cache that a changed classifier fits."""

    store: CertificationCache  # the votes of f
    g: Smoothed  # f^p under the cache's noise
    quota: Quota  # its n is n_p, its alpha the total
    samples: range  # the cache's samples that f^p may vote on
    held_out: bool  # whether nobody may have looked at them
    identical: bool  # whether f^p is f, as far as fingerprints and outputs tell

    @property
    def premise(self) -> str:
        """What the guarantee presupposes about f^p."""
        start, stop = self.samples.start, self.samples.stop
        return HELD_OUT.format(start=start, stop=stop) if self.held_out else PREMISE


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
    """Check everything that can be checked before f^p votes."""
    store, samples = CertificationCache(cache), require_samples(n_p)
    alpha = store.manifest.alpha + require_probability("alpha_zeta", alpha_zeta)
    quota = Quota(n0=n0, n=len(samples), alpha=alpha)
    g = _smoothed(
        store, require_classifier("candidate", candidate), check_inputs(x), require_batch_size(batch_size)
    )
    _require_cached(store, g, samples)
    logits = check_classifier(g.classifier, g.inputs, g.keys[0], g.noise)
    identical = store.manifest.is_of(g.classifier, g.identity)
    if base is not None:
        f = replace(g, classifier=require_classifier("base", base))
        base_logits = check_classifier(f.classifier, f.inputs, f.keys[0], f.noise)
        store.manifest.require_identity(f.identity, str(store.path))
        repeat_cached(f, store)
        identical |= base_logits.tobytes() == logits.tobytes()
    return Opened(store, g, quota, samples, isinstance(n_p, range), identical)


def note_look(opened: Opened) -> None:
    """Write down which samples f^p looks at, just before it does."""
    look = reserve if opened.held_out else note_seen
    name = opened.g.identity.name(opened.g.classifier.fingerprint)
    look(opened.store.path, opened.samples.start, opened.samples.stop, [name])


def _smoothed(
    store: CertificationCache, classifier: Classifier, inputs: Inputs, batch_size: int | None
) -> Smoothed:
    """Put f^p under the cache's noise, where it has the cache's classes and inputs."""
    manifest = store.manifest
    noise = manifest.noise(str(store.path))
    for name, have, want in (
        ("num_classes", manifest.num_classes, classifier.num_classes),
        ("input_shape", manifest.input_shape, tuple(inputs.shape[1:])),
    ):
        if have != want:
            raise CacheMismatchError(f"{store.path} was made with {name} = {have!r}, but the call has {want!r}")
    keys = list(input_keys(inputs))
    return Smoothed(classifier=classifier, inputs=inputs, keys=keys, noise=noise, batch_size=batch_size)


def _require_cached(store: CertificationCache, g: Smoothed, samples: range) -> None:
    """Refuse a cache without votes of these inputs on these samples."""
    manifest = store.manifest
    if samples.stop > manifest.n:
        what = f"{len(samples)}" if not samples.start else f"the samples {samples.start} to {samples.stop - 1}"
        raise InvalidArgumentError(
            f"n_p is {what}, but the cache {store.path} holds n = {manifest.n} votes per input"
        )
    if manifest.purpose != Purpose.ESTIMATION.name.lower():
        raise CacheMismatchError(
            f"{store.path} holds votes to fit a surrogate to, not those of a certification: give the cache of one"
        )
    store.require(g.keys)
