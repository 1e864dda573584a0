"""A surrogate's evaluation as tables, JSON, files and plots; each radius beside its guarantee."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smoothcert.evaluation import (
    Curve,
    SurrogateEvaluation,
    average_certified_radius,
    certified_accuracy,
    radius_grid,
)
from smoothcert.reporting.files import make_folder
from smoothcert.reporting.plot_curves import accuracy_curves, plot_acr_versus_cost, plot_claimed_accuracy
from smoothcert.reporting.plot_style import save_figure
from smoothcert.reporting.tables import Column, Table, json_rows, write_certificates, write_csv

__all__ = [
    "accuracy_table",
    "errors_table",
    "evaluation_json",
    "evaluation_tables",
    "guided_table",
    "variance_table",
    "write_evaluation",
]


def evaluation_tables(evaluation: SurrogateEvaluation) -> dict[str, Table]:
    """Return the tables of an evaluation by their names in JSON and in files."""
    return {
        "accuracy": accuracy_table(evaluation),
        "errors": errors_table(evaluation),
        "variance": variance_table(evaluation),
        "guided": guided_table(evaluation),
    }


def accuracy_table(evaluation: SurrogateEvaluation, radii: Sequence[float] | None = None) -> Table:
    """Return accuracy and ACR of each method, with the guarantee of its radii (Table I)."""
    certificates = evaluation.certificates
    chosen = radius_grid(certificates.values()) if radii is None else np.asarray(radii, np.float64)
    rows: list[tuple[Any, ...]] = [
        (
            name,
            c.guarantee,
            *(float(a) for a in certified_accuracy(c, evaluation.y, chosen)),
            average_certified_radius(c, evaluation.y),
            1 - float(c.certified.mean()),
        )
        for name, c in certificates.items()
    ]
    columns = (
        Column("radius by"),
        Column("guarantee"),
        *(Column(f"accuracy at {r:g}", 3, "lower") for r in chosen),
        Column("ACR", 4, "lower"),
        Column("abstained", 3),
    )
    sigma = next(iter(certificates.values())).sigma
    title = f"{len(evaluation.y)} inputs, sigma = {sigma:g}, class agreement {evaluation.agreement:.3f}"
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


def evaluation_json(evaluation: SurrogateEvaluation) -> dict[str, Any]:
    """Return an evaluation as a dictionary that JSON can hold: the rows of its tables, and how many inputs."""
    tables = {name: json_rows(table) for name, table in evaluation_tables(evaluation).items()}
    return {"inputs": len(evaluation.y), "left_out": evaluation.left_out, **tables}


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
    make_folder(out)
    written = [write_csv(out / f"{stem}.csv", table) for stem, table in evaluation_tables(evaluation).items()]
    written += [
        write_certificates(out / f"radii-{c.guarantee}-{_slug(name)}.csv", c, evaluation.y)
        for name, c in evaluation.certificates.items()
    ]
    labelled = {f"{name} ({c.guarantee})": c for name, c in evaluation.certificates.items()}
    written += save_figure(plot_claimed_accuracy(accuracy_curves(labelled, evaluation.y)), out / "accuracy")
    points = evaluation.guided
    guided = {
        "one n for all": Curve([p.uniform for p in points], [float(p.n) for p in points]),
        "guided": Curve([p.guided for p in points], [p.samples / len(evaluation.y) for p in points]),
    }
    written += save_figure(plot_acr_versus_cost(guided, cost_label="samples an input", log=True), out / "guided")
    return written


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name).split())
