"""An audit: certify again on the auditor's own noise, and hold what was received against it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheMismatchError, InvalidArgumentError
from smoothcert.noise import Purpose, noise_of_law
from smoothcert.procedures.audit.consistency import Consistency, compare_counts, compare_pairs
from smoothcert.procedures.cohen import certify_smoothed
from smoothcert.procedures.incremental import Bound, Recertification, Terms, named_bound, recertify
from smoothcert.procedures.run import CertificationRun
from smoothcert.sampling import SampleRange, identify
from smoothcert.votes import (
    REPEATED,
    REPETITION_TOLERANCE,
    PairedCounts,
    Quota,
    ShowProgress,
    Smoothed,
    pair,
    require_classifier,
    require_count,
    require_probability,
    stack_pairs,
)
from smoothcert.votes.store import CertificationCache, candidate_folder, read_candidates

__all__ = ["Audit", "audit"]

PREMISE = "base and candidate were fixed before the auditor chose the seed {seed}"
_CANDIDATE = "candidate"


@dataclass(frozen=True, kw_only=True, repr=False)
class Audit:
    """What `audit` returns.

    Attributes
    ----------
    base : CertificationRun
        The certification of f on the auditor's noise.
    candidate : Recertification
        The recertification of f^p on the same noise. Its certificates owe nothing to the cache that was received.
    changed : ndarray of int64, shape (N,)
        Of `replayed` cached votes of each input, those that f does not repeat.
    replayed : int
        Cached votes of each input that were evaluated again, at places that the auditor's seed chose.
    base_votes : Consistency
        The cached votes of f, against its fresh ones.
    candidate_votes : Consistency or None
        The same for the votes of f^p; None when the cache came without them.
    otherwise : str
        What f computes otherwise than the classifier that made the cache; empty where nothing.
    """

    base: CertificationRun
    candidate: Recertification
    changed: NDArray[np.int64]
    replayed: int
    base_votes: Consistency
    candidate_votes: Consistency | None
    otherwise: str = ""

    def __repr__(self) -> str:
        found = self.findings()
        verdict = "; ".join(found) or f"nothing speaks against the cache, p = {self.base_votes.p_value:.3g}"
        return f"Audit({verdict}; candidate on fresh noise: {self.candidate.certificates.facts()})"

    def findings(self, level: float = 0.001) -> list[str]:
        """Say what speaks against the cache; nothing where nothing does.

        Parameters
        ----------
        level : float
            Probability at most with which the two comparisons of counts accuse an honest cache.

        Raises
        ------
        InvalidArgumentError
            When `level` is out of range.
        """
        level = require_probability("level", level)
        found = [f"the base is not what made the cache: {self.otherwise}"] if self.otherwise else []
        odd = np.flatnonzero(self.changed > REPETITION_TOLERANCE * self.replayed)
        if len(odd):
            found.append(
                f"cached votes of {len(odd)} inputs do not repeat, the first of them x[{odd[0]}] with "
                f"{self.changed[odd[0]]} of {self.replayed} others: they are not votes of this model"
            )
        checks = [("base", self.base_votes), (_CANDIDATE, self.candidate_votes)]
        known = [(name, check) for name, check in checks if check is not None]
        for name, check in known:
            if check.p_value < level / len(known):
                found.append(
                    f"cached votes of the {name} are better than fresh ones (p = {check.p_value:.1g}): changed, "
                    "or the seed or the model was chosen to fit the noise"
                )
        return found

    def passed(self, level: float = 0.001) -> bool:
        """Tell whether nothing speaks against the cache, see `findings`."""
        return not self.findings(level)


def audit(
    base: Classifier | None,
    candidate: Classifier,
    x: Any,
    *,
    cache: str | Path,
    seed: int,
    n_p: int,
    out: str | Path,
    n: int | None = None,
    alpha_zeta: float = 0.001,
    bound: Bound = "auto",
    name: str = _CANDIDATE,
    batch_size: int | None = None,
    progress: ShowProgress = None,
) -> Audit:
    """Re-check a classifier, its candidate and its cache on fresh noise, without trusting the cache.

    Whoever provides a cache knows its noise: seeds can be tried until the votes look good, and a candidate can be
    fitted to the cached noise, on which it then agrees with f everywhere and nowhere else. So f and f^p are
    evaluated on noise of a seed that the auditor chooses after both are fixed. The certificates follow from that
    noise alone. The cache is then compared: some votes of each input are repeated, and counts that are larger
    than fresh ones by more than chance are reported.

    Parameters
    ----------
    base : Classifier
        The base classifier f. It is needed: f^p is bounded from what it loses against f on the same noise, and
        nobody knows f's votes on fresh noise without evaluating it.
    cache : str or Path
        Folder of the certification cache that was received; nothing is written there.
    seed : int
        The auditor's own, not the cache's, chosen after the models were received.
    n_p : int
        Samples of f^p per input.
    out : str or Path
        Folder for the fresh votes; a call that was interrupted continues there.
    n : int, optional
        Samples of f per input, by default the cache's n.
    name : str
        Name of the folder of f^p's votes below ``out/candidates``.
    progress : callable or False, optional
        Called with (samples done, samples in total), first for f and then for f^p.
    candidate, x, alpha_zeta, bound, batch_size
        As in `recertify`.

    Returns
    -------
    Audit

    Raises
    ------
    InvalidArgumentError
        When the base is missing, the seed is the cache's, or an argument is out of range.
    CacheError
        When the cache is damaged or is one of another model or other inputs.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> def linear(threshold):
    ...     def logits(batch):
    ...         return np.stack([threshold - batch[:, 0], batch[:, 0] - threshold], axis=1)
    ...     return sc.FunctionClassifier(logits, num_classes=2, fingerprint=f"x0 > {threshold}")
    >>> f, g, x = linear(0.5), linear(0.501), np.array([[0.7, 0.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = sc.certify(f, x, sigma=0.25, n=10_000, cache=f"{folder}/received")
    ...     found = audit(f, g, x, cache=f"{folder}/received", seed=7, n_p=1000, out=f"{folder}/audit")
    >>> found.passed(), bool(found.candidate.certificates.certified[0])
    (True, True)
    """
    if base is None:
        raise InvalidArgumentError(
            "base is None: on fresh noise f must be evaluated too, since the candidate is bounded from what it "
            "loses against f and the cache has f's votes on its own noise alone; give the base model, or certify "
            "the candidate from scratch"
        )
    base, candidate = require_classifier("base", base), require_classifier("candidate", candidate)
    n_p = require_count("n_p", n_p)
    Terms(bound=named_bound(bound), alpha_zeta=alpha_zeta)  # refuses what is not legal
    store = CertificationCache(cache)
    n = store.manifest.n if n is None else require_count("n", n)
    if n_p > n:
        raise InvalidArgumentError(f"n_p is {n_p}, but f gets n = {n} samples per input: give n_p <= n")
    folder = candidate_folder(Path(out), name)
    g = _on_fresh_noise(store, base, x, seed, batch_size)
    candidate = replace(g, classifier=candidate).run_like(store.manifest).classifier
    quota = Quota(n0=store.manifest.n0, n=n, alpha=store.manifest.alpha)
    run = certify_smoothed(g, quota, cache=out, progress=progress)
    again = recertify(
        candidate,
        g.inputs,
        cache=out,
        n_p=n_p,
        spread="even",  # both sides' votes are compared sample by sample, on all inputs alike
        alpha_zeta=alpha_zeta,
        bound=bound,
        base=g.classifier,
        out=folder,
        batch_size=batch_size,
        progress=progress,
    )
    premise = f"{PREMISE.format(seed=seed)}; {g.noise.premise}"
    received = _candidate_votes(store, candidate, g.keys)
    return Audit(
        base=run,
        candidate=replace(again, certificates=replace(again.certificates, premise=premise)),
        changed=_repeat(store, g, seed),
        replayed=min(REPEATED, store.manifest.n),
        base_votes=compare_counts([store[key] for key in g.keys], run.tally.counts, n, seed=seed),
        candidate_votes=None if received is None else compare_pairs(received, again.pairs, seed=seed),
        otherwise=store.manifest.identity_difference(g.identity),
    )


def _on_fresh_noise(
    store: CertificationCache, base: Classifier, x: Any, seed: int, batch_size: int | None
) -> Smoothed:
    """Put f under the cache's noise law with the auditor's seed."""
    manifest = store.manifest
    if seed == manifest.seed:
        raise InvalidArgumentError(
            f"seed is {seed}, which is the cache's: whoever made the cache knows that noise; choose another one"
        )
    stream = noise_of_law(manifest.noise_law, manifest.sigma, seed)
    if stream is None:
        raise CacheMismatchError(f"{store.path} was made with noise_law = {manifest.noise_law!r}, unknown here")
    g = Smoothed.open(
        base, x, sigma=manifest.sigma, seed=seed, noise=stream, batch_size=batch_size, folder=store.path
    )
    if g.classifier.fingerprint != manifest.fingerprint:
        raise CacheMismatchError(
            f"{store.path} holds votes of {manifest.fingerprint!r}, but base is {base.fingerprint!r}: give the "
            "model that made the cache, in the runtime that made it"
        )
    store.require(g.keys)
    return g


def _repeat(store: CertificationCache, g: Smoothed, seed: int) -> NDArray[np.int64]:
    """Repeat some cached votes of every input, at places that nobody knew when the cache was made."""
    count = min(REPEATED, store.manifest.n)
    starts = np.random.default_rng(seed).integers(0, store.manifest.n - count + 1, len(g)).tolist()
    ranges = [
        SampleRange(i, key, Purpose.ESTIMATION, start, start + count)
        for i, (key, start) in enumerate(zip(g.keys, starts, strict=True))
    ]
    votes = replace(g, noise=store.manifest.noise()).sample(ranges)
    cached = (store[key].votes[start : start + count] for key, start in zip(g.keys, starts, strict=True))
    return np.array([int((now != then).sum()) for now, then in zip(votes, cached, strict=True)])


def _candidate_votes(store: CertificationCache, candidate: Classifier, keys: list[bytes]) -> PairedCounts | None:
    """Find the candidate's votes among those that came with the cache."""
    identity = identify(candidate, store.manifest.input_shape, store.manifest.noise())
    for record in read_candidates(store.path):
        own = CertificationCache(candidate_folder(store.path, record.name))
        if own.manifest.is_of(candidate, identity) and own.manifest.base == store.manifest.digest:
            own.require(keys)
            return stack_pairs([pair(store[key], own[key], len(own[key].votes)) for key in keys])
    return None
