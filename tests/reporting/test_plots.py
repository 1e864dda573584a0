from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import Curve
from smoothcert.reporting import (
    plot_acr_versus_cost,
    plot_certified_accuracy,
    plot_p_a_distribution,
    plot_zeta_distribution,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("base", "fp16", "bf16", "int8", "int8 static", "prune 5 %", "prune 10 %", "prune 20 %", "prune global")
P_LOWER = np.array([0.3, 0.45, 0.55, 0.7, 0.8, 0.95, 0.992, 0.999])


def only(figure: Figure) -> Axes:
    assert len(figure.axes) == 1
    return figure.axes[0]


def legend_texts(figure: Figure) -> list[str]:
    legend = figure.legends[0] if figure.legends else only(figure).get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_nine_candidates_look_different_and_their_legend_is_outside() -> None:
    radii = np.linspace(0, 1, 11)
    figure = plot_certified_accuracy(dict.fromkeys(NAMES, (radii, 0.6 - 0.5 * radii)))
    looks = {(str(line.get_color()), str(line.get_linestyle())) for line in only(figure).lines}
    assert len(looks) == len(NAMES)
    assert sum(line.get_color() == "#000000" for line in only(figure).lines) == 1
    assert only(figure).get_legend() is None
    assert legend_texts(figure) == list(NAMES)


def test_certified_accuracy_is_drawn_from_below() -> None:
    figure = plot_certified_accuracy({"base": ([0.0, 0.5, 1.0], [0.8, 0.6, 0.1])})
    line = only(figure).lines[0]
    assert line.get_drawstyle() == "steps-pre"
    np.testing.assert_array_equal(line.get_ydata(), [0.8, 0.6, 0.1])


def test_acr_plot_draws_all_points_and_a_line_through_the_front() -> None:
    curve = Curve([0.5, 0.48, 0.6], [10, 20, 30])
    axes = only(plot_acr_versus_cost({"irs": curve}, cost_label="time (s)"))
    line, points = axes.lines
    np.testing.assert_array_equal(line.get_xdata(), [0.5, 0.6])
    np.testing.assert_array_equal(points.get_xdata(), curve.acr)
    assert points.get_linestyle() == "None"
    assert (axes.get_ylabel(), axes.get_yscale(), axes.get_ylim()[0]) == ("time (s)", "linear", 0)


@pytest.mark.parametrize("costs", [[210, 480], [10, 20_000]])
def test_a_logarithmic_cost_axis_has_plain_labels(costs: list[float]) -> None:
    figure = plot_acr_versus_cost({"irs": Curve([0.5, 0.6], costs)}, cost_label="samples", log=True)
    axes = only(figure)
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    shown = [
        text.get_text()
        for text, at in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
        if low <= at <= high
    ]
    assert axes.get_yscale() == "log"
    assert len(shown) >= 2
    assert all(text.replace(",", "").isdigit() for text in shown)


def test_p_a_panels_say_what_lies_outside() -> None:
    figure = plot_p_a_distribution(dict.fromkeys(NAMES, P_LOWER), gamma=0.99)
    assert [axes.get_title() for axes in figure.axes] == list(NAMES)
    assert figure.axes[0].texts[0].get_text() == "below 1/2: 25.0%\nabove 0.99: 25.0%"
    heights = [patch.get_height() for patch in figure.axes[0].patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(heights, np.array([0, 1, 0, 0, 1, 0, 1, 0, 0, 3]) / 8)


def test_p_a_panels_without_gamma_or_mass() -> None:
    figure = plot_p_a_distribution({"base": [0.1, 0.2]})
    assert figure.axes[0].texts[0].get_text() == "below 1/2: 100.0%"


def test_zeta_rows_leave_unbounded_inputs_out() -> None:
    axes = only(plot_zeta_distribution({"fp16": [0.001, np.nan, 0.003], "int8": [0.01, 0.02, 0.03]}))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fp16", "int8"]
    assert axes.lines[0].get_xdata() == pytest.approx(0.002)
    assert axes.get_xscale() == "log"
    assert only(plot_zeta_distribution({"same": [0.0, 0.0]})).get_xscale() == "linear"


def test_figures_are_written_twice_the_same(tmp_path: Path) -> None:
    def draw(folder: str) -> tuple[Path, Path]:
        return save_figure(plot_zeta_distribution({"int8": [0.01, 0.02]}), tmp_path / folder / "zeta_0.50")

    (png, svg), (png_again, svg_again) = draw("a"), draw("b")
    assert sorted(path.name for path in png.parent.iterdir()) == ["zeta_0.50.png", "zeta_0.50.svg"]
    assert png.read_bytes() == png_again.read_bytes()
    assert svg.read_bytes() == svg_again.read_bytes()
    assert png.read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in svg.read_bytes()


def test_pyplot_is_never_imported() -> None:
    program = (
        "import sys\n"
        "from smoothcert.reporting import plot_acr_versus_cost, plot_certified_accuracy, plot_p_a_distribution\n"
        "from smoothcert.reporting import plot_zeta_distribution, write_csv\n"
        "from smoothcert.evaluation import Curve\n"
        "assert 'matplotlib' not in sys.modules and 'pyarrow' not in sys.modules and 'torch' not in sys.modules\n"
        "figures = [plot_certified_accuracy({'a': ([0, 1], [1, 0])}), plot_zeta_distribution({'a': [0.1, 0.2]}),\n"
        "           plot_acr_versus_cost({'a': Curve([1, 2], [1, 2])}, cost_label='s', log=True),\n"
        "           plot_p_a_distribution({'a': [0.6], 'b': [0.7]}, gamma=0.99)]\n"
        "[figure.draw_without_rendering() for figure in figures]\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


@pytest.mark.parametrize(
    ("draw", "values", "message"),
    [
        (plot_certified_accuracy, {}, "curves is empty"),
        (plot_certified_accuracy, {"a": ([0, 1], [1])}, r"curves\['a'\] has \(2,\) radii and \(1,\) accuracies"),
        (lambda curves: plot_acr_versus_cost(curves, cost_label="s"), {}, "curves is empty"),
        (plot_p_a_distribution, {}, "p_lower is empty"),
        (plot_p_a_distribution, {"a": [np.nan]}, "contains nan"),
        (plot_zeta_distribution, {}, "zeta is empty"),
        (plot_zeta_distribution, {"a": [np.nan]}, r"zeta\['a'\] has no bound"),
    ],
)
def test_arguments_are_checked(draw: Any, values: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        draw(values)
