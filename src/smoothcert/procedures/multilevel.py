"""Certify a slow classifier from many votes of its own cheap version and few of its own."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smoothcert._folders import refuse_links
from smoothcert.cache import CertificationCache, Timing
from smoothcert.classifiers import Classifier, TorchClassifier
from smoothcert.errors import InvalidArgumentError
from smoothcert.noise import NoiseName
from smoothcert.procedures.arguments import require_classifier, require_count, require_probability
from smoothcert.procedures.incremental import recertify
from smoothcert.procedures.preparation import prepare
from smoothcert.procedures.voting import Progress
from smoothcert.sampling import calibration_batch

if TYPE_CHECKING:
    from smoothcert.procedures.cohen import CertificationRun

__all__ = ["OWN_VOTES", "certify_by_proxy"]

PREMISE = "classifier and proxy were fixed without looking at the noise or the votes"
OWN_VOTES = "classifier"
"""Folder inside of the cache, which holds the proxy's votes, for those of the classifier itself."""


def certify_by_proxy(
    classifier: Classifier,
    x: Any,
    *,
    proxy: str | Classifier,
    n_p: int | None,
    sigma: float,
    n0: int,
    n: int,
    alpha: float,
    seed: int,
    noise: NoiseName,
    levels: int | None,
    runner_up: bool,
    cache: str | Path | None,
    batch_size: int | None,
    progress: Progress | None,
) -> CertificationRun:
    """Certify by n samples of a proxy and n_p samples of the classifier on the same noise; see `certify`.

    It is incremental certification the other way round: the proxy is the base, the classifier is what it was
    changed into. Half of alpha is the cache's, half is what `recertify` adds; the joint bound spends the sum.
    """
    from smoothcert.procedures.cohen import certify

    classifier, alpha = require_classifier("classifier", classifier), require_probability("alpha", alpha)
    n = require_count("n", n)
    n_p = require_count("n_p", max(1, n // 10) if n_p is None else n_p)
    if n_p > n:
        raise InvalidArgumentError(f"n_p is {n_p}, but the proxy has n = {n} samples: it must be at most n")
    cheap = _proxy(classifier, x, proxy, sigma=sigma, seed=seed, noise=noise, levels=levels)
    total = len(x) * (n0 + n + n_p)

    def after(samples: int) -> Progress | None:
        return None if progress is None else lambda done, _: progress(samples + done, total)

    with tempfile.TemporaryDirectory() if cache is None else nullcontext(cache) as folder:
        first = certify(
            cheap,
            x,
            sigma=sigma,
            n0=n0,
            n=n,
            alpha=alpha / 2,
            seed=seed,
            noise=noise,
            levels=levels,
            cache=folder,
            batch_size=batch_size,
            progress=after(0),
        )
        second = recertify(
            classifier,
            x,
            cache=folder,
            n_p=n_p,
            alpha_zeta=alpha / 2,
            runner_up=runner_up,
            out=refuse_links(Path(folder), OWN_VOTES),
            batch_size=batch_size,
            progress=after(first.timing.samples),
        )
        stream = CertificationCache(folder).manifest.noise()
    return replace(
        first,
        certificates=replace(second.certificates, method="multilevel", premise=f"{PREMISE}; {stream.premise}"),
        counts=second.pairs.own,
        timing=Timing(first.timing.samples + second.timing.samples, first.timing.seconds + second.timing.seconds),
        cache=None if cache is None else Path(cache),
    )


def _proxy(
    classifier: Classifier,
    x: Any,
    proxy: str | Classifier,
    *,
    sigma: float,
    seed: int,
    noise: NoiseName,
    levels: int | None,
) -> Classifier:
    """Make the proxy, unless it was given; calibrate it on noise that no vote uses."""
    if isinstance(proxy, str):
        if not isinstance(classifier, TorchClassifier):
            raise InvalidArgumentError(
                f"proxy is {proxy!r}, which is made from a torch module, but classifier is a "
                f"{type(classifier).__name__}: give the proxy as a classifier"
            )
        from smoothcert.approximate import make_candidate

        ready = prepare(classifier, x, sigma=sigma, seed=seed, noise=noise, levels=levels)
        batch = calibration_batch(ready.inputs, ready.keys, ready.noise)
        proxy = make_candidate(proxy, classifier, calibration=batch).classifier
    cheap = require_classifier("proxy", proxy)
    if cheap.num_classes != classifier.num_classes:
        raise InvalidArgumentError(
            f"proxy has {cheap.num_classes} classes, but classifier has {classifier.num_classes}: they must agree"
        )
    if cheap.fingerprint == classifier.fingerprint:
        raise InvalidArgumentError("proxy is the classifier itself: leave it out, or give a cheaper one")
    return cheap
