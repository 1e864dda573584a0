r"""Remake Tables I to VI and Figures 1 and 3 of "Accelerated Smoothing" from a run, beside what the paper prints.

Beyond the paper: what calibration costs in radius and whether it keeps its promise over 200 random splits, and
guided certification beside one n for all. The run is made by commands, each of which continues when interrupted;
for CIFAR-10 at sigma 0.5 on two cores, with a training set of 5,000 images and n = 500:

    D="--data cifar10 --sigma 0.5"
    smoothcert surrogate votes MODEL $D --skip 5 --limit 5000 --n 500 --out runs/votes
    smoothcert surrogate fit runs/votes --arch resnet20 --recipe fast --out runs/scratch_js
    smoothcert surrogate fit runs/votes --arch resnet20 --recipe paper --out runs/scratch_200
    F="--arch resnet20 --recipe fast --start-from MODEL --epochs 20"
    smoothcert surrogate fit runs/votes $F --learning-rate 0.001 --out runs/start_js
    smoothcert surrogate fit runs/votes $F --learning-rate 0.002 --loss cross-entropy --out runs/start_ce
    smoothcert surrogate votes MODEL $D --skip 5 --limit 10000 --n 500 --out runs/votes_10000
    smoothcert surrogate fit runs/votes_10000 $F --learning-rate 0.001 --out runs/start_js_10000
    smoothcert surrogate votes MODEL $D --split test --skip 5 --limit 1000 --n 1000 --out runs/calibration
    smoothcert certify MODEL $D --skip 50 --n 100000 --cache runs/base
    python benchmarks/surrogate_speed.py MODEL --data cifar10 --surrogate runs/start_js --measured 100000 \
        --rounds 1 --out runs/speed.json
    python experiments/accelerated_smoothing.py --surrogate start_js=runs/start_js \
        --surrogate start_ce=runs/start_ce --surrogate scratch_js=runs/scratch_js \
        --surrogate scratch_200=runs/scratch_200 --surrogate start_js_10000=runs/start_js_10000 \
        --cache runs/base --calibration runs/calibration --speed runs/speed.json --out runs/accelerated
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import accelerated_smoothing_printed as printed
import numpy as np
from calibration_study import study_calibration, study_table

import smoothcert as sc
from smoothcert.cli.workspace import open_labels
from smoothcert.evaluation import (
    SurrogateEvaluation,
    average_certified_radius,
    certified_accuracy,
    evaluate_surrogate,
)
from smoothcert.noise import input_keys
from smoothcert.reporting import Column, Table, save_figure, to_rich, write_csv
from smoothcert.reporting.plot_curves import plot_claimed_accuracy, plot_time_versus_samples
from smoothcert.surrogate import VoteData, read_votes
from smoothcert.surrogate.inputs import Rows

MISS = BETA = 0.1
Evaluations = dict[str, SurrogateEvaluation]


def table_1(evaluations: Evaluations) -> Table:
    """Return certified accuracy and ACR by method; a radius that is not certified says what it is."""
    rows: list[tuple[Any, ...]] = []
    for name, evaluation in evaluations.items():
        for method, c in evaluation.certificates.items():
            if method.startswith("sampling") and rows and name != next(iter(evaluations)):
                continue
            who = method if method.startswith("sampling") else f"{name}: {method}"
            accuracy = certified_accuracy(c, evaluation.y, printed.RADII)
            rows.append(
                (who, c.guarantee, *(100 * float(a) for a in accuracy), average_certified_radius(c, evaluation.y))
            )
    rows += [
        (f"paper, CIFAR-10: {who}", "", *numbers)
        for who, numbers in printed.TABLE_1.get(_sigma(evaluations), {}).items()
    ]
    columns = (
        Column("radius by"),
        Column("guarantee"),
        *(Column(f"% at {r}", 1) for r in printed.RADII),
        Column("ACR", 3, "lower"),
    )
    return Table(f"Table I, {_inputs(evaluations)}, sigma = {_sigma(evaluations)}", columns, tuple(rows))


def table_2(speed: dict[str, Any]) -> Table:
    """Milliseconds of one input by N."""
    n = [row["N"] for row in speed["single"]]
    rows = [
        ("CERTIFY", *(1000 * row["certify_s"] for row in speed["single"])),
        ("surrogate, n0 = 100", *(1000 * row["surrogate_s"] for row in speed["single"])),
        ("surrogate, n0 = 0", *(1000 * row["surrogate_n0_0_s"] for row in speed["single"])),
        *(
            (f"paper, CIFAR-10: {who}", *(float(times[size]) for size in n))
            for who, times in printed.TABLE_2.items()
        ),
    ]
    return Table(
        "Table II, milliseconds an input", (Column("by"), *(Column(f"N = {size}", 1) for size in n)), tuple(rows)
    )


def table_6(evaluations: Evaluations) -> Table:
    """Under- and overestimation; the first two columns of each are Table III."""
    rows: list[tuple[Any, ...]] = []
    for name, evaluation in evaluations.items():
        for kind, side in (("under", evaluation.errors.under), ("over", evaluation.errors.over)):
            share = 100 * side.share
            rows.append(
                (name, kind, side.percentage_error, side.mean_radius, share, side.mean_error, side.error_variance)
            )
    for name, sides in printed.TABLE_6.get(_sigma(evaluations), {}).items():
        rows += [
            (f"paper, CIFAR-10: {name}", kind, *side) for kind, side in zip(("under", "over"), sides, strict=True)
        ]
    columns = (
        Column("surrogate"),
        Column("estimation"),
        Column("percentage error", 1),
        Column("ground-truth ACR", 3),
        Column("% of inputs", 1),
        Column("mean error", 3),
        Column("error variance", 4),
    )
    return Table("Tables III and VI, radii of at least 0.25", columns, tuple(rows))


def table_4(evaluations: Evaluations) -> Table:
    """Return the sampling variance class by class for N = 100,000, and its mean in percent (Table V)."""
    variance = next(iter(evaluations.values())).variance
    rows: list[tuple[Any, ...]] = [("this run", *(100_000 * variance).tolist(), 100 * float(variance.mean()))]
    sigma = _sigma(evaluations)
    if sigma in printed.TABLE_4 and len(variance) == len(printed.TABLE_4[sigma]):
        rows.append(("paper, CIFAR-10", *printed.TABLE_4[sigma], printed.TABLE_5[sigma]))
    columns = (Column("by"), *(Column(f"class {c}", 0) for c in range(len(variance))), Column("mean (%)", 3))
    return Table("Tables IV and V, variance of the counts", columns, tuple(rows))


def guided_table(evaluations: Evaluations) -> Table:
    """ACR of guided certification and of one n for all, by samples."""
    first = next(iter(evaluations.values())).guided
    rows = [
        (
            p.n,
            p.uniform,
            *(acr for e in evaluations.values() for acr in (e.guided[i].guided, e.guided[i].unselected)),
        )
        for i, p in enumerate(first)
    ]
    columns = (
        Column("samples an input"),
        Column("one n for all", 4, "lower"),
        *(
            Column(f"guided by {name}{classes}", 4, "lower")
            for name in evaluations
            for classes in ("", ", n0 = 0")
        ),
    )
    return Table("certified ACR for the same samples", columns, tuple(rows))


def studies(surrogates: dict[str, sc.Surrogate], data: VoteData) -> Table:
    """Whether calibrations keep their promise over random splits, and the mean radius that they leave."""
    found = {
        f"{name}, {groups} group{'s' * (groups > 1)}{', learned error' * scaled}": study_calibration(
            surrogate, data, miss=MISS, beta=BETA, groups=groups, scaled=scaled
        )
        for name, surrogate in surrogates.items()
        for groups in (1, 3)
        for scaled in (False, True)
    }
    return study_table(found)


def without(data: VoteData, keys: set[bytes]) -> VoteData:
    """Leave out inputs, by key."""
    rows = np.flatnonzero([key not in keys for key in data.keys])
    return VoteData(
        manifest=data.manifest,
        inputs=Rows(data.inputs, rows),
        keys=[data.keys[i] for i in rows],
        counts=data.counts[rows],
    )


def main() -> None:
    """Evaluate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--surrogate", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument(
        "--cache", type=Path, required=True, help="votes of certify, on inputs new to the surrogates"
    )
    parser.add_argument("--calibration", type=Path, help="votes of other inputs, to calibrate on")
    parser.add_argument("--speed", type=Path, help="what benchmarks/surrogate_speed.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    a = parser.parse_args()
    surrogates = {name: sc.load_surrogate(path) for name, _, path in (s.partition("=") for s in a.surrogate)}
    base = open_labels(a.cache, data=None)
    tables: dict[str, Table] = {}
    calibrations: dict[str, Any] = {}
    if a.calibration is not None:
        data = read_votes(a.calibration, open_labels(a.calibration, data=None).inputs)
        rest = without(data, set(input_keys(base.inputs)))
        calibrations = {
            name: sc.calibrate_surrogate(surrogate, rest, miss=MISS, beta=BETA)
            for name, surrogate in surrogates.items()
        }
        tables["calibration"] = studies(surrogates, data)
    evaluations = {
        name: evaluate_surrogate(surrogate, a.cache, base.inputs, base.labels, calibration=calibrations.get(name))
        for name, surrogate in surrogates.items()
    }
    tables |= {"table1": table_1(evaluations), "table3_6": table_6(evaluations), "table4_5": table_4(evaluations)}
    tables["guided"] = guided_table(evaluations)
    a.out.mkdir(parents=True, exist_ok=True)
    if a.speed is not None:
        speed = json.loads(a.speed.read_text())
        tables["table2"] = table_2(speed)
        save_figure(figure_1(speed), a.out / "figure1")
    save_figure(figure_3(evaluations), a.out / "figure3")
    for stem, table in sorted(tables.items()):
        write_csv(a.out / f"{stem}.csv", table)
        _show(table)


def figure_1(speed: dict[str, Any]) -> Any:
    """Seconds of one input against N."""
    n = [row["N"] for row in speed["single"]]
    return plot_time_versus_samples(
        {
            "CERTIFY": (n, [row["certify_s"] for row in speed["single"]]),
            "surrogate, n0 = 100": (n, [row["surrogate_s"] for row in speed["single"]]),
            "surrogate, n0 = 0": (n, [row["surrogate_n0_0_s"] for row in speed["single"]]),
        }
    )


def figure_3(evaluations: Evaluations) -> Any:
    """Certified accuracy against the radius: sampling with few and many samples, and the surrogates."""
    curves = {}
    for name, evaluation in evaluations.items():
        largest = max(float(c.radius.max()) for c in evaluation.certificates.values())
        fine = np.linspace(0, largest + 0.1, 200)
        for method, c in evaluation.certificates.items():
            who = method if method.startswith("sampling") else f"{name}: {method}"
            label = f"{who} ({c.guarantee})"
            if not method.endswith("n0 = 0"):
                curves[label] = (fine, certified_accuracy(c, evaluation.y, fine))
    return plot_claimed_accuracy(curves)


def _sigma(evaluations: Evaluations) -> float:
    return next(iter(next(iter(evaluations.values())).certificates.values())).sigma


def _inputs(evaluations: Evaluations) -> str:
    return f"{len(next(iter(evaluations.values())).y)} inputs"


def _show(table: Table) -> None:
    from rich.console import Console

    Console(highlight=False, width=200).print(to_rich(table))


if __name__ == "__main__":
    main()
