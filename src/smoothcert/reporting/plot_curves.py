"""Plots of curves: accuracy against the radius, and what certification costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import RADIUS_STEP, Curve, HasRadius, certified_accuracy, radius_grid
from smoothcert.reporting.plot_style import legend, one_panel, plain_decades, styles

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "accuracy_curves",
    "plot_acr_versus_cost",
    "plot_certified_accuracy",
    "plot_claimed_accuracy",
    "plot_time_versus_samples",
]

_POINTS = 201  # of a curve of accuracies


def accuracy_curves(
    certificates: Mapping[str, HasRadius], y: ArrayLike
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the accuracy of each at many radii, which `plot_certified_accuracy` takes."""
    fine = np.linspace(0, radius_grid(certificates.values())[-1] + RADIUS_STEP, _POINTS)
    return {name: (fine, certified_accuracy(c, y, fine)) for name, c in certificates.items()}


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
    figure, axes = one_panel(curves, "curves")
    for (name, (radii, accuracy)), style in zip(curves.items(), styles(), strict=False):
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
    legend(figure, axes, len(curves))
    return figure


def plot_claimed_accuracy(curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Draw accuracy against the radius for radii of any guarantee, which the names of the curves should say."""
    figure = plot_certified_accuracy(curves)
    figure.axes[0].set_ylabel("share right with at least this radius")
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
    figure, axes = one_panel(curves, "curves")
    for (name, curve), style in zip(curves.items(), styles(), strict=False):
        front = curve.front()
        axes.plot(front.acr, front.cost, label=name, linewidth=1.8, markersize=6, **style)
        axes.plot(curve.acr, curve.cost, color=style["color"], marker=style["marker"], linestyle="", markersize=6)
    axes.set(xlabel="average certified radius (units of the input)", ylabel=cost_label)
    if log:
        axes.set_yscale("log")
        plain_decades(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
    legend(figure, axes, len(curves))
    return figure


def plot_time_versus_samples(seconds: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> Figure:
    """Draw certification time of one input against the number of samples N (Figure 1 of Accelerated Smoothing)."""
    figure, axes = one_panel(seconds, "seconds")
    for (name, (n, time)), style in zip(seconds.items(), styles(), strict=False):
        axes.plot(n, time, label=name, linewidth=1.8, markersize=6, **style)
    axes.set(xlabel="samples N", ylabel="seconds an input", xscale="log", yscale="log")
    legend(figure, axes, len(seconds))
    return figure
