"""The usual plots: certified accuracy, ACR against cost, and how p_A and zeta are distributed.

Figures are made without pyplot, so no window, backend or global state is touched. Each name has its own colour,
line style and marker: the colours are those of Okabe and Ito, which colour-blind readers can tell apart, and the
rest holds up in print.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from itertools import chain, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from smoothcert.errors import InvalidArgumentError, import_extra
from smoothcert.evaluation import Curve, Distribution, distribution, share_above
from smoothcert.report.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "plot_acr_versus_cost",
    "plot_certified_accuracy",
    "plot_p_a_distribution",
    "plot_zeta_distribution",
    "save_figure",
]

_FIRST = "#000000"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LEGEND_INSIDE = 4
_BINS = np.linspace(0.5, 1.0, 11)


def plot_certified_accuracy(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    bands: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> Figure:
    """Draw certified accuracy against the radius.

    Between two radii the step takes the value of the larger one, so no accuracy is drawn that was not certified.

    Parameters
    ----------
    curves : mapping of str to (radii, accuracy)
        For each name, increasing radii in the units of the input and the certified accuracy at each, both of
        shape (p,).
    bands : mapping of str to (low, high), optional
        Ends of an interval around some of the curves, of their shapes, drawn as shaded bands.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        When there are no curves or a curve's lengths differ.
    MissingExtraError
        When matplotlib is not installed.
    """
    figure, axes = _one_panel(curves, "curves")
    for (name, (radii, accuracy)), style in zip(curves.items(), _styles(), strict=False):
        r, a = np.asarray(radii, np.float64), np.asarray(accuracy, np.float64)
        if r.ndim != 1 or r.shape != a.shape:
            raise InvalidArgumentError(
                f"curves[{name!r}] has {r.shape} radii and {a.shape} accuracies: give one accuracy for each radius"
            )
        axes.step(r, a, where="pre", label=name, color=style["color"], linestyle=style["linestyle"], linewidth=1.6)
        if bands is not None and name in bands:
            axes.fill_between(r, *bands[name], step="pre", color=style["color"], alpha=0.12, linewidth=0)
    axes.set(xlabel="L2 radius (units of the input)", ylabel="certified accuracy")
    axes.set_xlim(0, axes.dataLim.x1 or 1.0)
    axes.set_ylim(0, min(1.02, math.ceil(axes.dataLim.y1 * 10 + 0.5) / 10) or 1.0)
    _legend(figure, axes, len(curves))
    return figure


def plot_acr_versus_cost(curves: Mapping[str, Curve], *, cost_label: str, log: bool = False) -> Figure:
    """Draw the cost of certification against the ACR it reaches, lower and further right being better.

    All points are drawn; the line follows the front that speedups are computed on.

    Parameters
    ----------
    curves : mapping of str to Curve
        One curve for each procedure or candidate.
    cost_label : str
        What the cost is, with its unit, such as ``"certification time (s)"``.
    log : bool, default False
        Whether the cost axis is logarithmic.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        When there are no curves.
    MissingExtraError
        When matplotlib is not installed.

    References
    ----------
    Ugare et al., "Incremental Randomized Smoothing Certification", ICLR 2024, figure 3.
    """
    figure, axes = _one_panel(curves, "curves")
    for (name, curve), style in zip(curves.items(), _styles(), strict=False):
        front = curve.front()
        axes.plot(front.acr, front.cost, label=name, linewidth=1.8, markersize=6, **style)
        axes.plot(curve.acr, curve.cost, color=style["color"], marker=style["marker"], linestyle="", markersize=6)
    axes.set(xlabel="average certified radius (units of the input)", ylabel=cost_label)
    if log:
        axes.set_yscale("log")
        _plain_decades(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
    _legend(figure, axes, len(curves))
    return figure


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
        axes.bar(_BINS[:-1], d.fractions, np.diff(_BINS), align="edge", color=_COLOURS[0], edgecolor="white")
        note = f"below 1/2: {d.below:.1%}"
        if gamma is not None:
            axes.axvline(gamma, color=_COLOURS[1], linestyle="--", linewidth=1.5)
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
    figure, axes = _one_panel(zeta, "zeta", height=1.6 + 0.36 * len(zeta))
    for row, (name, values) in enumerate(zeta.items()):
        _draw_box(axes, row, _bounded(name, values))
    axes.set_yticks(range(len(zeta)), labels=list(zeta))
    axes.invert_yaxis()
    axes.set_xlabel(r"upper bound on $\zeta$ (box 25–75 %, whiskers 5–95 %, line median, diamond mean)")
    if axes.dataLim.x0 > 0:
        axes.set_xscale("log")
        _plain_decades(axes.xaxis)
    return figure


def save_figure(figure: Figure, path_stem: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write a figure as PNG (150 dots per inch) and SVG; the same figure gives the same files.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path_stem : path-like
        Path without suffix; what follows a dot in it is kept.

    Returns
    -------
    png, svg : Path
        The files written.
    """
    matplotlib = import_extra("matplotlib", "report")
    stem = Path(path_stem)
    png, svg = stem.with_name(stem.name + ".png"), stem.with_name(stem.name + ".svg")
    with replacing(png) as file:
        figure.savefig(file, format="png", dpi=150)
    # Without a salt the SVG's ids, and without this the date, would differ from run to run.
    with replacing(svg) as file, matplotlib.rc_context({"svg.hashsalt": "smoothcert"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return png, svg


def _one_panel(names: Mapping[str, Any], argument: str, height: float = 4.2) -> tuple[Figure, Axes]:
    figure = _figure(names, argument, 7.2 if len(names) <= _LEGEND_INSIDE else 8.4, height)
    axes = figure.add_subplot()
    _dress(axes)
    return figure, axes


def _grid(names: Mapping[str, Any], argument: str) -> tuple[Figure, list[Axes]]:
    columns = 2 if len(names) in (2, 4) else min(3, max(1, len(names)))
    rows = math.ceil(len(names) / columns)
    figure = _figure(names, argument, 1.2 + 2.8 * columns, 1.0 + 2.2 * rows)
    first = figure.add_subplot(rows, columns, 1)
    panels = [first] + [
        figure.add_subplot(rows, columns, index + 1, sharex=first, sharey=first) for index in range(1, len(names))
    ]
    for index, axes in enumerate(panels):
        _dress(axes)
        axes.tick_params(labelleft=index % columns == 0, labelbottom=index + columns >= len(names))
    return figure, panels


def _figure(names: Mapping[str, Any], argument: str, width: float, height: float) -> Figure:
    if not names:
        raise InvalidArgumentError(f"{argument} is empty: give at least one name with its values")
    figure: Figure = import_extra("matplotlib.figure", "report").Figure(
        figsize=(width, height), layout="constrained"
    )
    return figure


def _dress(axes: Axes) -> None:
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10)
    axes.xaxis.label.set_fontsize(11)
    axes.yaxis.label.set_fontsize(11)


def _legend(figure: Figure, axes: Axes, names: int) -> None:
    if names <= _LEGEND_INSIDE:
        axes.legend(fontsize=10, frameon=False)
    else:
        figure.legend(loc="outside right upper", fontsize=10, frameon=False, handlelength=3)


def _styles() -> Iterator[dict[str, Any]]:
    """Yield endless styles: the first, usually the base, is the only one in black; the others repeat after 90."""
    colours = chain((_FIRST,), cycle(_COLOURS))
    for colour, line, marker in zip(colours, cycle(_LINES), cycle(_MARKERS), strict=False):
        yield {"color": colour, "linestyle": line, "marker": marker}


def _bounded(name: str, values: ArrayLike) -> Distribution:
    zeta = np.asarray(values, np.float64)
    measured = zeta[~np.isnan(zeta)]
    if len(measured) == 0:
        raise InvalidArgumentError(f"zeta[{name!r}] has no bound on any input: leave this candidate out")
    return distribution(measured, [0.0, 1.0])


def _draw_box(axes: Axes, row: int, d: Distribution) -> None:
    # Axes.boxplot would import pyplot.
    low, q1, median, q3, high = d.quantiles.tolist()
    axes.hlines(row, low, high, color=_COLOURS[0], linewidth=1.5, zorder=1)
    axes.vlines([low, high], row - 0.12, row + 0.12, color=_COLOURS[0], linewidth=1.5)
    axes.fill_between([q1, q3], row - 0.3, row + 0.3, facecolor="#BBDDF3", edgecolor=_COLOURS[0], linewidth=1.2)
    axes.vlines(median, row - 0.3, row + 0.3, color="black", linewidth=2.2, zorder=3)
    axes.plot(d.mean, row, marker="D", color=_COLOURS[1], markeredgecolor="white", markersize=8, zorder=4)


def _plain_decades(axis: Axis) -> None:
    """Label a logarithmic axis 0.01, 0.02, 0.05, 0.1 instead of in powers of ten."""
    ticker = import_extra("matplotlib.ticker", "report")
    low, high = axis.get_view_interval()
    # Between 210 and 480 there is neither a 1, a 2 nor a 5: short spans get evenly spaced labels.
    axis.set_major_locator(ticker.AutoLocator() if high < 8 * low else ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_locator(ticker.NullLocator())
