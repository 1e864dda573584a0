"""A world in which everything about a surrogate is known: f(x) = 1[x0 > 1/2] under Gaussian noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import nn

import smoothcert as sc
from smoothcert.noise import GaussianNoise, input_keys
from smoothcert.procedures import CertificationRun
from smoothcert.surrogate.record import SurrogateRecord
from smoothcert.surrogate.votes import VoteData
from smoothcert.votes.store import Manifest

SIGMA = 0.25
FINGERPRINT = "x0 > 1/2"


def classifier(fingerprint: str = FINGERPRINT, num_classes: int = 2) -> sc.FunctionClassifier:
    """f(x) = 1[x0 > 1/2]; the smoothed classifier's radius is |x0 - 1/2|."""

    def logits(batch: NDArray[np.float32]) -> NDArray[np.float64]:
        score = batch[:, 0].astype(np.float64) - 0.5
        rest = [np.full(len(batch), -9.0)] * (num_classes - 2)
        return np.stack([-score, score, *rest], axis=1)

    return sc.FunctionClassifier(logits, num_classes=num_classes, fingerprint=fingerprint)


def inputs(m: int, seed: int) -> NDArray[np.float32]:
    """Points of the unit square, off every grid."""
    return np.random.default_rng(seed).random((m, 2), dtype=np.float32)


def certify_guided(
    classifier: sc.Classifier,
    x: NDArray[np.float32],
    *,
    surrogate: sc.Surrogate,
    n: int,
    n0: int = 100,
    radius: float | None = None,
    least: int | None = None,
    **call: Any,
) -> CertificationRun:
    """Certify with n0 and, on average, n samples an input, as a surrogate divides them."""
    guide = sc.SurrogateGuide(surrogate, radius=radius, least=least)
    return sc.certify_with_budget(classifier, x, len(x) * (n0 + n), guide=guide, n0=n0, **call)


class Wrong(nn.Module):
    """Predicts Phi^-1(p) with an error that is a function of x: `size` times a sine of x1, plus `bias`."""

    def __init__(self, size: float, bias: float = 0.0) -> None:
        super().__init__()
        self.size, self.bias = size, bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log shares, (b, 2)."""
        z = (x[:, 0].double() - 0.5) / SIGMA
        z = z + torch.sign(z) * self.bias + self.size * torch.sin(1e4 * x[:, 1].double())
        return torch.stack([torch.special.log_ndtr(-z), torch.special.log_ndtr(z)], dim=1)


def surrogate(module: nn.Module, **changes: Any) -> sc.Surrogate:
    """Make a surrogate of a module, as if it had been fitted."""
    noise = GaussianNoise(SIGMA, 0)
    fields: dict[str, Any] = {
        "arch": "",
        "mean": [],
        "std": [],
        "num_classes": 2,
        "outputs": 2,
        "input_shape": [2],
        "sigma": SIGMA,
        "noise_law": noise.law,
        "noise_digest": noise.digest,
        "fingerprint": FINGERPRINT,
        "n": 1000,
        "inputs": 1000,
        "held_out": 300,
        "votes": "0" * 64,
        "recipe": {},
        "scale": {"mean": [0.0] * 4, "std": [1.0] * 4, "weights": [float(np.log(0.3)), 0.0, 0.0, 0.0, 0.0]},
        "weights": "0" * 64,
    }
    z = np.sort(np.abs(inputs(300, 99)[:, 0] - 0.5) / SIGMA)
    return sc.Surrogate(
        module=module,
        record=SurrogateRecord(**{**fields, **changes}),
        keys=np.frombuffer(b"".join(input_keys(inputs(3, 98))), np.uint8).reshape(3, 32),
        held_out_probit=z.astype(np.float64),
    )


def votes(x: NDArray[np.float32], n: int, seed: int) -> VoteData:
    """Draw counts from their exact law, without a noise stream."""
    noise = GaussianNoise(SIGMA, 0)
    ones = np.random.default_rng(seed).binomial(n, ndtr((x[:, 0].astype(np.float64) - 0.5) / SIGMA))
    manifest = Manifest(
        sigma=SIGMA,
        noise_law=noise.law,
        noise_digest=noise.digest,
        seed=0,
        n0=0,
        n=n,
        alpha=0.001,
        num_classes=2,
        input_shape=(2,),
        fingerprint=FINGERPRINT,
        classifier={},
        versions={},
    )
    return VoteData(
        manifest=manifest, inputs=x, keys=list(input_keys(x)), counts=np.stack([n - ones, ones], axis=1)
    )
