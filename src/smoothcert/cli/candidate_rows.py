"""What ``recertify`` says of a candidate, as a JSON object and in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from smoothcert.approximate import Candidate
    from smoothcert.procedures import RadiusDecisions, Recertification

__all__ = ["counted", "decided_at", "lines_of", "row_of"]


def row_of(made: Candidate, run: Recertification | RadiusDecisions) -> dict[str, Any]:
    """Return what is said of every candidate."""
    certificates = run.certificates
    return {
        "candidate": made.name,
        "computes": made.description,
        "certified": int(certificates.certified.sum()),
        "inputs": len(certificates),
        "summary": certificates.claim(),
        "cautions": list(certificates.cautions),
        "alpha": certificates.alpha,
        "method": certificates.method,
        "premise": certificates.premise,
        "identical": run.identical,
        "samples": run.timing.samples,
        "seconds": run.timing.seconds,
    }


def counted(run: Recertification) -> dict[str, Any]:
    """Return what is said of one that was recertified."""
    from smoothcert.evaluation import mean_zeta

    fresh, m = run.pairs.fresh, run.pairs.m
    zeta = mean_zeta(run.certificates) if (~fresh & (m > 0)).any() else None
    counted = {"direct": int((fresh & (m > 0)).sum()), "unsampled": int((m == 0).sum())}
    return {"gamma": run.gamma, "mean_zeta": zeta, "spread": run.spread, "n_p": float(m.mean()), **counted}


def decided_at(run: RadiusDecisions, radius: float, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return what is said of one that was decided about at a radius."""
    from smoothcert.evaluation import certified_accuracy

    accuracy = float(certified_accuracy(run.certificates, labels, [radius])[0])
    per_input = float(run.certificates.n.mean())
    return {"radius": radius, "certified_accuracy": accuracy, "samples_per_input": per_input}


def lines_of(row: dict[str, Any]) -> list[str]:
    """Say it in lines."""
    if "radius" in row:
        found = (
            f"certified accuracy at {row['radius']:g} is {row['certified_accuracy']:.3f}, "
            f"{row['samples_per_input']:,.0f} samples an input"
        )
    else:
        zeta = row["mean_zeta"]
        found = "all from its own votes alone" if zeta is None else f"mean zeta {zeta:.4f}"
        if row["spread"] == "budget":
            found += f"; {row['n_p']:,.0f} samples an input on average, none for {row['unsampled']}"
    same = "; its outputs are bit-identical to the base's: not an approximation" if row["identical"] else ""
    return [
        f"{row['candidate']}: {row['summary']}; {found}{same}",
        f"  {row['computes']}",
        f"  provided that {row['premise']}",
    ]
