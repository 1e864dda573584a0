"""Incremental randomized smoothing: certify a changed classifier from the votes of the one it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import prefers_direct
from smoothcert.certificate import Certificates
from smoothcert.certified_result import CertifiedResult
from smoothcert.classifiers import Classifier
from smoothcert.errors import CacheMismatchError
from smoothcert.procedures.cautions import with_cautions
from smoothcert.procedures.incremental.bounds import recertificates
from smoothcert.procedures.incremental.holdout import default_n_p, require_samples
from smoothcert.procedures.incremental.methods import Bound, Irs, Joint, Terms, named_bound
from smoothcert.procedures.incremental.named import NamedCandidate, name_candidate
from smoothcert.procedures.incremental.opening import Opened, note_look, open_for
from smoothcert.procedures.incremental.reach import out_of_reach
from smoothcert.procedures.incremental.spread import Spread, spread_of, with_budget
from smoothcert.sampling import GivenInputs, as_inputs
from smoothcert.votes import (
    PairedCounts,
    ShowProgress,
    pair,
    require_count,
    sampling_groups,
    stack_pairs,
)
from smoothcert.votes.store import BUDGET, CandidateRecord, CertificationCache, Timing, write_candidate

if TYPE_CHECKING:
    from smoothcert.approximate import Candidate

__all__ = ["Recertification", "recertify"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Recertification(CertifiedResult):
    """What `recertify` returns.

    Attributes
    ----------
    certificates : Certificates
        One per input, with `zeta` and `branch`.
    pairs : PairedCounts
        The counts that they follow from.
    gamma : float
        The threshold of bound ``"irs"``; with ``gamma="auto"`` the one that was selected.
    spread : {"budget", "even"}
        How the samples were spread over the inputs.
    identical : bool
        Whether the candidate's outputs are bit-identical to the base's: then it is no approximation.
    timing : Timing
        Samples drawn and seconds spent by this call.
    labels : ndarray of int64, shape (m,), or None
        Labels that came with the inputs; nothing certified follows from them.
    """

    certificates: Certificates
    pairs: PairedCounts
    gamma: float
    spread: Spread
    identical: bool
    timing: Timing
    labels: NDArray[np.int64] | None = None

    def _more(self) -> list[str]:
        return [
            f"spread = {self.spread!r}",
            *(["identical to the base"] if self.identical else []),
            self.timing.words,
        ]


def recertify(
    candidate: Classifier | Candidate | str,
    x: Any,
    *,
    cache: str | Path,
    n_p: int | range | None = None,
    spread: Spread | None = None,
    alpha_zeta: float = 0.001,
    bound: Bound = "auto",
    base: Classifier | None = None,
    n0: int = 0,
    out: str | Path | None = None,
    batch_size: int | None = None,
    progress: ShowProgress = None,
) -> Recertification:
    """Certify a changed classifier f^p around each input from the cached votes of f.

    f^p votes on noises of the cache, n_p of each input or on average, and what it loses and wins against f there
    bounds its probability of the cached class. The class is always the cached one. Each certificate is wrong with
    probability at most alpha + alpha_zeta in all; the proofs are in ``docs/guarantees.md``.

    Parameters
    ----------
    candidate : Classifier or Candidate or str
        The changed classifier f^p; or what names it, such as ``"int8"``, ``"prune:0.1"`` or a file, see
        `smoothcert.approximate.SPECS`. What has a name is kept below the cache, where `compare` finds it.
    x : array, tensor, sequence, data set or loader, shape (m, *shape)
        Inputs in [0, 1], all of them in the cache, in any order.
    cache : str or Path
        Folder of the certification cache of f.
    n_p : int or range, optional
        Samples of f^p per input, at most the n of the cache, and by default a tenth of it. A range of sample
        indices that nobody looked at while the candidate was made is for candidates that were tuned on other
        cached votes. It serves one candidate (or several that were fixed together, see `reserve_holdout`): what
        was learned from it makes it unfit for the next.
    spread : {"budget", "even"}, optional
        ``"budget"`` divides n_p samples an input, on average, so that they buy most radius: the cached counts say
        which inputs they help. None gets more than 100 n_p, some get none. ``"even"`` gives n_p to each, as in the
        paper. By default the budget, but evenly with a range of samples, bound ``"irs"`` or the runner-up, which
        need that.
    alpha_zeta : float
        Failure probability beyond the alpha of the cache.
    bound : {"auto", "joint", "irs"} or Joint or Irs
        ``"auto"`` and ``"joint"`` are `Joint`, which inverts the cached count and the paired votes together, with
        and without a fresh start where the cached votes were unanimous; it can also bound the runner-up, or hold
        for several candidates at once. ``"irs"`` is the paper's, `Irs`.
    base : Classifier, optional
        f itself, of which named candidates are made; caches that know where their model is do not need it for
        that. With it, some cached votes are repeated first, which catches another model or preprocessing, and
        an identical candidate is recognised by its outputs.
    n0 : int
        Selection samples of f^p, for comparing with certification from scratch; the certificates need none.
    out : str or Path, optional
        Folder in which f^p's votes are kept; an interrupted call, made again, continues there. By default
        ``candidates/NAME`` below the cache for what has a name.
    batch_size : int, optional
        Forward passes at once; it changes no noise.
    progress : callable or False, optional
        Called with (samples done, samples in total).

    Returns
    -------
    Recertification

    Raises
    ------
    InvalidArgumentError
        When an argument is out of range, n_p certifies nothing, or a range of samples is spent.
    CacheError
        When the cache does not fit the candidate, the inputs or the noise, or is damaged; when `out` was begun
        with another n_p or spread.

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
    ...     paper = sc.recertify(linear(0.501), x, cache=folder, n_p=1000, bound="irs")
    ...     ours = sc.recertify(linear(0.501), x, cache=folder, n_p=1000)
    >>> bool(0.15 < paper.certificates.radius[0] < ours.certificates.radius[0] < 0.2)
    True
    """
    terms = Terms(bound=named_bound(bound), alpha_zeta=alpha_zeta)
    spread = spread_of(spread, terms.bound, held_out=isinstance(n_p, range))
    n0 = require_count("n0", n0, at_least=0)
    if n_p is None:
        made = CertificationCache(cache).manifest
        n_p = default_n_p(made.n, (made.alpha + alpha_zeta) / terms.together)
    given = as_inputs(x)
    named = name_candidate(candidate, given, cache, base=base, samples=n_p, out=out)
    with named.own_folder():
        run = _recertified(named, given, cache, n_p, spread, terms, base, n0, batch_size, progress)
    if named.below and named.candidate is not None:
        record = _record(named.candidate, named.out, run, require_samples(n_p), isinstance(n_p, range), terms)
        write_candidate(Path(cache), record)
    return run


def _recertified(
    named: NamedCandidate,
    given: GivenInputs,
    cache: str | Path,
    n_p: int | range,
    spread: Spread,
    terms: Terms,
    base: Classifier | None,
    n0: int,
    batch_size: int | None,
    progress: ShowProgress,
) -> Recertification:
    opened = open_for(
        named.classifier,
        given,
        cache,
        n_p,
        n0=n0,
        alpha_zeta=terms.alpha_zeta,
        base=base,
        out=named.out,
        batch_size=batch_size,
    )
    terms = replace(terms, candidate=opened.premise)
    if spread == "budget" and isinstance(terms.bound, Joint):
        opened = with_budget(opened, terms.bound)
    note_look(opened)
    pairs, timing = _paired_votes(opened, terms, named.out, progress)
    manifest = opened.store.manifest
    certificates, chosen = recertificates(pairs, manifest, terms)
    certificates = with_cautions(certificates, pairs.own, labels=opened.g.labels)
    return Recertification(
        certificates=certificates.with_cautions(*out_of_reach(pairs, certificates, manifest, terms)),
        pairs=pairs,
        gamma=chosen,
        spread=spread,
        identical=opened.identical and not pairs.n_disagree.any(),
        timing=timing,
        labels=opened.g.labels,
    )


def _record(
    made: Candidate, out: Path | None, run: Recertification, samples: range, held_out: bool, terms: Terms
) -> CandidateRecord:
    """Describe the candidate, for comparisons to find."""
    bound = terms.bound
    return CandidateRecord(
        spec=made.spec or made.name,
        name=made.name if out is None else out.name,
        description=made.description,
        n_p=len(samples),
        spread=run.spread,
        looked_at=int(run.pairs.m[~run.pairs.fresh].max(initial=0)) if run.spread == BUDGET else 0,
        alpha_zeta=terms.alpha_zeta,
        gamma=bound.gamma if isinstance(bound, Irs) else Irs().untuned,
        identical=run.identical,
        bound=bound.name,
        runner_up=isinstance(bound, Joint) and bound.runner_up,
        together=run.certificates.together,
        start=samples.start,
        holdout=held_out,
    )


def _paired_votes(
    opened: Opened, terms: Terms, out: str | Path | None, progress: ShowProgress
) -> tuple[PairedCounts, Timing]:
    """Collect f^p's votes, on the cache's noise or on noise beyond it, and pair them with f's."""
    store, g, start = opened.store, opened.g, opened.samples.start
    n = store.manifest.n

    def starts(rows: list[int]) -> list[int]:
        """Start from scratch where f's cached votes were unanimous."""
        if not (isinstance(terms.bound, Joint) and terms.bound.afresh):
            return [start] * len(rows)
        count = [store[g.keys[i]].count for i in rows]
        return [start + n if fresh else start for fresh in prefers_direct(count, n)]

    paired: list[PairedCounts] = []
    with sampling_groups(g, opened.quota, folder=out, base=store.manifest.digest, starts=starts) as votes:
        for rows in votes.groups(progress):
            for row in rows:
                if row.start not in (start, start + n):
                    raise CacheMismatchError(
                        f"{out} holds votes from sample {row.start} on, but the call asks for those from {start}: "
                        "use another folder for the votes"
                    )
            paired += [pair(store[row.key], row, len(row.votes)) for row in rows]
    return stack_pairs(paired), votes.timing
