"""The comparison of a base and its candidates as a table, files and plots."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert.bounds import lower_confidence_bound, upper_confidence_bound
from smoothcert.certificate import Certificates
from smoothcert.evaluation import (
    BASE,
    CandidateResult,
    Comparison,
    average_certified_radius,
    certified_accuracy,
    compare,
    mean_zeta,
)
from smoothcert.reporting.baselines import baseline_table
from smoothcert.reporting.cohen_log import write_cohen_log
from smoothcert.reporting.files import make_folder
from smoothcert.reporting.intervals import COVERAGE, interval_table
from smoothcert.reporting.plot_curves import accuracy_curves, plot_acr_versus_cost, plot_certified_accuracy
from smoothcert.reporting.plot_distributions import plot_p_a_distribution, plot_zeta_distribution
from smoothcert.reporting.plot_style import save_figure
from smoothcert.reporting.statements import premises, statements
from smoothcert.reporting.tables import (
    Cell,
    Column,
    Table,
    json_rows,
    write_certificates,
    write_csv,
    write_parquet,
)
from smoothcert.votes.store import Timing

__all__ = [
    "CONFIDENCE",
    "comparison_json",
    "comparison_table",
    "curve_table",
    "note_of",
    "report",
    "write_report",
]

CONFIDENCE = 0.99
"""Of statements about these inputs, where the caller asks for no other."""

_FORMATS = ("csv", "parquet")
_BANDS = 4  # more of them would hide each other


def comparison_table(comparison: Comparison) -> Table:
    """Return one row for the base and two for each candidate, incremental and from scratch, with its speedups."""
    columns = (
        *(Column(name) for name in ("classifier", "by", "n")),
        Column("mean zeta", 5, "upper"),
        *(Column(name, 2) for name in ("paired", "direct", "abstain")),
        *(Column(f"CA@{r:g}", 3) for r in comparison.radii),
        Column("ACR", 4, "lower"),
        Column("samples"),
        Column("seconds", 1),
        *(Column(name, 2) for name in ("speedup", "pointwise")),
        *(Column(name) for name in ("note", "alpha", "premise")),
    )
    rows = [_plain_row(comparison, BASE, "certify", comparison.base, comparison.base_cost)]
    for result in comparison.candidates:
        rows.append(_incremental_row(comparison, result))
        if result.scratch is not None and result.scratch_cost is not None:
            name = result.record.name
            rows.append(_plain_row(comparison, name, "scratch", result.scratch, result.scratch_cost))
    base = comparison.base
    total = base.alpha if not comparison.candidates else comparison.candidates[0].incremental.alpha
    title = f"{len(base)} inputs, sigma = {base.sigma:g}; alpha = {base.alpha:g} (base), {total:g} (candidates)"
    return Table(title=title, columns=columns, rows=tuple(rows))


def _plain_row(comparison: Comparison, name: str, by: str, c: Certificates, cost: Timing) -> list[Cell]:
    """Describe certificates that come from one classifier's votes alone."""
    abstained = 1 - float(c.certified.mean())
    head: list[Cell] = [name, by, int(c.n[0]), None, None, None, abstained]
    return [*head, *_measured(comparison, c, cost), None, None, "", c.alpha, c.premise]


def _incremental_row(comparison: Comparison, result: CandidateResult) -> list[Cell]:
    c, record = result.incremental, result.record
    shares = (result.share("paired"), result.share("direct"), result.share("abstain"))
    speedups = (_none_if_nan(result.area_speedup), _none_if_nan(result.pointwise_speedup))
    head: list[Cell] = [record.name, c.method, round(float(c.n.mean())), _mean_zeta(c), *shares]
    return [*head, *_measured(comparison, c, result.cost), *speedups, note_of(result), c.alpha, c.premise]


def _measured(comparison: Comparison, c: Certificates, cost: Timing) -> list[Cell]:
    accuracy = certified_accuracy(c, comparison.y, comparison.radii)
    acr = average_certified_radius(c, comparison.y)
    return [*(float(a) for a in accuracy), acr, cost.samples, cost.seconds]


def curve_table(comparison: Comparison) -> Table:
    """Return ACR against seconds, incremental and from scratch, at 10 %, 20 %, … of n_p."""
    rows = [
        (result.record.name, kind, float(acr), float(seconds))
        for result in comparison.candidates
        for kind, curve in ((result.incremental.method, result.curve), (_scratch(result), result.scratch_curve))
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
        ``rows``: one for the base and up to two for each candidate, incremental and from scratch; ``speedup`` and
        ``pointwise`` are those of `CandidateResult`, None where the two have no ACR in common.

        ``from_scratch``: for each candidate the samples that certification from scratch is expected to need for
        the same ACR, over those spent, with one n and guided by the cache, see `SamplesFromScratch`.

        ``intervals``: for every certified accuracy and ACR of each classifier, ``low`` and ``high``, which hold
        with probability 0.95 over the draw of the inputs (Clopper and Pearson's interval; `bounded_mean_interval`
        for the ACR), and two lower bounds on what the number truly is on these inputs, although certificates may
        be false: all ``alone`` of one classifier hold at once with the given confidence, and all ``together`` of
        all candidates.

        ``statements`` and ``premises``: lists of sentences.
    """
    return {
        "rows": json_rows(comparison_table(comparison)),
        "from_scratch": json_rows(baseline_table(comparison)),
        "intervals": json_rows(interval_table(comparison, confidence)),
        "statements": statements(comparison, confidence),
        "premises": premises(comparison),
    }


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
    make_folder(out)
    tables = {
        "comparison": comparison_table(comparison),
        "curves": curve_table(comparison),
        "from-scratch": baseline_table(comparison),
        "intervals": interval_table(comparison, CONFIDENCE),
    }
    written: list[Path] = []
    for stem, table in tables.items():
        written += [write_csv(out / f"{stem}.csv", table), write_parquet(out / f"{stem}.parquet", table)]
    everything = {BASE: comparison.base, **comparison.recertified}
    for name, c in everything.items():
        written += [write_certificates(out / f"certificates-{name}.{end}", c, comparison.y) for end in _FORMATS]
        written.append(write_cohen_log(out / f"log-{name}.tsv", c, comparison.y))
    for stem, figure in _figures(comparison, everything).items():
        written += save_figure(figure, out / stem)
    return written


def _figures(comparison: Comparison, everything: dict[str, Certificates]) -> dict[str, Any]:
    accuracy = accuracy_curves(everything, comparison.y)
    gammas = [r.gamma for r in comparison.candidates if r.incremental.method == "irs"]
    gamma = gammas[0] if gammas else None
    bands = {name: _band(a, len(comparison.y)) for name, (_, a) in accuracy.items()}
    figures = {
        "certified-accuracy": plot_certified_accuracy(accuracy, bands if len(bands) <= _BANDS else None),
        "p-lower": plot_p_a_distribution({BASE: comparison.base.p_lower}, gamma=gamma),
    }
    bounded = comparison.recertified.items()
    if zetas := {name: c.zeta for name, c in bounded if c.zeta is not None and not np.isnan(c.zeta).all()}:
        figures["zeta"] = plot_zeta_distribution(zetas)
    for result in comparison.candidates:
        curves = {result.incremental.method: result.curve, f"from {_scratch(result)}": result.scratch_curve}
        label = f"certification time of {result.record.name} (s)"
        figures[f"acr-time-{result.record.name}"] = plot_acr_versus_cost(curves, cost_label=label)
    return figures


def _band(accuracy: NDArray[np.float64], m: int) -> tuple[Any, Any]:
    k, tail = np.round(accuracy * m), (1 - COVERAGE) / 2
    return lower_confidence_bound(k, m, tail), upper_confidence_bound(k, m, tail)


def _mean_zeta(certificates: Certificates) -> float | None:
    zeta = certificates.zeta
    return None if zeta is None or np.isnan(zeta).all() else mean_zeta(certificates)


def note_of(result: CandidateResult) -> str:
    """Say what is odd about a candidate; nothing where nothing is."""
    if result.record.identical:
        return "identical to the base: not an approximation"
    if math.isnan(result.area_speedup):
        return result.reach
    return ""


def _scratch(result: CandidateResult) -> str:
    return "scratch, expected" if result.scratch is None else "scratch"


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def report(cache: str | Path, out: str | Path, x: Any = None, y: NDArray[np.int64] | None = None) -> list[Path]:
    """Compare a base with its candidates, and write tables, certificates, logs and plots.

    Parameters
    ----------
    cache, x, y
        As for `smoothcert.compare`.
    out : str or Path
        Folder for the files; made when absent.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    CacheError, InvalidArgumentError
        As `smoothcert.compare`; or when the folder cannot be made.
    MissingExtraError
        When Matplotlib is not installed.
    """
    return write_report(compare(cache, x, y), Path(out))
