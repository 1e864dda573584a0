"""``smoothcert audit``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smoothcert.cli import options
from smoothcert.cli.printing import doing, print_result, progress_bar, warn_once

if TYPE_CHECKING:
    from smoothcert.approximate import Candidate
    from smoothcert.procedures import Audit
    from smoothcert.votes.store import CandidateRecord


def audit(
    cache: Annotated[Path, typer.Argument(help="Folder of the cache that was received; it is only read.")],
    candidate: Annotated[str, typer.Option("--candidate", help="The candidate, as for recertify.")],
    seed: Annotated[int, typer.Option("--seed", help="Your own seed, chosen after the models were received.")],
    n_p: Annotated[int, typer.Option("--n-p", help="Fresh samples of the candidate per input.")],
    model: Annotated[
        str | None, typer.Option("--model", help="Checkpoint of the base, which is evaluated again.")
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", help="Fresh samples of the base per input; by default the cache's n.")
    ] = None,
    alpha_zeta: options.AlphaZeta = 0.001,
    level: Annotated[
        float, typer.Option("--level", help="Probability with which an honest cache may be accused.")
    ] = 0.001,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the fresh votes; by default CACHE-audit-SEED.")
    ] = None,
    data: options.MovedData = None,
    batch_size: options.BatchSize = None,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Re-check a model, a candidate and a cache on fresh noise of your own seed.

    Exits with status 1 when the cached votes speak against their provider.

    Example: smoothcert audit received --model model.safetensors --candidate int8 --n-p 1000 --seed 271828
    """
    from smoothcert.errors import InvalidArgumentError
    from smoothcert.votes import require_probability

    if model is None:
        raise InvalidArgumentError(
            "model is missing: on fresh noise the base is evaluated too, since a candidate is bounded from what "
            "it loses against the base on the same noise; name the base's checkpoint with --model"
        )
    level = require_probability("level", level)  # before any long work
    if dry_run:
        _show_cost(cache, n, n_p, as_json)
        return
    with doing("loading PyTorch"):
        from smoothcert.cli.workspace import absolute, open_workspace
        from smoothcert.procedures import audit as run_audit
        from smoothcert.votes.store import read_provenance, write_candidate, write_provenance

    folder = Path(f"{str(cache).rstrip('/')}-audit-{seed}") if out is None else out
    workspace = open_workspace(cache, model=model, data=data, device=device)
    made = workspace.make(candidate)
    with progress_bar("audit") as progress:
        found = run_audit(
            workspace.base,
            made.classifier,
            workspace.dataset,
            cache=cache,
            seed=seed,
            n_p=n_p,
            out=folder,
            n=n,
            alpha_zeta=alpha_zeta,
            name=made.name,
            batch_size=batch_size,
            progress=progress,
        )
    write_candidate(folder, _record(found, candidate, made, n_p, alpha_zeta))
    if (provenance := read_provenance(cache)) is not None:
        write_provenance(folder, absolute(replace(provenance, model=model)))
    findings = found.findings(level)
    _print(found, findings, level, made.name, folder, as_json)
    if findings:
        raise typer.Exit(1)


def _show_cost(cache: Path, n: int | None, n_p: int, as_json: bool) -> None:
    from smoothcert.cli.dry_run import known_pace, show_cost
    from smoothcert.votes import REPEATED, require_count
    from smoothcert.votes.store import CertificationCache

    store = CertificationCache(cache)
    made = store.manifest
    votes = len(store) * (require_count("n_p", n_p) + (made.n if n is None else require_count("n", n)))
    repeated = len(store) * (made.n0 + min(REPEATED, made.n))
    what = "that is the time of whoever made the cache"
    show_cost(as_json, votes + repeated, votes, known_pace(cache), what=what)


def _record(found: Audit, spec: str, made: Candidate, n_p: int, alpha_zeta: float) -> CandidateRecord:
    """Describe the candidate so that `compare` finds its fresh votes beside those of the base."""
    from smoothcert.votes.store import CandidateRecord

    return CandidateRecord(
        spec=spec,
        name=made.name,
        description=made.description,
        n_p=n_p,
        alpha_zeta=alpha_zeta,
        gamma=found.candidate.gamma,
        identical=found.candidate.identical,
        bound=found.candidate.certificates.method,
    )


def _print(found: Audit, findings: list[str], level: float, name: str, folder: Path, as_json: bool) -> None:
    certificates = found.candidate.certificates
    facts: dict[str, Any] = {
        "passed": not findings,
        "findings": findings,
        "inputs": len(certificates),
        "repeated_votes": found.replayed * len(found.changed),
        "changed_votes": int(found.changed.sum()),
        "p_value_base": found.base_votes.p_value,
        "p_value_candidate": None if found.candidate_votes is None else found.candidate_votes.p_value,
        "level": level,
        "base_certified": int(found.base.certificates.certified.sum()),
        "candidate_certified": int(certificates.certified.sum()),
        "alpha": certificates.alpha,
        "premise": certificates.premise,
        "cautions": list(certificates.cautions),
        "votes": str(folder),
    }
    candidate = "not in the cache" if found.candidate_votes is None else f"{found.candidate_votes.p_value:.3g}"
    print_result(
        as_json,
        facts,
        f"cached votes repeated: {facts['changed_votes']} of {facts['repeated_votes']} are others now",
        f"cached votes no better than fresh ones: p = {found.base_votes.p_value:.3g} for the base, {candidate} "
        f"for {name}; an honest cache is accused with probability at most {level:g}",
        f"{name} on fresh noise: {certificates.claim()}",
        f"  provided that {certificates.premise}",
        f"fresh votes in {folder}; compare and report read them",
        *(f"FOUND {text}" for text in findings),
    )
    warn_once(certificates.cautions)
