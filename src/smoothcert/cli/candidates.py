"""One candidate of a cache, recertified or decided about, with its votes kept below the cache."""

from __future__ import annotations

from smoothcert.approximate import Candidate
from smoothcert.cli.workspace import Workspace
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
from smoothcert.votes.store import EVEN, CertificationCache

__all__ = ["decide_candidate", "recertify_candidate"]


def recertify_candidate(
    workspace: Workspace,
    candidate: Candidate,
    samples: int | range,
    spread: Spread | None,
    bound: Joint | Irs,
    alpha_zeta: float,
    baseline: bool,
    batch_size: int | None,
    progress: Progress,
) -> Recertification:
    """Recertify one candidate."""
    even = spread_of(spread, bound, held_out=isinstance(samples, range)) == EVEN
    return recertify(
        candidate,
        workspace.dataset,
        cache=workspace.cache,
        n_p=samples,
        spread=spread,
        alpha_zeta=alpha_zeta,
        bound=bound,
        base=workspace.base,
        n0=CertificationCache(workspace.cache).manifest.n0 if baseline and even else 0,
        batch_size=batch_size,
        progress=progress,
    )


def decide_candidate(
    workspace: Workspace,
    candidate: Candidate,
    radius: float,
    samples: int | range | None,
    alpha_zeta: float,
    batch_size: int | None,
    progress: Progress,
) -> RadiusDecisions:
    """Decide whether one candidate is still certified at a radius."""
    return recertify_at_radius(
        candidate,
        workspace.dataset,
        radius,
        cache=workspace.cache,
        n_p=samples,
        alpha_zeta=alpha_zeta,
        base=workspace.base,
        batch_size=batch_size,
        progress=progress,
    )
