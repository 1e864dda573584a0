"""One candidate of a cache, recertified or decided about, with its votes kept below the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smoothcert.approximate import Candidate
from smoothcert.cli.workspace import Workspace
from smoothcert.errors import CacheMismatchError
from smoothcert.procedures import (
    Irs,
    Joint,
    RadiusDecisions,
    Recertification,
    Spread,
    recertify,
    recertify_at_radius,
    spread_of,
)
from smoothcert.votes import Progress
from smoothcert.votes.store import (
    BUDGET,
    EVEN,
    CandidateRecord,
    CertificationCache,
    candidate_folder,
    write_candidate,
)

__all__ = ["decide_candidate", "recertify_candidate"]


def recertify_candidate(
    workspace: Workspace,
    spec: str,
    candidate: Candidate,
    samples: int | range,
    spread: Spread | None,
    bound: Joint | Irs,
    alpha_zeta: float,
    baseline: bool,
    batch_size: int | None,
    progress: Progress,
) -> Recertification:
    """Recertify one candidate, and keep a record of it for `compare` to find."""
    name = _name(candidate, samples)
    even = spread_of(spread, bound, held_out=isinstance(samples, range)) == EVEN
    with _own_folder(workspace, spec, name) as folder:
        run = recertify(
            candidate.classifier,
            workspace.dataset.inputs,
            cache=workspace.cache,
            n_p=samples,
            spread=spread,
            alpha_zeta=alpha_zeta,
            bound=bound,
            base=workspace.base,
            n0=CertificationCache(workspace.cache).manifest.n0 if baseline and even else 0,
            out=folder,
            batch_size=batch_size,
            progress=progress,
        )
    record = CandidateRecord(
        spec=spec,
        name=name,
        description=candidate.description,
        n_p=len(samples) if isinstance(samples, range) else samples,
        spread=run.spread,
        looked_at=int(run.pairs.m[~run.pairs.fresh].max(initial=0)) if run.spread == BUDGET else 0,
        alpha_zeta=alpha_zeta,
        gamma=bound.gamma if isinstance(bound, Irs) else Irs().untuned,
        identical=run.identical,
        bound=bound.name,
        runner_up=isinstance(bound, Joint) and bound.runner_up,
        together=run.certificates.together,
        start=samples.start if isinstance(samples, range) else 0,
        holdout=isinstance(samples, range),
    )
    write_candidate(workspace.cache, record)
    return run


def decide_candidate(
    workspace: Workspace,
    spec: str,
    candidate: Candidate,
    radius: float,
    samples: int | range | None,
    alpha_zeta: float,
    batch_size: int | None,
    progress: Progress,
) -> RadiusDecisions:
    """Decide whether one candidate is still certified at a radius."""
    with _own_folder(workspace, spec, f"{_name(candidate, samples)}-at-{radius:g}") as folder:
        return recertify_at_radius(
            candidate.classifier,
            workspace.dataset.inputs,
            radius,
            cache=workspace.cache,
            n_p=samples,
            alpha_zeta=alpha_zeta,
            base=workspace.base,
            out=folder,
            batch_size=batch_size,
            progress=progress,
        )


def _name(candidate: Candidate, samples: int | range | None) -> str:
    return f"{candidate.name}-from-{samples.start}" if isinstance(samples, range) else candidate.name


@contextmanager
def _own_folder(workspace: Workspace, spec: str, name: str) -> Iterator[Path]:
    """Yield the folder of a candidate's votes; where kept votes do not fit, say what to remove."""
    folder = candidate_folder(workspace.cache, name)
    try:
        yield folder
    except CacheMismatchError as error:
        if str(folder) not in str(error):
            raise
        raise CacheMismatchError(f"{error}; to start {spec!r} anew, remove {folder}") from error
