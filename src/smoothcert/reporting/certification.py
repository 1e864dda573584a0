"""The result of one certification, by sampling or by a surrogate, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.evaluation import average_certified_radius, certified_accuracy, radius_grid
from smoothcert.procedures import CertificationRun
from smoothcert.reporting.tables import Cell, Column, Table

if TYPE_CHECKING:
    from smoothcert.surrogate import SurrogateRun

__all__ = ["certification_json", "certification_table", "surrogate_json", "surrogate_table"]


def certification_table(run: CertificationRun, y: NDArray[np.int64]) -> Table:
    """Return certified accuracy by radius, and beside it what it came from.

    Parameters
    ----------
    run : CertificationRun
        What `certify` returned.
    y : ndarray of int64, shape (m,)
        Labels.

    Returns
    -------
    Table
    """
    facts = certification_json(run, y)
    rows = [(f"certified accuracy at {radius}", value) for radius, value in facts["certified_accuracy"].items()]
    rows += [
        ("average certified radius", facts["average_certified_radius"]),
        ("abstained", facts["abstained"]),
        ("accuracy under noise", facts["accuracy_under_noise"]),
        ("mean lower bound on p_A", facts["mean_p_lower"]),
        ("invalid votes", facts["invalid_votes"]),
        ("samples drawn", facts["samples"]),
        ("seconds", facts["seconds"]),
    ]
    c = run.certificates
    n = f"{facts['n']}" if _same_n(c) else f"{facts['n']:,.0f} on average"
    return _facts_table(f"{len(c)} inputs, sigma = {c.sigma:g}, n = {n}, alpha = {c.alpha:g}", rows)


def certification_json(run: CertificationRun, y: NDArray[np.int64]) -> dict[str, Any]:
    """Return what `certification_table` shows, and the guarantee, as a dictionary that JSON can hold."""
    c = run.certificates
    # Decided at one radius, it is the only one about which anything is known.
    radii = c.radius[[c.radius.argmax()]] if c.method == "sequential" else radius_grid([c])
    right = run.tally.counts[np.arange(len(y)), y]
    return {
        "guarantee": c.guarantee,
        "alpha": c.alpha,
        "sigma": c.sigma,
        "inputs": len(c),
        "n": int(c.n[0]) if _same_n(c) else float(c.n.mean()),
        "certified_accuracy": _by_radius(c, y, radii),
        "average_certified_radius": average_certified_radius(c, y),
        "abstained": float(1 - c.certified.mean()),
        "accuracy_under_noise": float((right / np.maximum(c.n, 1)).mean()),
        "mean_p_lower": float(c.p_lower.mean()),
        "invalid_votes": int(c.n.sum() - run.tally.counts.sum()),
        "samples": run.timing.samples,
        "seconds": round(run.timing.seconds, 2),
        "cautions": list(c.cautions),
    }


def surrogate_table(run: SurrogateRun, y: NDArray[np.int64]) -> Table:
    """Return accuracy by the radii that a surrogate gave, with their guarantee in the title."""
    facts = surrogate_json(run, y)
    kind = facts["guarantee"]
    rows = [(f"accuracy at {kind} radius {r}", a) for r, a in facts["accuracy"].items()]
    rows += [
        (f"average {kind} radius", facts["average_radius"]),
        ("abstained", facts["abstained"]),
        ("samples drawn", facts["samples"]),
        ("seconds", facts["seconds"]),
    ]
    c = run.certificates
    return _facts_table(f"{len(c)} inputs, sigma = {c.sigma:g}: {kind.upper()} radii, not certified ones", rows)


def surrogate_json(run: SurrogateRun, y: NDArray[np.int64]) -> dict[str, Any]:
    """Return a surrogate's run as a dictionary that JSON can hold; no key of it says 'certified'."""
    c = run.certificates
    return {
        "guarantee": c.guarantee,
        "promise": c.premise,
        "sigma": c.sigma,
        "inputs": len(c),
        "accuracy": _by_radius(c, y, radius_grid([c])),
        "average_radius": average_certified_radius(c, y),
        "abstained": float(1 - c.certified.mean()),
        "samples": run.timing.samples,
        "seconds": round(run.timing.seconds, 4),
        "predictions": c.prediction.tolist(),
        "radii": c.radius.tolist(),
    }


def _facts_table(title: str, rows: list[tuple[str, Cell]]) -> Table:
    return Table(title=title, columns=(Column("what"), Column("value", 4, "lower")), rows=tuple(rows))


def _by_radius(c: Certificates, y: NDArray[np.int64], radii: NDArray[np.float64]) -> dict[str, float]:
    return {f"{r:g}": float(a) for r, a in zip(radii, certified_accuracy(c, y, radii), strict=True)}


def _same_n(c: Certificates) -> bool:
    return bool((c.n == c.n[0]).all())
