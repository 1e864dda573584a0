"""Algorithm 1 by hand; what is not certified never says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from closed_form_surrogate import SIGMA, Wrong, classifier, inputs, surrogate, votes
from scipy.special import ndtr
from scipy.stats import binomtest
from torch import nn

import smoothcert as sc
from smoothcert.errors import InvalidArgumentError
from smoothcert.reporting import write_cohen_log
from smoothcert.surrogate import surrogate_certificates
from smoothcert.surrogate.certify import DISAGREES, with_agreement


def test_radii_are_those_of_algorithm_1() -> None:
    h, x = surrogate(Wrong(0.0)), inputs(50, 0)
    c = sc.certify_with_surrogate(h, x, classifier(), n=1000, n0=200, alpha=0.01).certificates
    p = ndtr(np.abs(x[:, 0].astype(np.float64) - 0.5) / SIGMA)
    bound = sc.lower_confidence_bound(np.floor(1000 * p), 1000, 0.01)
    wanted = np.asarray(sc.certified_radius(bound, SIGMA))
    predicted = sc.predict(classifier(), x, sigma=SIGMA, n=200, alpha=0.01)
    agrees = (bound > 0.5) & (predicted == (x[:, 0] > 0.5))
    np.testing.assert_array_equal(c.certified, agrees)
    np.testing.assert_allclose(c.radius, np.where(agrees, wanted, 0.0), rtol=1e-6)
    np.testing.assert_array_equal(c.reason == DISAGREES, (bound > 0.5) & ~agrees)
    np.testing.assert_array_equal(c.n, 1000)


def test_real_valued_counts_are_rounded_down() -> None:
    """N h(x) = 800.99… is bounded like 800 votes."""

    class Share(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(torch.tensor([[0.80099, 0.19901]], dtype=torch.float64)).repeat(len(x), 1)

    c = sc.certify_with_surrogate(surrogate(Share()), inputs(1, 0), n0=0, n=1000).certificates
    assert c.count[0] == 800
    assert c.p_lower[0] == sc.lower_confidence_bound(800, 1000, 0.001)


def test_a_wrong_class_gets_no_radius_when_samples_of_f_disagree() -> None:
    class Backwards(Wrong):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).flip(1)

    h, x = surrogate(Backwards(0.0)), inputs(300, 1)
    trusting = sc.certify_with_surrogate(h, x, n0=0).certificates
    assert trusting.certified.mean() > 0.9
    careful = sc.certify_with_surrogate(h, x, classifier(), n0=100, alpha=0.05).certificates
    # PREDICT names the wrong class with probability 0.05 at most.
    assert binomtest(int(careful.certified.sum()), 300, 0.05, alternative="greater").pvalue > 1e-3


def test_samples_are_counted_and_only_taken_where_there_is_a_radius() -> None:
    h, x = surrogate(Wrong(0.0)), inputs(100, 2)
    seen: list[tuple[int, int]] = []
    run = sc.certify_with_surrogate(h, x, classifier(), n0=50, n=1000, progress=lambda *p: seen.append(p))
    radius = int(surrogate_certificates(h, h.predict(x), n=1000).certified.sum())
    assert run.timing.samples == 50 * radius < 5000
    assert seen[-1] == (50 * radius, 50 * radius)
    assert sc.certify_with_surrogate(h, x, n0=0).timing.samples == 0
    none = sc.certify_with_surrogate(h, np.full((2, 2), 0.5, np.float32), classifier(), n0=50)
    assert none.timing.samples == 0
    assert not none.certificates.certified.any()


def test_nothing_here_is_called_certified(tmp_path: Any) -> None:
    h, x = surrogate(Wrong(0.0)), inputs(300, 3)
    calibration = sc.calibrate_surrogate(h, votes(inputs(400, 4), 500, 5), miss=0.1, beta=0.1)
    raw = sc.certify_with_surrogate(h, x, n0=0).certificates
    lowered = sc.certify_with_surrogate(h, x, n0=0, calibration=calibration).certificates
    assert (raw.guarantee, raw.alpha, lowered.guarantee) == ("estimated", 1.0, "calibrated")
    assert "without a guarantee" in raw.summary()
    assert "share of at most 0.101 of inputs" in lowered.summary()
    assert "drawn like the" in lowered.premise
    assert "rounds" not in lowered.premise
    for c in (raw, lowered):
        assert "certified" not in c.summary().split(":")[0]
        with pytest.raises(InvalidArgumentError, match="guarantee"):
            write_cohen_log(tmp_path / "log.tsv", c, np.zeros(300, np.int64))


def test_misuse_is_refused_before_any_sampling() -> None:
    h, x = surrogate(Wrong(0.0)), inputs(5, 0)

    def untouched(*_: int) -> None:
        raise AssertionError

    for words, arguments in (
        ("fingerprint = 'x0 > 1/2', not for the 'another'", {"classifier": classifier("another")}),
        ("num_classes = 2, not for the 3", {"classifier": classifier(num_classes=3)}),
        ("input_shape = .2., not for the .3.", {"x": np.zeros((4, 3), np.float32)}),
        ("n0 is 100, but there is no classifier", {"classifier": None}),
        ("n0 is -1", {"n0": -1}),
        ("n is 0", {"n": 0}),
        ("alpha is 2", {"alpha": 2}),
        (r"values in \[0, 7\]", {"x": np.array([[0.0, 7.0]])}),
        ("even unanimous votes are no evidence", {"n0": 5, "classifier": classifier()}),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            sc.certify_with_surrogate(
                h,
                **{"x": x, "classifier": classifier(), "progress": untouched, **arguments},  # type: ignore[arg-type]
            )
    other = surrogate(Wrong(0.0), noise_law="grid-1/255/1")
    with pytest.raises(InvalidArgumentError, match="draw otherwise"):
        sc.certify_with_surrogate(other, x, classifier())
    with pytest.raises(InvalidArgumentError, match="not finite"):
        surrogate(nn.Linear(2, 3)).predict(x)


def test_agreement_only_takes_claims_away() -> None:
    h, x = surrogate(Wrong(0.0)), inputs(40, 6)
    raw = surrogate_certificates(h, h.predict(x))
    kept = with_agreement(raw, np.full(40, 1))
    assert (kept.prediction[kept.certified] == 1).all()
    assert (kept.radius[~kept.certified] == 0).all()
    np.testing.assert_array_equal(kept.radius[kept.certified], raw.radius[kept.certified])
