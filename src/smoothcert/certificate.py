"""The result types: what is claimed, with which guarantee, at what total failure probability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["ABSTAIN", "Certificates", "Guarantee"]

ABSTAIN = -1
"""The prediction of a certificate that claims nothing."""

Guarantee = Literal["certified", "calibrated", "estimated"]

_ARRAYS = ("prediction", "radius", "p_lower", "top_class", "count", "n", "reason", "zeta", "branch", "runner_up")


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """Certificates of m inputs, as arrays of length m.

    Attributes
    ----------
    prediction : ndarray of int64, shape (m,)
        The certified class; -1 where the procedure abstained.
    radius : ndarray of float64, shape (m,)
        Certified L2 radius in the units of the input; 0 where the procedure abstained.
    p_lower : ndarray of float64, shape (m,)
        Lower confidence bound on the probability of the top class under noise.
    top_class : ndarray of int64, shape (m,)
        The class that the bound is about, also where the procedure abstained.
    count : ndarray of int64, shape (m,)
        Estimation votes for the top class.
    n : ndarray of int64, shape (m,)
        Estimation samples, invalid votes included.
    reason : ndarray of str, shape (m,)
        Why the procedure abstained; empty where it did not.
    alpha : float
        Total failure probability of each certificate.
    alpha_split : mapping of str to float
        How `alpha` was spent.
    sigma : float
        Standard deviation of the noise, in the units of the input.
    method : str
        The procedure, such as ``"cohen"`` or ``"irs"``.
    noise : str
        The noise law and its version.
    guarantee : {"certified", "calibrated", "estimated"}
        ``certified`` holds with probability 1 - alpha for each input by itself; ``calibrated`` holds for a
        stated fraction of inputs; ``estimated`` promises nothing.
    premise : str
        What the guarantee presupposes beyond the procedure itself; empty when nothing.
    together : int
        Classifiers, fixed together, for which `alpha` bounds the probability that for an input the certificate of
        any is false; 1 where each is a statement by itself.
    zeta : ndarray of float64, shape (m,), optional
        Upper confidence bound on the disparity P(f != f^p), for recertificates; an estimate where n
        differs between inputs, as it may then follow from the cached votes.
    branch : ndarray of str, shape (m,), optional
        Branch of the incremental procedure taken for each input: which votes its bound follows from.
    runner_up : ndarray of float64, shape (m,), optional
        Upper confidence bound on the probability of every other class, where the procedure bounded it.

    Examples
    --------
    >>> import numpy as np
    >>> certificates = Certificates(
    ...     prediction=np.array([2, -1]), radius=np.array([0.42, 0.0]), p_lower=np.array([0.8, 0.4]),
    ...     top_class=np.array([2, 0]), count=np.array([850, 450]), n=np.array([1000, 1000]),
    ...     reason=np.array(["", "p_lower <= 1/2"]), alpha=0.001, alpha_split={"base": 0.001}, sigma=0.5,
    ...     method="cohen", noise="gaussian/1", guarantee="certified",
    ... )
    >>> certificates.summary()
    'certified: 1 of 2 inputs, each wrong with probability at most 0.001'
    """

    prediction: NDArray[np.int64]
    radius: NDArray[np.float64]
    p_lower: NDArray[np.float64]
    top_class: NDArray[np.int64]
    count: NDArray[np.int64]
    n: NDArray[np.int64]
    reason: NDArray[np.str_]
    alpha: float
    alpha_split: Mapping[str, float]
    sigma: float
    method: str
    noise: str
    guarantee: Guarantee
    premise: str = ""
    together: int = 1
    zeta: NDArray[np.float64] | None = None
    branch: NDArray[np.str_] | None = None
    runner_up: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        m = len(self.prediction)
        for name in _ARRAYS:
            values = getattr(self, name)
            if values is not None and values.shape != (m,):
                raise ValueError(f"{name} has shape {values.shape}, but there are {m} predictions: give ({m},)")

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.prediction)

    @property
    def certified(self) -> NDArray[np.bool_]:
        """Where a class and a radius are claimed, shape (m,)."""
        certified: NDArray[np.bool_] = self.prediction != ABSTAIN
        return certified

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, those that are set, one entry per input in each."""
        return {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}

    def summary(self) -> str:
        """Say in one line what is claimed and how surely."""
        how_surely = {
            "certified": f"each wrong with probability at most {self.alpha:g}",
            "calibrated": f"wrong for a share of at most {self.alpha:g} of inputs like those that calibrated it",
            "estimated": "without a guarantee",
        }
        return f"{self.guarantee}: {int(self.certified.sum())} of {len(self)} inputs, {how_surely[self.guarantee]}"

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame with one row per input.

        The scalars that the claim depends on are repeated in columns, so that a row can stand by itself.

        Raises
        ------
        ImportError
            When pandas is not installed: ``pip install 'smoothcert[report]'``.
        """
        from smoothcert.errors import import_extra

        pandas: ModuleType = import_extra("pandas", "report")
        scalars = {
            "alpha": self.alpha,
            "sigma": self.sigma,
            "method": self.method,
            "noise": self.noise,
            "guarantee": self.guarantee,
        }
        return pandas.DataFrame({**self.columns(), **scalars})
