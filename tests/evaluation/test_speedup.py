from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import (
    Curve,
    area_speedup,
    common_range,
    cost_at,
    pointwise_speedup,
    reach,
)

curves = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 1000)), min_size=1, max_size=12).map(
    lambda points: Curve([acr / 50 for acr, _ in points], [cost for _, cost in points])
)


def test_a_case_by_hand() -> None:
    # Baseline: 10 at 0, 20 at 1, 50 at 2. Incremental: 5 at 0.5, 15 at 2.5, so 5 + 5 (a - 0.5).
    baseline = Curve([0.0, 1.0, 2.0], [10, 20, 50])
    incremental = Curve([0.5, 2.5], [5, 15])
    assert common_range(baseline, incremental) == (0.5, 2.0)
    # Over [0.5, 2]: baseline (15 + 20) / 2 * 0.5 + (20 + 50) / 2 * 1 = 43.75; incremental (5 + 12.5) / 2 * 1.5.
    assert area_speedup(baseline, incremental) == pytest.approx(43.75 / 13.125)
    # At 0.5, 1.25 and 2: 15 / 5, 27.5 / 8.75, 50 / 12.5.
    assert pointwise_speedup(baseline, incremental, points=3) == pytest.approx((3 + 27.5 / 8.75 + 4) / 3)


def test_the_two_averages_differ_where_the_ratio_does() -> None:
    # Costs 8 a - 7 and a on [1, 2]: areas 5 and 3/2, but the integral of the ratio is 8 - 7 log 2.
    baseline = Curve([1, 2], [1, 9])
    incremental = Curve([1, 2], [1, 2])
    assert area_speedup(baseline, incremental) == pytest.approx(5 / 1.5)
    exact = 8 - 7 * math.log(2)
    assert pointwise_speedup(baseline, incremental, points=20_001) == pytest.approx(exact, rel=1e-5)


def test_worse_and_dearer_points_are_dropped() -> None:
    noisy = Curve([0.50, 0.48, 0.60, 0.60, 0.55], [10, 20, 30, 35, 31])
    front = noisy.front()
    np.testing.assert_array_equal(front.acr, [0.5, 0.6])
    np.testing.assert_array_equal(front.cost, [10, 30])
    assert float(cost_at(noisy, 0.55)) == pytest.approx(20)


@given(curves)
def test_the_front_is_what_no_other_point_beats(curve: Curve) -> None:
    points = set(zip(curve.acr.tolist(), curve.cost.tolist(), strict=True))
    expected = sorted(
        (a, c) for a, c in points if not any(b >= a and d <= c and (b, d) != (a, c) for b, d in points)
    )
    front = curve.front()
    assert list(zip(front.acr.tolist(), front.cost.tolist(), strict=True)) == expected
    assert (np.diff(front.acr) > 0).all()
    assert (np.diff(front.cost) > 0).all()


@given(curves, curves)
def test_area_speedup_agrees_with_fine_sums_and_inverts(baseline: Curve, incremental: Curve) -> None:
    speedup = area_speedup(baseline, incremental)
    span = common_range(baseline, incremental)
    if span is None or span[0] == span[1]:
        assert math.isnan(speedup)
        assert math.isnan(pointwise_speedup(baseline, incremental))
        return
    # ACRs are multiples of 1/50, so the midpoint rule at 1/200 is exact for piecewise-linear costs.
    cells = round((span[1] - span[0]) * 200)
    middle = span[0] + (np.arange(cells) + 0.5) / 200
    assert speedup == pytest.approx(cost_at(baseline, middle).sum() / cost_at(incremental, middle).sum(), rel=1e-9)
    assert area_speedup(incremental, baseline) == pytest.approx(1 / speedup)


def test_a_constant_factor_is_found_by_all() -> None:
    baseline = Curve([0.4, 0.5, 0.55, 0.57], [10, 20, 40, 80])
    incremental = Curve(baseline.acr, baseline.cost / 2.5)
    assert area_speedup(baseline, incremental) == pytest.approx(2.5)
    assert pointwise_speedup(baseline, incremental) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("baseline", "incremental", "verdict"),
    [
        (([0.4, 0.5], [10, 20]), ([0.5, 0.6], [5, 9]), "common"),
        (([0.4, 0.5], [10, 20]), ([0.6, 0.7], [5, 9]), "incremental dominates"),
        (([0.4, 0.5], [10, 20]), ([0.6, 0.7], [11, 19]), "incremental reaches higher"),
        (([0.6, 0.7], [10, 20]), ([0.4, 0.5], [10, 20]), "baseline dominates"),
        (([0.6, 0.7], [10, 20]), ([0.4, 0.5], [5, 9]), "baseline reaches higher"),
    ],
)
def test_reach(
    baseline: tuple[list[float], list[float]], incremental: tuple[list[float], list[float]], verdict: str
) -> None:
    assert reach(Curve(*baseline), Curve(*incremental)) == verdict


def test_a_single_common_acr_has_a_ratio_but_no_area() -> None:
    baseline, incremental = Curve([0.4, 0.5], [10, 20]), Curve([0.5, 0.6], [5, 9])
    assert math.isnan(area_speedup(baseline, incremental))


def test_a_curve_does_not_change_with_its_source() -> None:
    acr = np.array([0.4, 0.5])
    curve = Curve(acr, [1, 2])
    acr[0] = 0.9
    assert curve.acr[0] == 0.4


@pytest.mark.parametrize(
    ("acr", "cost", "message"),
    [
        ([], [], "acr has shape"),
        ([0.1], [1, 2], "one of each for every point"),
        ([0.1, np.nan], [1, 2], "acr is"),
        ([0.1, -0.2], [1, 2], "acr is"),
        ([0.1, 0.2], [0, 2], "greater than 0"),
        ([0.1, 0.2], [1, np.inf], "greater than 0"),
    ],
)
def test_points_are_checked(acr: list[float], cost: list[float], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Curve(acr, cost)


def test_points_of_the_mean_are_checked() -> None:
    curve = Curve([0.1, 0.2], [1, 2])
    with pytest.raises(InvalidArgumentError, match="points is 1"):
        pointwise_speedup(curve, curve, points=1)
