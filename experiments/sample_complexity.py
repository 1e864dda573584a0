"""Samples needed to estimate a probability to a target error: Figures 2 and 4 of the incremental paper.

A disparity near 0 takes far fewer samples than a class probability near 1/2, which is why it can be cheaper to
compare a classifier with its base than to certify it from scratch. Figure 2 uses the exact interval of Clopper and
Pearson, Figure 4 those of Agresti and Coull and of Wilson.

    python experiments/sample_complexity.py --out runs/figures
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sample_sizes import IntervalMethod, samples_for_error

from smoothcert.errors import import_extra
from smoothcert.reporting import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALPHA = 0.01
TARGET_ERRORS = (0.005, 0.0075, 0.01)
PROBABILITIES = np.linspace(0, 1, 201)
TITLES: dict[IntervalMethod, str] = {
    "clopper-pearson": "Clopper and Pearson",
    "agresti-coull": "Agresti and Coull",
    "wilson": "Wilson",
}
STYLES = (("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."))


def draw(methods: tuple[IntervalMethod, ...]) -> Figure:
    """Draw one panel per method: samples against the probability, one line per target error."""
    figure: Figure = import_extra("matplotlib.figure", "report").Figure(
        figsize=(5.2 * len(methods), 4.0), layout="constrained"
    )
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    for axes, method in zip(panels, methods, strict=True):
        draw_panel(axes, method)
    panels[0].set_ylabel("samples (thousands)")
    figure.suptitle("Samples to estimate a probability to a target error")
    figure.legend(
        handles=panels[0].get_lines(),
        title=f"target error χ: width of the interval, each side at α = {ALPHA:g}",
        loc="outside lower center",
        ncols=len(TARGET_ERRORS),
        frameon=False,
    )
    return figure


def draw_panel(axes: Axes, method: IntervalMethod) -> None:
    """Draw the lines of one method."""
    for chi, (colour, line) in zip(TARGET_ERRORS, STYLES, strict=True):
        samples = samples_for_error(PROBABILITIES, chi, ALPHA, method=method)
        axes.plot(PROBABILITIES, samples / 1000, color=colour, linestyle=line, label=f"χ = {100 * chi:g} %")
    axes.set_title(f"Interval of {TITLES[method]}", fontsize="medium")
    axes.set_xlabel("true probability")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 250)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def mark_printed_numbers(axes: Axes) -> None:
    """Point at the two numbers that the paper prints."""
    for p, place in ((0.05, (0.22, 115)), (0.5, (0.5, 230))):
        n = int(samples_for_error(p, TARGET_ERRORS[0], ALPHA))
        axes.plot(p, n / 1000, "o", color=STYLES[0][0], markersize=5)
        axes.annotate(
            f"{round(n, -2):,} at {p:g}",
            (p, n / 1000),
            place,
            ha="left" if p < 0.5 else "center",
            va="center",
            arrowprops={"arrowstyle": "-", "color": "0.4", "linewidth": 0.8},
        )


def write_numbers(path: Path) -> None:
    """Write what the figures show, one row per method, target error and probability."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "chi", "alpha", "p", "samples"])
        for method in TITLES:
            for chi in TARGET_ERRORS:
                samples = samples_for_error(PROBABILITIES, chi, ALPHA, method=method)
                for p, n in zip(PROBABILITIES.tolist(), samples.tolist(), strict=True):
                    writer.writerow([method, chi, ALPHA, f"{p:g}", n])


def main() -> None:
    """Write both figures and their numbers, and print the two that the paper prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/figures"))
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    figure2 = draw(("clopper-pearson",))
    mark_printed_numbers(figure2.axes[0])
    written = [*save_figure(figure2, out / "figure2_sample_complexity")]
    written += save_figure(draw(("agresti-coull", "wilson")), out / "figure4_sample_complexity")
    write_numbers(out / "sample_complexity.csv")

    near_zero, at_half = samples_for_error([0.05, 0.5], TARGET_ERRORS[0], ALPHA)
    print(
        f"chi {TARGET_ERRORS[0]:.1%}, alpha {ALPHA:g}: {near_zero:,} samples at p = 0.05, "
        f"{at_half:,} at p = 0.5, {at_half / near_zero:.2f} times as many (paper: 41,500, 216,900, 5.22)"
    )
    for path in (*written, out / "sample_complexity.csv"):
        print(path)


if __name__ == "__main__":
    main()
