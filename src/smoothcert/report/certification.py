"""The result of one certification as a table and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.evaluation import average_certified_radius, certified_accuracy
from smoothcert.procedures import CertificationRun
from smoothcert.report.tables import Column, Table

__all__ = ["certification_json", "certification_table"]

_STEP = 0.25


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
    n = f"{facts['n']}" if (c.n == c.n[0]).all() else f"{facts['n']:,.0f} on average"
    title = f"{len(c)} inputs, sigma = {c.sigma:g}, n = {n}, alpha = {c.alpha:g}"
    return Table(title=title, columns=(Column("what"), Column("value", 4, "lower")), rows=tuple(rows))


def certification_json(run: CertificationRun, y: NDArray[np.int64]) -> dict[str, Any]:
    """Return the result of a certification as a dictionary that JSON can hold.

    Parameters
    ----------
    run : CertificationRun
        What `certify` returned.
    y : ndarray of int64, shape (m,)
        Labels.

    Returns
    -------
    dict
    """
    c = run.certificates
    # Decided at one radius, it is the only one about which anything is known.
    radii = c.radius[[c.radius.argmax()]] if c.method == "sequential" else _steps(c.radius)
    accuracy = certified_accuracy(c, y, radii)
    right = run.tally.counts[np.arange(len(y)), y]
    return {
        "guarantee": c.guarantee,
        "alpha": c.alpha,
        "sigma": c.sigma,
        "inputs": len(c),
        "n": int(c.n[0]) if (c.n == c.n[0]).all() else float(c.n.mean()),
        "certified_accuracy": {f"{r:g}": float(a) for r, a in zip(radii, accuracy, strict=True)},
        "average_certified_radius": float(average_certified_radius(c, y)),
        "abstained": float(1 - c.certified.mean()),
        "accuracy_under_noise": float((right / np.maximum(c.n, 1)).mean()),
        "mean_p_lower": float(c.p_lower.mean()),
        "invalid_votes": int(c.n.sum() - run.tally.counts.sum()),
        "samples": run.timing.samples,
        "seconds": round(run.timing.seconds, 2),
    }


def _steps(radius: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(_STEP * np.arange(int(radius.max() // _STEP) + 1))
