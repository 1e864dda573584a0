from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from smoothcert.certificate import Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import (
    average_certified_radius,
    certified_accuracy,
    correct,
    credited_radius,
)


def make(prediction: Any, radius: Any) -> Certificates:
    prediction = np.asarray(prediction, np.int64)
    m = len(prediction)
    return Certificates(
        prediction=prediction,
        radius=np.asarray(radius, np.float64),
        p_lower=np.full(m, 0.8),
        top_class=np.where(prediction < 0, 0, prediction),
        count=np.full(m, 90),
        n=np.full(m, 100),
        reason=np.full(m, ""),
        alpha=0.001,
        alpha_split={"base": 0.001},
        sigma=0.5,
        method="cohen",
        noise="gaussian/1",
        guarantee="certified",
    )


worlds = st.integers(1, 30).flatmap(
    lambda m: st.tuples(
        arrays(np.int64, m, elements=st.integers(-1, 3)),
        arrays(np.float64, m, elements=st.floats(0, 3)),
        arrays(np.int64, m, elements=st.integers(0, 3)),
    )
)


def test_an_abstention_is_never_right() -> None:
    # Also when its radius is not 0 and the label would be the class it leaned to.
    certificates = make([-1, -1, 2], [0.7, 0.0, 0.0])
    y = [0, 0, 2]
    assert certified_accuracy(certificates, y, 0.0) == pytest.approx(1 / 3)
    assert average_certified_radius(certificates, y) == 0.0
    assert correct(certificates, y).tolist() == [False, False, True]


def test_the_radius_itself_still_counts() -> None:
    certificates = make([0, 0], [0.25, 0.5])
    radii = [0.25, np.nextafter(0.25, 1), 0.5, np.nextafter(0.5, 1)]
    np.testing.assert_array_equal(certified_accuracy(certificates, [0, 0], radii), [1.0, 0.5, 0.5, 0.0])


@given(worlds, st.lists(st.floats(0, 4), min_size=1, max_size=6))
def test_certified_accuracy_is_the_plain_count(
    world: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], radii: list[float]
) -> None:
    prediction, radius, y = world
    expected = [
        sum(p == t and p != -1 and r >= bar for p, r, t in zip(prediction, radius, y, strict=True)) / len(y)
        for bar in radii
    ]
    got = certified_accuracy(make(prediction, radius), y, radii)
    np.testing.assert_array_equal(got, expected)


@given(worlds)
def test_acr_is_the_area_under_certified_accuracy(
    world: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
) -> None:
    prediction, radius, y = world
    certificates = make(prediction, radius)
    knots = np.unique(np.concatenate(([0.0], radius)))
    # Certified accuracy is constant on (knot, next knot], with its value at the right end.
    area = float((np.diff(knots) * certified_accuracy(certificates, y, knots[1:])).sum())
    assert average_certified_radius(certificates, y) == pytest.approx(area, abs=1e-12)
    assert credited_radius(certificates, y).mean() == average_certified_radius(certificates, y)


def test_radii_keep_their_shape() -> None:
    certificates = make([0], [0.5])
    assert certified_accuracy(certificates, [0], 0.5).shape == ()
    assert certified_accuracy(certificates, [0], np.zeros((2, 3))).shape == (2, 3)
    assert certified_accuracy(certificates, [0], []).shape == (0,)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 2], r"y has shape \(3,\), but there are 2 certificates"),
        ([[0, 1]], r"y has shape \(1, 2\)"),
        ([0.0, 1.0], r"y has dtype float64: give integer classes"),
        ([0, -1], r"y contains -1: classes are 0 or greater"),
    ],
)
def test_labels_are_checked(y: Any, message: str) -> None:
    certificates = make([0, 1], [0.1, 0.2])
    for metric in (average_certified_radius, credited_radius, lambda c, y: certified_accuracy(c, y, 0.5)):
        with pytest.raises(InvalidArgumentError, match=message):
            metric(certificates, y)


@pytest.mark.parametrize("radius", [-0.1, np.nan])
def test_radii_are_checked(radius: float) -> None:
    with pytest.raises(InvalidArgumentError, match="radii contains"):
        certified_accuracy(make([0], [0.5]), [0], [0.5, radius])
    with pytest.raises(InvalidArgumentError, match=r"certificates\.radius contains"):
        average_certified_radius(make([0], [radius]), [0])


def test_no_inputs_have_no_average() -> None:
    empty = make([], [])
    with pytest.raises(InvalidArgumentError, match="0 inputs"):
        average_certified_radius(empty, np.zeros(0, np.int64))


def test_published_log_metrics(shared: Path) -> None:
    log = shared / "reference/cohen_logs/cifar10-resnet110-noise_0.50-test-sigma_0.50"
    _, label, predict, radius, correct, _ = np.loadtxt(log, skiprows=1).T
    certificates = make(predict.astype(int), radius)
    radii = np.linspace(0, 2.5, 101)
    expected = [((correct == 1) & (radius >= r)).mean() for r in radii]
    np.testing.assert_allclose(certified_accuracy(certificates, label.astype(int), radii), expected, rtol=1e-15)
    acr = average_certified_radius(certificates, label.astype(int))
    assert acr == pytest.approx((radius * correct).mean(), rel=1e-12)
