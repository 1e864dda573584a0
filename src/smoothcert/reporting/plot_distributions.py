"""Plots of how p_A and zeta are distributed over the inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import Distribution, distribution, share_above
from smoothcert.reporting.plot_style import COLOURS, dress, new_figure, one_panel, plain_decades

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_p_a_distribution", "plot_zeta_distribution"]

_BINS = np.linspace(0.5, 1.0, 11)


def plot_p_a_distribution(p_lower: Mapping[str, ArrayLike], *, gamma: float | None = None) -> Figure:
    """Draw the distribution of the lower bounds on p_A, one panel for each name.

    Parameters
    ----------
    p_lower : mapping of str to array_like of float, shape (m,)
        Lower bounds of all inputs, abstentions included: the share below 1/2 is written into the panel.
    gamma : float, optional
        Threshold to mark, with the share of the inputs above it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        When there are no names or values, or one is not a finite number.
    MissingExtraError
        When matplotlib is not installed.

    References
    ----------
    Ugare et al., "Incremental Randomized Smoothing Certification", ICLR 2024, appendix A.7, figures 6 and 7.
    """
    figure, panels = _grid(p_lower, "p_lower")
    tallest = 0.0
    for axes, (name, values) in zip(panels, p_lower.items(), strict=True):
        d = distribution(values, _BINS)
        axes.bar(_BINS[:-1], d.fractions, np.diff(_BINS), align="edge", color=COLOURS[0], edgecolor="white")
        note = f"below 1/2: {d.below:.1%}"
        if gamma is not None:
            axes.axvline(gamma, color=COLOURS[1], linestyle="--", linewidth=1.5)
            note += f"\nabove {gamma:g}: {share_above(values, gamma):.1%}"
        axes.text(0.04, 0.95, note, transform=axes.transAxes, va="top", fontsize=9)
        axes.set_title(name, fontsize=11)
        axes.set_xlim(0.5, 1.0)
        tallest = max(tallest, float(d.fractions.max()))
    panels[0].set_ylim(0, 1.35 * tallest or 1.0)
    figure.supxlabel("lower bound on $p_A$", fontsize=11)
    figure.supylabel("share of inputs", fontsize=11)
    return figure


def plot_zeta_distribution(zeta: Mapping[str, ArrayLike]) -> Figure:
    """Draw how the upper bounds on zeta spread over the inputs, one row for each candidate.

    The box spans the middle half of the inputs, the whiskers 5 to 95 %, the line is the median and the diamond the
    mean.

    Parameters
    ----------
    zeta : mapping of str to array_like of float, shape (m,)
        Upper bounds on the disparity of each candidate; NaN, where it was not bounded, is left out.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        When there are no candidates, or one has no bound that is a finite number.
    MissingExtraError
        When matplotlib is not installed.
    """
    figure, axes = one_panel(zeta, "zeta", height=1.6 + 0.36 * len(zeta))
    for row, (name, values) in enumerate(zeta.items()):
        _draw_box(axes, row, _bounded(name, values))
    axes.set_yticks(range(len(zeta)), labels=list(zeta))
    axes.invert_yaxis()
    axes.set_xlabel(r"upper bound on $\zeta$ (box 25–75 %, whiskers 5–95 %, line median, diamond mean)")
    if axes.dataLim.x0 > 0:
        axes.set_xscale("log")
        plain_decades(axes.xaxis)
    return figure


def _grid(names: Mapping[str, Any], argument: str) -> tuple[Figure, list[Axes]]:
    columns = 2 if len(names) in (2, 4) else min(3, max(1, len(names)))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(names, argument, 1.2 + 2.8 * columns, 1.0 + 2.2 * rows)
    first = figure.add_subplot(rows, columns, 1)
    panels = [first] + [
        figure.add_subplot(rows, columns, index + 1, sharex=first, sharey=first) for index in range(1, len(names))
    ]
    for index, axes in enumerate(panels):
        dress(axes)
        axes.tick_params(labelleft=index % columns == 0, labelbottom=index + columns >= len(names))
    return figure, panels


def _bounded(name: str, values: ArrayLike) -> Distribution:
    zeta = np.asarray(values, np.float64)
    measured = zeta[~np.isnan(zeta)]
    if len(measured) == 0:
        raise InvalidArgumentError(f"zeta[{name!r}] has no bound on any input: leave this candidate out")
    return distribution(measured, [0.0, 1.0])


def _draw_box(axes: Axes, row: int, d: Distribution) -> None:
    # Axes.boxplot would import pyplot.
    low, q1, median, q3, high = d.quantiles.tolist()
    axes.hlines(row, low, high, color=COLOURS[0], linewidth=1.5, zorder=1)
    axes.vlines([low, high], row - 0.12, row + 0.12, color=COLOURS[0], linewidth=1.5)
    axes.fill_between([q1, q3], row - 0.3, row + 0.3, facecolor="#BBDDF3", edgecolor=COLOURS[0], linewidth=1.2)
    axes.vlines(median, row - 0.3, row + 0.3, color="black", linewidth=2.2, zorder=3)
    axes.plot(d.mean, row, marker="D", color=COLOURS[1], markeredgecolor="white", markersize=8, zorder=4)
