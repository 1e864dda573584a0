from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import ndtr

from smoothcert.certificate import Certificates
from smoothcert.errors import InvalidArgumentError
from smoothcert.evaluation import (
    distribution,
    mean_zeta,
    share_above,
)


def make(p_lower: Any, zeta: Any = None) -> Certificates:
    p_lower = np.asarray(p_lower, np.float64)
    m = len(p_lower)
    return Certificates(
        prediction=np.where(p_lower > 0.5, 1, -1),
        radius=np.zeros(m),
        p_lower=p_lower,
        top_class=np.ones(m, np.int64),
        count=np.full(m, 90),
        n=np.full(m, 100),
        reason=np.full(m, ""),
        alpha=0.001,
        alpha_split={"base": 0.001},
        sigma=0.5,
        method="irs",
        noise="gaussian/1",
        guarantee="certified",
        zeta=None if zeta is None else np.asarray(zeta, np.float64),
    )


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)))
def test_all_inputs_are_somewhere(p_lower: NDArray[np.float64]) -> None:
    d = distribution(p_lower, np.linspace(0.5, 1, 8))
    assert d.below + d.fractions.sum() + d.above == pytest.approx(1.0)
    assert d.below == pytest.approx((p_lower < 0.5).mean())
    assert d.size == len(p_lower)
    assert d.mean == pytest.approx(p_lower.mean())


def test_edges_belong_to_the_right_bin_and_one_to_the_last() -> None:
    d = distribution([0.5, 0.75, 1.0, 0.25], [0.5, 0.75, 1.0])
    np.testing.assert_allclose(d.edges, [0.5, 0.75, 1.0])
    np.testing.assert_allclose(d.fractions, [0.25, 0.5])
    assert (d.below, d.above) == (0.25, 0.0)


def test_quantiles_of_a_known_sample() -> None:
    d = distribution(np.arange(101.0), [0.0, 50.0, 90.0])
    np.testing.assert_allclose(d.quantiles, [5, 25, 50, 75, 95])
    assert d.above == pytest.approx(10 / 101)


@pytest.mark.parametrize(
    ("name", "sigma", "published"),
    [
        ("cifar10-resnet110-noise_0.50-test-sigma_0.50", 0.5, 0.146),
        ("cifar10-resnet110-noise_1.00-test-sigma_1.00", 1.0, 0.034),
    ],
)
def test_share_above_gamma_is_near_table_9(shared: Path, name: str, sigma: float, published: float) -> None:
    # Same architecture, data and sigma as table 9, at n = 1e5 and alpha = 0.01 instead of 1e4 and 0.001.
    _, _, predict, radius, _, _ = np.loadtxt(shared / "reference/cohen_logs" / name, skiprows=1).T
    p_lower = np.where(predict < 0, 0.5, ndtr(radius / sigma))
    assert share_above(p_lower, 0.99) == pytest.approx(published, abs=0.05)


def test_gamma_itself_is_not_above() -> None:
    assert share_above([0.99, 0.995], 0.99) == 0.5


def test_unbounded_zeta_is_left_out_not_counted_as_zero() -> None:
    certificates = make([0.8, 0.999, 0.7, 0.9], zeta=[0.01, np.nan, 0.03, 0.02])
    assert mean_zeta(certificates) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("certificates", "message"),
    [
        (make([0.8]), "method 'irs' have no zeta"),
        (make([0.8], zeta=[np.nan]), "where it was bounded has shape"),
    ],
)
def test_certificates_without_zeta_say_so(certificates: Certificates, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        mean_zeta(certificates)


def test_arguments_are_checked() -> None:
    with pytest.raises(InvalidArgumentError, match="gamma is 99"):
        share_above([0.9], 99)
    with pytest.raises(InvalidArgumentError, match="p_lower contains nan"):
        share_above([0.9, np.nan], 0.99)
    with pytest.raises(InvalidArgumentError, match="increasing edges"):
        distribution([0.9], [1.0, 0.5])
