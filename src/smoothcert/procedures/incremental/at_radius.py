"""Decide from the cached votes of f whether a changed classifier is still certified at a radius."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.certified_result import CertifiedResult
from smoothcert.classifiers import Classifier
from smoothcert.noise import Purpose
from smoothcert.procedures.cautions import near_chance, odd_sigma
from smoothcert.procedures.certificates import certificates_of, claim_at_radius
from smoothcert.procedures.incremental.lost_votes import Outcome, decide_all
from smoothcert.procedures.incremental.named import name_candidate
from smoothcert.procedures.incremental.opening import Opened, note_look, open_for
from smoothcert.procedures.incremental.stopping import StoppingRule
from smoothcert.procedures.threshold import threshold_of, unreachable
from smoothcert.sampling import SampleIndices, as_inputs
from smoothcert.votes import ShowProgress, Smoothed, require_radius, sampling_rounds
from smoothcert.votes.store import CertificationCache, Setting, Timing

if TYPE_CHECKING:
    from smoothcert.approximate import Candidate

__all__ = ["RadiusDecisions", "recertify_at_radius"]

Counts = NDArray[np.int64]

DEFAULT_SAMPLES = 10_000
"""Most samples of the changed classifier per input, where the cache has so many and nothing else is asked for."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RadiusDecisions(CertifiedResult):
    """What `recertify_at_radius` returns.

    Attributes
    ----------
    certificates : Certificates
        One per input: the radius asked for, or abstention; ``n`` is the samples of f' that each input took.
    identical : bool
        Whether the candidate's outputs are bit-identical to the base's: then it is no approximation.
    timing : Timing
        Samples drawn and seconds spent by this call.
    labels : ndarray of int64, shape (m,), or None
        Labels that came with the inputs; nothing certified follows from them.
    """

    certificates: Certificates
    identical: bool
    timing: Timing
    labels: NDArray[np.int64] | None = None

    def _more(self) -> list[str]:
        return [*(["identical to the base"] if self.identical else []), self.timing.words]


def recertify_at_radius(
    candidate: Classifier | Candidate | str,
    x: Any,
    radius: float,
    *,
    cache: str | Path,
    n_p: int | range | None = None,
    alpha_zeta: float = 0.001,
    base: Classifier | None = None,
    out: str | Path | None = None,
    batch_size: int | None = None,
    progress: ShowProgress = None,
) -> RadiusDecisions:
    """Decide for each input whether a changed classifier f' is still certified at a radius, in few samples of f'.

    The class is the cached one. Where f's count has room above Phi(radius / sigma), f' votes only on noises on
    which f voted for the class, until a sequential test shows that it loses few enough of these votes; elsewhere,
    and where that fails, up to three looks at paired votes follow (`StoppingRule`).

    Parameters
    ----------
    radius : float
        L2 radius, at least 0, in the units of the input.
    n_p : int or range, optional
        Most samples of f' per input, by default 10,000 or all of the cache; or a range of samples that nobody
        looked at while f' was made, see `recertify`.
    progress : callable or False, optional
        Called with (samples done, samples expected).
    candidate, x, cache, alpha_zeta, base, out, batch_size
        As in `recertify`.

    Returns
    -------
    RadiusDecisions
        Each certificate is wrong with probability at most alpha + alpha_zeta; abstention claims nothing.

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, alpha, n, n_p and sigma can never reach the radius, or a range of samples
        is spent.
    CacheError
        When the cache or the folder does not fit, is damaged, locked or cannot be written.

    Examples
    --------
    >>> import numpy as np, smoothcert as sc, tempfile
    >>> def linear(threshold):
    ...     def logits(batch):
    ...         return np.stack([threshold - batch[:, 0], batch[:, 0] - threshold], axis=1)
    ...     return sc.FunctionClassifier(logits, num_classes=2, fingerprint=f"x0 > {threshold}")
    >>> x = np.array([[0.8, 0.0], [0.6, 0.0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = sc.certify(linear(0.5), x, sigma=0.25, n=10_000, cache=folder)
    ...     again = sc.recertify_at_radius(linear(0.501), x, 0.2, cache=folder)
    >>> again.certificates.radius.tolist(), bool(again.timing.samples < 1000)
    ([0.2, 0.0], True)
    """
    radius = require_radius("radius", radius)
    if n_p is None:
        n_p = min(DEFAULT_SAMPLES, CertificationCache(cache).manifest.n)
    given = as_inputs(x)
    suffix = f"-at-{radius:g}"
    named = name_candidate(candidate, given, cache, base=base, samples=n_p, out=out, suffix=suffix)
    with named.own_folder():
        opened = open_for(
            named.classifier,
            given,
            cache,
            n_p,
            n0=0,
            alpha_zeta=alpha_zeta,
            base=base,
            out=named.out,
            batch_size=batch_size,
        )
        return _decisions(opened, radius, named.out, progress)


def _decisions(opened: Opened, radius: float, out: Path | None, progress: ShowProgress) -> RadiusDecisions:
    """Decide, once everything is checked but whether the radius can be reached."""
    p0, drawn = threshold_of(radius, opened.g.noise, opened.g.size)
    rule = StoppingRule(p0=drawn, n=opened.store.manifest.n, n_p=opened.quota.n, alpha=opened.quota.alpha)
    _require_reachable(radius, rule, opened.g)
    note_look(opened)
    top_class, outcome, timing = _decide(opened, radius, rule, out, progress)
    certificates = certificates_of(
        claim_at_radius(outcome.certified, radius),
        p_lower=np.where(outcome.certified, p0, 0.0),
        top_class=top_class,
        count=outcome.votes,
        n=outcome.samples,
        alpha=rule.alpha,
        alpha_split=rule.alpha_split,
        method="decision",
        noise=opened.g.noise,
        premise=f"{opened.premise}; {opened.g.noise.premise}",
    )
    certificates = replace(certificates, branch=outcome.by)
    return RadiusDecisions(
        certificates=certificates.with_cautions(*_cautions(opened.g, top_class)),
        identical=opened.identical,
        timing=timing,
        labels=opened.g.labels,
    )


def _decide(
    opened: Opened, radius: float, rule: StoppingRule, folder: str | Path | None, progress: ShowProgress
) -> tuple[Counts, Outcome, Timing]:
    """Let f' vote on cached samples until every input is decided."""
    store, g, start = opened.store, opened.g, opened.samples.start
    top_class, count, bits = [], [], []
    for row in (store[key] for key in g.keys):  # whose votes are in memory one part at a time
        top_class.append(row.top_class)
        count.append(row.count)
        bits.append(np.packbits(row.votes[start : start + rule.n_p] == row.top_class))

    def votes_of_f(i: int) -> NDArray[np.bool_]:
        return np.unpackbits(bits[i], count=rule.n_p).astype(np.bool_)

    settings: dict[str, Setting] = {"name": "decide at a radius", "radius": radius, "start": start}
    base = store.manifest.digest
    with sampling_rounds(
        g, opened.quota, procedure=settings, folder=folder, base=base, progress=progress
    ) as rounds:

        def ask(wanted: list[tuple[int, NDArray[np.int64]]], to_come: int) -> list[NDArray[np.bool_]]:
            requests = [SampleIndices(i, g.keys[i], Purpose.ESTIMATION, start + which) for i, which in wanted]
            votes = rounds(requests, to_come=to_come)
            return [v == top_class[i] for (i, _), v in zip(wanted, votes, strict=True)]

        outcome = decide_all(rule, np.array(count), votes_of_f, ask)
    return np.array(top_class), outcome, rounds.timing


def _cautions(g: Smoothed, top_class: NDArray[np.int64]) -> tuple[str, ...]:
    odd = odd_sigma(g.noise.sigma)
    return odd if g.labels is None else (*odd, *near_chance(top_class, g.labels, g.classifier.num_classes))


def _require_reachable(radius: float, rule: StoppingRule, g: Smoothed) -> None:
    """Refuse a radius that even unanimous votes do not show."""
    if rule.p0 < 1 and rule.is_reachable():
        return
    low, high = 0.5, 1.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if replace(rule, p0=middle).is_reachable() else (low, middle)
    setting = f"n = {rule.n} cached votes, n_p = {rule.n_p}, alpha = {rule.alpha:g} in all"
    raise unreachable(radius, low - g.noise.total_variation(g.size), g.noise.sigma, setting)
