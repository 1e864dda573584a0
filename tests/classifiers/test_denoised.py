"""A denoiser in front of a classifier: what is computed, what is named, what is refused, and a known radius."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from scipy.stats import beta

import smoothcert as sc
from smoothcert.approximate import make_candidate
from smoothcert.classifiers import TorchClassifier, module_fingerprint, with_runtime
from smoothcert.errors import InvalidArgumentError

BATCH = np.random.default_rng(0).normal(0.5, 0.5, (12, 3, 8, 8)).astype(np.float32)


class Shrink(torch.nn.Module):
    """Moves pixels towards 1/2, by a learned factor."""

    def __init__(self, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 + self.factor * (x - 0.5)


class Residual(Shrink):
    """The noise that `Shrink` takes away."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - super().forward(x)


def make_network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(144, 5),
    )


def halve(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x


@pytest.mark.parametrize("denoiser", [(Shrink(), "image"), (Residual(), "noise")])
def test_logits_are_those_of_the_clipped_estimate(denoiser: tuple[torch.nn.Module, Any]) -> None:
    f = sc.Denoised(denoiser[0], make_network(), num_classes=5, predicts=denoiser[1])
    estimate = np.clip(0.5 + 0.5 * (BATCH - 0.5), 0, 1)
    assert (estimate != 0.5 + 0.5 * (BATCH - 0.5)).any()
    np.testing.assert_allclose(f.logits(BATCH), TorchClassifier(make_network(), 5).logits(estimate), atol=1e-6)


def test_preprocessing_of_the_classifier_comes_after_the_denoiser() -> None:
    plain = TorchClassifier(make_network(), 5, preprocess=halve)
    f = sc.Denoised(Shrink(), plain)
    estimate = np.clip(0.5 + 0.5 * (BATCH - 0.5), 0, 1)
    np.testing.assert_allclose(f.logits(BATCH), plain.logits(estimate), atol=1e-6)
    assert f.fingerprint != sc.Denoised(Shrink(), TorchClassifier(make_network(), 5)).fingerprint


def test_both_are_left_as_they_were() -> None:
    denoiser, network = Shrink().train(), make_network().train()
    f = sc.Denoised(denoiser, network, num_classes=5)
    before = f.logits(BATCH)
    assert denoiser.training
    assert all(layer.training for layer in network.modules())
    with torch.no_grad():
        denoiser.factor.zero_()
        for parameter in network.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(f.logits(BATCH), before)


def test_fingerprint_and_description_name_both() -> None:
    plain = TorchClassifier(make_network(), 5)
    f = sc.Denoised(Shrink(), plain)
    assert f.description["denoiser"] == f"Shrink {module_fingerprint(Shrink())}"
    assert f.description["classifier"] == f"Sequential {plain.fingerprint}"
    others = [
        sc.Denoised(Shrink(0.6), plain),
        sc.Denoised(Residual(), plain),
        sc.Denoised(Shrink(), plain, predicts="noise"),
        sc.Denoised(Shrink(), torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5)), num_classes=5),
    ]
    assert len({f.fingerprint, plain.fingerprint, *(other.fingerprint for other in others)}) == 6
    assert sc.Denoised(Shrink(), make_network(), num_classes=5).fingerprint == f.fingerprint


def test_the_certified_radius_is_the_known_one() -> None:
    # f(x) = 1[D(x)_0 > 0.6] with D(x) = 1/2 + (x - 1/2) / 2 is 1[x_0 > 0.7], so that p_A = Phi(0.2 / sigma) at
    # x_0 = 0.9: clipping to [0, 1] changes no comparison with 0.6.
    layer = torch.nn.Linear(1, 2, bias=True)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0], [1.0]]))
        layer.bias.copy_(torch.tensor([0.6, 0.0]))
    f = sc.Denoised(Shrink(), torch.nn.Sequential(torch.nn.Flatten(), layer), num_classes=2)
    x = np.full((20, 1, 1, 1), 0.9)
    run = sc.certify(f, x, sigma=0.25, n=2000, noise="gaussian", seed=3)
    assert (run.certificates.prediction == 1).all()
    share = run.tally.counts[:, 1] / 2000
    np.testing.assert_allclose(share.mean(), ndtr(0.2 / 0.25), atol=0.005)  # its standard deviation is 0.002
    p_lower = beta.ppf(0.001, run.tally.counts[:, 1], 2000 - run.tally.counts[:, 1] + 1)
    np.testing.assert_allclose(ndtr(run.certificates.radius / 0.25), p_lower, atol=1e-6)


def test_candidates_are_of_denoiser_and_classifier_together() -> None:
    f = sc.Denoised(Residual(), make_network(), num_classes=5, predicts="noise")
    rounded = make_candidate("bf16", f).classifier
    np.testing.assert_allclose(rounded.logits(BATCH), f.logits(BATCH), atol=0.05)
    pruned = make_candidate("prune:0.5", f).classifier
    assert isinstance(pruned, TorchClassifier)
    assert pruned.fingerprint != f.fingerprint


def test_it_runs_on_onnx_runtime() -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    f = sc.Denoised(Residual(), TorchClassifier(make_network(), 5, preprocess=halve), predicts="noise")
    running = with_runtime(f, "auto", BATCH)
    assert running.description["runtime"].startswith("onnxruntime")
    assert running.description["denoiser"] == f.description["denoiser"]
    np.testing.assert_allclose(running.logits(BATCH), f.logits(BATCH), atol=1e-5)


def test_estimates_that_are_not_finite_are_invalid_votes() -> None:
    f = sc.Denoised(Shrink(float("nan")), make_network(), num_classes=5)
    assert (f.classify(BATCH) == -1).all()


def test_what_is_no_denoiser_or_classifier_is_refused() -> None:
    network = make_network()
    with pytest.raises(InvalidArgumentError, match=r"denoiser is a function: give a torch\.nn\.Module"):
        sc.Denoised(halve, network, num_classes=5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="classifier is a FunctionClassifier: give a TorchClassifier"):
        sc.Denoised(Shrink(), sc.FunctionClassifier(lambda x: x, 5, "f"))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="num_classes is missing"):
        sc.Denoised(Shrink(), network)
    with pytest.raises(InvalidArgumentError, match="num_classes is 4, but classifier has 5"):
        sc.Denoised(Shrink(), TorchClassifier(network, 5), num_classes=4)
    with pytest.raises(InvalidArgumentError, match="predicts is 'residual': give 'image' or 'noise'"):
        sc.Denoised(Shrink(), network, num_classes=5, predicts="residual")  # type: ignore[arg-type]


def test_a_denoiser_of_another_shape_is_refused_before_long_work() -> None:
    f = sc.Denoised(torch.nn.Conv2d(3, 1, 1), make_network(), num_classes=5)
    with pytest.raises(InvalidArgumentError, match=r"denoiser returned \(\d+, 1, 8, 8\) for images of shape"):
        sc.certify(f, np.clip(BATCH, 0, 1), sigma=0.25, n=10**9)


def test_modules_that_cannot_be_copied_are_refused() -> None:
    denoiser = Shrink()
    denoiser.kept = denoiser.factor * 2  # what has a history is kept by its value
    assert sc.Denoised(denoiser, make_network(), num_classes=5).num_classes == 5
    setattr(denoiser, "lock", threading.Lock())  # noqa: B010
    with pytest.raises(InvalidArgumentError, match="module cannot be copied"):
        sc.Denoised(denoiser, make_network(), num_classes=5)
