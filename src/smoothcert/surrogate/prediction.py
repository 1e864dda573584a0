"""What a surrogate says of inputs: shares of votes, and how far off they may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtri, softmax, xlogy

from smoothcert._results import Brief
from smoothcert.bounds import lower_confidence_bound

__all__ = ["ErrorScale", "Prediction", "error_features", "fit_error_scale", "predict_shares", "sampling_probit"]

Array = NDArray[np.float64]

_TINY = 1e-300
_LOWEST = -8.0
_SCALES = (0.02, 3.0)
_RIDGE = 1e-2


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(Brief):
    """Predicted votes of m inputs.

    Attributes
    ----------
    shares : ndarray of float64, shape (m, k)
        Predicted share of the votes for each class; what is missing from 1 is predicted to be invalid.
    top_class : ndarray of int64, shape (m,)
        The class with the largest share.
    probit : ndarray of float64, shape (m,)
        Phi^-1 of its share: the radius that the share would give, in units of sigma.
    spread : ndarray of float64, shape (m,)
        Mean absolute error to expect of `probit`, learned from inputs that were held out.
    """

    shares: Array
    top_class: NDArray[np.int64]
    probit: Array
    spread: Array

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.top_class)

    @property
    def top_share(self) -> Array:
        """Predicted share of the top class, shape (m,)."""
        return np.asarray(self.shares[np.arange(len(self)), self.top_class])


@dataclass(frozen=True)
class ErrorScale:
    """A log-linear model of the mean absolute error, learned from inputs that were held out."""

    mean: tuple[float, ...]  # of each of the four features
    std: tuple[float, ...]
    weights: tuple[float, ...]  # the intercept, then one for each feature

    def __call__(self, features: Array) -> Array:
        """Return the mean absolute error to expect: features (m, 4) to (m,)."""
        standard = (features - np.array(self.mean)) / np.array(self.std)
        low, high = np.log(_SCALES)
        log_scale = self.weights[0] + standard @ np.array(self.weights[1:])
        return np.asarray(np.exp(np.clip(log_scale, low, high)))


def predict_shares(logits: NDArray[np.floating], num_classes: int, scale: ErrorScale | None = None) -> Prediction:
    """Turn logits (m, k), or (m, k + 1) with a last column for invalid votes, into a prediction."""
    everything = softmax(logits.astype(np.float64), axis=1)
    top_class = everything[:, :num_classes].argmax(axis=1)
    chosen = np.arange(len(everything)), top_class
    share = everything[chosen]
    others = everything.copy()
    others[chosen] = 0.0
    # The rest is summed by itself: close to 1, one minus the share has lost its digits.
    rest = np.maximum(others.sum(axis=1), _TINY)
    probit = np.where(share > 0.5, -ndtri(rest), ndtri(np.maximum(share, _TINY)))
    spread = np.full(len(share), np.nan) if scale is None else scale(error_features(everything))
    return Prediction(everything[:, :num_classes], top_class, probit, spread)


def sampling_probit(share: Array, n: int, alpha: float) -> Array:
    """Return Phi^-1 of CERTIFY's bound for shares of n votes, the radius in units of sigma, (m,); at least -8."""
    # A count that was a share for a while must not fall to the count below it.
    count = np.floor(n * share * (1 + 1e-12))
    bound = lower_confidence_bound(np.minimum(count, n), n, alpha)
    return np.maximum(ndtri(bound), _LOWEST)


def error_features(shares: Array) -> Array:
    """Return what the error of predicted distributions (m, k) is learned from, (m, 4)."""
    # Phi^-1 of the largest share and its square, the logarithm of the runner-up's part of the rest, the entropy.
    ordered = np.sort(shares, axis=1)
    rest = np.maximum(ordered[:, :-1].sum(axis=1), _TINY)
    probit = np.clip(-ndtri(rest), -3.0, 6.0)
    concentration = np.log(np.maximum(ordered[:, -2] / rest, 1e-3))
    return np.stack([probit, probit**2, concentration, -xlogy(shares, shares).sum(axis=1)], axis=1)


def fit_error_scale(features: Array, errors: Array) -> ErrorScale:
    """Fit the mean absolute error as a function of features, (m, 4), by the likelihood of Laplace's law."""
    # The problem is convex, so that its solution is found whatever the start.
    mean, std = features.mean(axis=0), features.std(axis=0)
    std = np.where(std > 1e-9, std, 1.0)
    design = np.column_stack([np.ones(len(features)), (features - mean) / std])
    size = np.maximum(np.abs(errors), _SCALES[0])

    def loss(weights: Array) -> tuple[float, Array]:
        log_scale = design @ weights
        ratio = size * np.exp(-log_scale)
        penalty = _RIDGE * weights[1:]
        value = float(np.mean(ratio + log_scale) + penalty @ weights[1:])
        gradient = design.T @ (1 - ratio) / len(size)
        gradient[1:] += 2 * penalty
        return value, gradient

    start = np.zeros(design.shape[1])
    start[0] = np.log(size.mean())
    found = minimize(loss, start, jac=True, method="L-BFGS-B")
    return ErrorScale(tuple(mean.tolist()), tuple(std.tolist()), tuple(found.x.tolist()))
