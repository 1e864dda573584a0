"""What all plots share: colours, axes, legends, and how a figure becomes files.

Figures are made without pyplot, so no window, backend or global state is touched. Each name has its own colour,
line style and marker: the colours are those of Okabe and Ito, which colour-blind readers can tell apart, and the
rest holds up in print.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smoothcert.errors import InvalidArgumentError, import_extra
from smoothcert.reporting.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "dress", "legend", "new_figure", "one_panel", "plain_decades", "save_figure", "styles"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")

_FIRST = "#000000"
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LEGEND_INSIDE = 4


def one_panel(names: Mapping[str, Any], argument: str, height: float = 4.2) -> tuple[Figure, Axes]:
    """Return a figure with one panel for these names."""
    figure = new_figure(names, argument, 7.2 if len(names) <= _LEGEND_INSIDE else 8.4, height)
    axes = figure.add_subplot()
    dress(axes)
    return figure, axes


def new_figure(names: Mapping[str, Any], argument: str, width: float, height: float) -> Figure:
    """Return an empty figure, when there is something to draw."""
    if not names:
        raise InvalidArgumentError(f"{argument} is empty: give at least one name with its values")
    figure: Figure = import_extra("matplotlib.figure", "report").Figure(
        figsize=(width, height), layout="constrained"
    )
    return figure


def dress(axes: Axes) -> None:
    """Give axes the grid, spines and font sizes of all plots."""
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10)
    axes.xaxis.label.set_fontsize(11)
    axes.yaxis.label.set_fontsize(11)


def legend(figure: Figure, axes: Axes, names: int) -> None:
    """Add a legend: inside for a few names, beside the axes for more."""
    if names <= _LEGEND_INSIDE:
        axes.legend(fontsize=10, frameon=False)
    else:
        figure.legend(loc="outside right upper", fontsize=10, frameon=False, handlelength=3)


def styles() -> Iterator[dict[str, Any]]:
    """Yield endless styles: the first, usually the base, is the only one in black; the others repeat after 90."""
    colours = chain((_FIRST,), cycle(COLOURS))
    for colour, line, marker in zip(colours, cycle(_LINES), cycle(_MARKERS), strict=False):
        yield {"color": colour, "linestyle": line, "marker": marker}


def plain_decades(axis: Axis) -> None:
    """Label a logarithmic axis 0.01, 0.02, 0.05, 0.1 instead of in powers of ten."""
    ticker = import_extra("matplotlib.ticker", "report")
    low, high = axis.get_view_interval()
    # Between 210 and 480 there is neither a 1, a 2 nor a 5: short spans get evenly spaced labels.
    axis.set_major_locator(ticker.AutoLocator() if high < 8 * low else ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.set_minor_locator(ticker.NullLocator())


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
