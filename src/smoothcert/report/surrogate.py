"""A surrogate's evaluation as tables, JSON, files and plots; each radius beside its guarantee."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import Curve, SurrogateEvaluation, average_certified_radius, certified_accuracy
from smoothcert.report.plots import plot_acr_versus_cost, save_figure
from smoothcert.report.surrogate_plots import plot_claimed_accuracy
from smoothcert.report.tables import Column, Table, write_certificates, write_csv

if TYPE_CHECKING:
    from smoothcert.surrogate import SurrogateRun

__all__ = [
    "accuracy_table",
    "errors_table",
    "evaluation_json",
    "guided_table",
    "surrogate_json",
    "surrogate_table",
    "variance_table",
    "write_evaluation",
]

_STEP, _FINE = 0.25, 200


def accuracy_table(evaluation: SurrogateEvaluation, radii: Sequence[float] | None = None) -> Table:
    """Return certified accuracy and ACR of each method (Table I).

    Parameters
    ----------
    evaluation : SurrogateEvaluation
        What to show.
    radii : sequence of float, optional
        Radii, in the units of the input; steps of 0.25 by default.

    Returns
    -------
    Table
        One row per method, with the guarantee of its radii: what is only estimated or calibrated says so.
    """
    largest = max(float(c.radius.max()) for c in evaluation.certificates.values())
    chosen = _STEP * np.arange(int(largest // _STEP) + 1) if radii is None else np.asarray(radii, np.float64)
    rows: list[tuple[Any, ...]] = [
        (
            name,
            c.guarantee,
            *(float(a) for a in certified_accuracy(c, evaluation.y, chosen)),
            average_certified_radius(c, evaluation.y),
            1 - float(c.certified.mean()),
        )
        for name, c in evaluation.certificates.items()
    ]
    columns = (
        Column("radius by"),
        Column("guarantee"),
        *(Column(f"accuracy at {r:g}", 3, "lower") for r in chosen),
        Column("ACR", 4, "lower"),
        Column("abstained", 3),
    )
    any_ = next(iter(evaluation.certificates.values()))
    title = f"{len(evaluation.y)} inputs, sigma = {any_.sigma:g}, class agreement {evaluation.agreement:.3f}"
    return Table(title=title, columns=columns, rows=tuple(rows))


def errors_table(evaluation: SurrogateEvaluation) -> Table:
    """Return how far the raw surrogate is below and above sampling (Tables III and VI)."""
    rows = [
        (name, side.percentage_error, side.mean_radius, 100 * side.share, side.mean_error, side.error_variance)
        for name, side in (("under", evaluation.errors.under), ("over", evaluation.errors.over))
    ]
    columns = (
        Column("estimation"),
        Column("percentage error", 1),
        Column("sampled ACR", 3),
        Column("% of inputs", 1),
        Column("mean error", 3),
        Column("error variance", 4),
    )
    return Table(title="radii of at least 0.25 by surrogate and by sampling", columns=columns, rows=tuple(rows))


def variance_table(evaluation: SurrogateEvaluation) -> Table:
    """Return the sampling variance of the counts for N = 100,000, class by class (Table IV; mean: Table V)."""
    variance = evaluation.variance
    columns = (*(Column(f"class {c}", 0) for c in range(len(variance))), Column("mean (%)", 3))
    row = (*(100_000 * float(v) for v in variance), 100 * float(variance.mean()))
    return Table(title="variance of the votes for a class, N = 100,000", columns=columns, rows=(row,))


def guided_table(evaluation: SurrogateEvaluation) -> Table:
    """Return guided certification beside one n for all, by budget."""
    columns = (
        Column("samples an input"),
        Column("ACR, one n for all", 4, "lower"),
        Column("ACR, guided", 4, "lower"),
        Column("ACR, guided, n0 = 0", 4, "lower"),
    )
    rows = tuple((p.n, p.uniform, p.guided, p.unselected) for p in evaluation.guided)
    return Table(title="certified radii for the same samples", columns=columns, rows=rows)


def surrogate_table(run: SurrogateRun, y: np.ndarray[Any, np.dtype[np.int64]]) -> Table:
    """Return what a surrogate gave each radius to, with its guarantee in the title."""
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
    title = f"{len(c)} inputs, sigma = {c.sigma:g}: {kind.upper()} radii, not certified ones"
    return Table(title=title, columns=(Column("what"), Column("value", 4, "lower")), rows=tuple(rows))


def surrogate_json(run: SurrogateRun, y: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    """Return a surrogate's run as a dictionary that JSON can hold; no key of it says 'certified'."""
    c = run.certificates
    radii = _STEP * np.arange(int(c.radius.max() // _STEP) + 1)
    return {
        "guarantee": c.guarantee,
        "promise": c.premise,
        "sigma": c.sigma,
        "inputs": len(c),
        "accuracy": {f"{r:g}": float(a) for r, a in zip(radii, certified_accuracy(c, y, radii), strict=True)},
        "average_radius": average_certified_radius(c, y),
        "abstained": float(1 - c.certified.mean()),
        "samples": run.timing.samples,
        "seconds": round(run.timing.seconds, 4),
        "predictions": c.prediction.tolist(),
        "radii": c.radius.tolist(),
    }


def evaluation_json(evaluation: SurrogateEvaluation) -> dict[str, Any]:
    """Return an evaluation as a dictionary that JSON can hold."""
    tables = {
        "accuracy": accuracy_table(evaluation),
        "errors": errors_table(evaluation),
        "variance": variance_table(evaluation),
        "guided": guided_table(evaluation),
    }
    found: dict[str, Any] = {
        name: [
            {column.name: _json_cell(cell) for column, cell in zip(table.columns, row, strict=True)}
            for row in table.rows
        ]
        for name, table in tables.items()
    }
    return {"inputs": len(evaluation.y), "left_out": evaluation.left_out, **found}


def write_evaluation(evaluation: SurrogateEvaluation, out: Path) -> list[Path]:
    """Write an evaluation's tables, certificates and plots.

    Parameters
    ----------
    evaluation : SurrogateEvaluation
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
    for stem, table in (
        ("accuracy", accuracy_table(evaluation)),
        ("errors", errors_table(evaluation)),
        ("variance", variance_table(evaluation)),
        ("guided", guided_table(evaluation)),
    ):
        write_csv(out / f"{stem}.csv", table)
        written.append(out / f"{stem}.csv")
    for name, certificates in evaluation.certificates.items():
        path = out / f"radii-{certificates.guarantee}-{_slug(name)}.csv"
        write_certificates(path, certificates, evaluation.y)
        written.append(path)
    largest = max(float(c.radius.max()) for c in evaluation.certificates.values())
    fine = [(largest + _STEP) * i / _FINE for i in range(_FINE + 1)]
    curves = {
        f"{name} ({c.guarantee})": (fine, certified_accuracy(c, evaluation.y, fine))
        for name, c in evaluation.certificates.items()
    }
    written += save_figure(plot_claimed_accuracy(curves), out / "accuracy")
    points = evaluation.guided
    guided = {
        "one n for all": Curve([p.uniform for p in points], [float(p.n) for p in points]),
        "guided": Curve([p.guided for p in points], [p.samples / len(evaluation.y) for p in points]),
    }
    written += save_figure(plot_acr_versus_cost(guided, cost_label="samples an input", log=True), out / "guided")
    return written


def _json_cell(cell: Any) -> Any:
    return None if isinstance(cell, float) and not np.isfinite(cell) else cell


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split())
