"""Plots of radii that are not all certified, and of what certification costs in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from smoothcert.report.plots import _legend, _one_panel, _styles, plot_certified_accuracy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_claimed_accuracy", "plot_time_versus_samples"]


def plot_claimed_accuracy(curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Draw accuracy against the radius for radii of any guarantee, which the names of the curves should say.

    Parameters
    ----------
    curves : mapping of str to (radii, accuracy)
        As for `plot_certified_accuracy`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        When there are no curves, or their lengths differ.
    MissingExtraError
        When matplotlib is not installed.
    """
    figure = plot_certified_accuracy(curves)
    figure.axes[0].set_ylabel("share right with at least this radius")
    return figure


def plot_time_versus_samples(seconds: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> Figure:
    """Draw certification time of one input against the number of samples N (Figure 1).

    Parameters
    ----------
    seconds : mapping of str to (samples, seconds)
        For each method, the numbers of samples and the seconds that an input takes with each.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        When there are no methods.
    MissingExtraError
        When matplotlib is not installed.
    """
    figure, axes = _one_panel(seconds, "seconds")
    for (name, (n, time)), style in zip(seconds.items(), _styles(), strict=False):
        axes.plot(n, time, label=name, linewidth=1.8, markersize=6, **style)
    axes.set(xlabel="samples N", ylabel="seconds an input", xscale="log", yscale="log")
    _legend(figure, axes, len(seconds))
    return figure
