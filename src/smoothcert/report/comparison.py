"""The comparison of a base and its candidates as a table, files and plots."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import lower_confidence_bound, upper_confidence_bound
from smoothcert.certificate import Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import (
    CandidateResult,
    Comparison,
    Cost,
    Curve,
    average_certified_radius,
    certified_accuracy,
    mean_zeta,
)
from smoothcert.report.cohen_log import write_cohen_log
from smoothcert.report.intervals import COVERAGE, INTERVALS, interval_table
from smoothcert.report.plots import (
    plot_acr_versus_cost,
    plot_certified_accuracy,
    plot_p_a_distribution,
    plot_zeta_distribution,
    save_figure,
)
from smoothcert.report.statements import premises, statements
from smoothcert.report.tables import Column, Table, write_certificates, write_csv, write_parquet

__all__ = [
    "CONFIDENCE",
    "comparison_json",
    "comparison_table",
    "curve_table",
    "terminal_lines",
    "terminal_table",
    "write_report",
]

CONFIDENCE = 0.99
"""Of statements about these inputs, where the caller asks for no other."""

_FINE = 200  # points of a certified-accuracy curve
_WIDE = ("pointwise", "note", "alpha", "premise")
_BANDS = 4  # more of them would hide each other


def comparison_table(comparison: Comparison) -> Table:
    """Return one row for the base and two for each candidate: incremental, and from scratch.

    Parameters
    ----------
    comparison : Comparison
        What to show.

    Returns
    -------
    Table
        Speedups are seconds from scratch over incremental seconds at equal ACR: the ratio of areas over the common
        ACRs, and the mean ratio. Empty where the two have no ACR in common.
    """
    radii = comparison.radii()
    columns = (
        Column("classifier"),
        Column("by"),
        Column("n"),
        Column("mean zeta", 5, "upper"),
        *(Column(name, 2) for name in ("paired", "direct", "abstain")),
        *(Column(f"CA@{r:g}", 3) for r in radii),
        Column("ACR", 4, "lower"),
        Column("samples"),
        Column("seconds", 1),
        *(Column(name, 2) for name in ("speedup", "pointwise")),
        Column("note"),
        Column("alpha"),
        Column("premise"),
    )

    def metrics(certificates: Certificates, cost: Cost) -> list[Any]:
        accuracy = certified_accuracy(certificates, comparison.y, radii)
        acr = average_certified_radius(certificates, comparison.y)
        return [*(float(a) for a in accuracy), acr, cost.samples, cost.seconds]

    base = comparison.base
    abstained = 1 - float(base.certified.mean())
    rows: list[list[Any]] = [
        [
            "base",
            "certify",
            int(base.n[0]),
            None,
            None,
            None,
            abstained,
            *metrics(base, comparison.base_cost),
            None,
            None,
            "",
            base.alpha,
            base.premise,
        ]
    ]
    for result in comparison.candidates:
        incremental = result.incremental
        shares = [result.share(branch) for branch in ("paired", "direct", "abstain")]
        speedups = [_none_if_nan(result.area_speedup), _none_if_nan(result.pointwise_speedup)]
        rows.append(
            [
                result.record.name,
                result.incremental.method,
                int(incremental.n[0]),
                _mean_zeta(incremental),
                *shares,
                *metrics(incremental, result.cost),
                *speedups,
                _note(result),
                incremental.alpha,
                incremental.premise,
            ]
        )
        if result.scratch is not None and result.scratch_cost is not None:
            abstained = 1 - float(result.scratch.certified.mean())
            cells = metrics(result.scratch, result.scratch_cost)
            n, claim = int(result.scratch.n[0]), [result.scratch.alpha, result.scratch.premise]
            head = [result.record.name, "scratch", n, None, None, None, abstained]
            rows.append([*head, *cells, None, None, "", *claim])
    total = base.alpha if not comparison.candidates else comparison.candidates[0].incremental.alpha
    title = f"{len(base)} inputs, sigma = {base.sigma:g}; alpha = {base.alpha:g} (base), {total:g} (candidates)"
    return Table(title=title, columns=columns, rows=tuple(rows))


def terminal_table(comparison: Comparison) -> Table:
    """Return `comparison_table` without the columns that a terminal has no room for."""
    table = comparison_table(comparison)
    kept = [i for i, column in enumerate(table.columns) if column.name not in _WIDE]
    rows = tuple([row[i] for i in kept] for row in table.rows)
    # A heading of two words takes two lines and leaves room for more columns.
    columns = tuple(replace(table.columns[i], name=table.columns[i].name.replace("@", " ")) for i in kept)
    return Table(title=table.title, columns=columns, rows=rows)


def terminal_lines(comparison: Comparison, confidence: float = CONFIDENCE) -> list[str]:
    """Return what to say below the tables: what their columns mean, what holds under which premise, and notes."""
    notes = [f"{r.record.name}: {note}" for r in comparison.candidates if (note := _note(r))]
    legend = (
        "paired, direct, abstain: share of the inputs certified from votes on the base's noise, from the "
        "candidate's votes alone, and not at all; CA r: certified accuracy at radius r; speedup: area under the "
        "time of scratch over the incremental time at equal ACR"
    )
    return [legend, INTERVALS, *statements(comparison, confidence), *premises(comparison), *notes]


def curve_table(comparison: Comparison) -> Table:
    """Return ACR against seconds, incremental and from scratch, at 10 %, 20 %, … of n_p."""
    rows = [
        (result.record.name, kind, float(acr), float(seconds))
        for result in comparison.candidates
        for kind, curve in ((result.incremental.method, result.curve), ("scratch", result.scratch_curve))
        if curve is not None
        for acr, seconds in zip(curve.acr, curve.cost, strict=True)
    ]
    columns = (Column("candidate"), Column("procedure"), Column("ACR", 4, "lower"), Column("seconds", 2))
    return Table(title="ACR against certification time", columns=columns, rows=tuple(rows))


def comparison_json(comparison: Comparison, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Return the tables and what is claimed as a dictionary that JSON can hold.

    Parameters
    ----------
    comparison : Comparison
        What to write.
    confidence : float
        Of the bounds on these inputs, in (0, 1).

    Returns
    -------
    dict
        ``rows`` of `comparison_table`, ``intervals`` of `interval_table`, ``statements`` and ``premises``.
    """
    return {
        "rows": _records(comparison_table(comparison)),
        "intervals": _records(interval_table(comparison, confidence)),
        "statements": statements(comparison, confidence),
        "premises": premises(comparison),
    }


def _records(table: Table) -> list[dict[str, Any]]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def write_report(comparison: Comparison, out: Path) -> list[Path]:
    """Write tables, certificates, logs and plots.

    Parameters
    ----------
    comparison : Comparison
        What to write.
    out : Path
        Folder; made when absent.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InvalidArgumentError
        When the folder cannot be made.
    MissingExtraError
        When Matplotlib is not installed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgumentError(f"out is {str(out)!r}, which cannot be made: {error.strerror}") from error
    written = []
    tables = {
        "comparison": comparison_table(comparison),
        "curves": curve_table(comparison),
        "intervals": interval_table(comparison, CONFIDENCE),
    }
    for stem, table in tables.items():
        write_csv(out / f"{stem}.csv", table)
        write_parquet(out / f"{stem}.parquet", table)
        written += [out / f"{stem}.csv", out / f"{stem}.parquet"]
    everything = {"base": comparison.base, **{r.record.name: r.incremental for r in comparison.candidates}}
    for name, certificates in everything.items():
        write_certificates(out / f"certificates-{name}.csv", certificates, comparison.y)
        write_certificates(out / f"certificates-{name}.parquet", certificates, comparison.y)
        write_cohen_log(out / f"log-{name}.tsv", certificates, comparison.y)
        written += [
            out / f"certificates-{name}.csv",
            out / f"certificates-{name}.parquet",
            out / f"log-{name}.tsv",
        ]
    for stem, figure in _figures(comparison, everything).items():
        save_figure(figure, out / stem)
        written += [out / f"{stem}.png", out / f"{stem}.svg"]
    return written


def _figures(comparison: Comparison, everything: dict[str, Certificates]) -> dict[str, Any]:
    top = comparison.radii()[-1] + 0.25
    fine = [top * i / _FINE for i in range(_FINE + 1)]
    accuracy = {name: (fine, certified_accuracy(c, comparison.y, fine)) for name, c in everything.items()}
    gammas = [r.gamma for r in comparison.candidates if r.incremental.method == "irs"]
    gamma = gammas[0] if gammas else None
    bands = {name: _band(c, a) for (name, (_, a)), c in zip(accuracy.items(), everything.values(), strict=True)}
    figures = {
        "certified-accuracy": plot_certified_accuracy(accuracy, bands if len(bands) <= _BANDS else None),
        "p-lower": plot_p_a_distribution({"base": comparison.base.p_lower}, gamma=gamma),
    }
    if comparison.candidates:
        zetas = {
            r.record.name: r.incremental.zeta
            for r in comparison.candidates
            if _mean_zeta(r.incremental) is not None and r.incremental.zeta is not None
        }
        if zetas:
            figures["zeta"] = plot_zeta_distribution(zetas)
    for result in comparison.candidates:
        curves: dict[str, Curve] = {result.incremental.method: result.curve}
        if result.scratch_curve is not None:
            curves["from scratch"] = result.scratch_curve
        label = f"certification time of {result.record.name} (s)"
        figures[f"acr-time-{result.record.name}"] = plot_acr_versus_cost(curves, cost_label=label)
    return figures


def _band(certificates: Certificates, accuracy: NDArray[np.float64]) -> tuple[Any, Any]:
    m, tail = len(certificates), (1 - COVERAGE) / 2
    k = np.round(accuracy * m)
    return lower_confidence_bound(k, m, tail), upper_confidence_bound(k, m, tail)


def _mean_zeta(certificates: Certificates) -> float | None:
    zeta = certificates.zeta
    return None if zeta is None or np.isnan(zeta).all() else mean_zeta(certificates)


def _note(result: CandidateResult) -> str:
    if result.record.identical:
        return "identical to the base: not an approximation"
    if math.isnan(result.area_speedup) and result.reach is not None:
        return result.reach
    return ""


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
