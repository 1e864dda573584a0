"""The result types: what is claimed, with which guarantee, at what total failure probability."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from smoothcert._results import Framed

__all__ = ["ABSTAIN", "Certificate", "Certificates", "Guarantee", "Row", "Rows"]

ABSTAIN = -1
"""The prediction of a certificate that claims nothing."""

Guarantee = Literal["certified", "calibrated", "estimated"]

Row = int | np.integer[Any]
"""The position of an input."""

Rows = slice | Sequence[int] | Sequence[bool] | NDArray[np.integer[Any] | np.bool_]
"""Several inputs: a slice, their positions, or a mask of all."""

_ARRAYS = ("prediction", "radius", "p_lower", "top_class", "count", "n", "reason", "zeta", "branch", "runner_up")


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The certificate of one input, as Python numbers: a row of `Certificates`, which says what the fields are.

    `zeta`, `branch` and `runner_up` are None where there is none.
    """

    prediction: int
    radius: float
    p_lower: float
    top_class: int
    count: int
    n: int
    reason: str
    alpha: float
    sigma: float
    method: str
    guarantee: Guarantee
    zeta: float | None = None
    branch: str | None = None
    runner_up: float | None = None

    @property
    def certified(self) -> bool:
        """Whether a class and a radius are claimed."""
        return self.prediction != ABSTAIN


@dataclass(frozen=True, kw_only=True, repr=False)
class Certificates(Framed):
    """Certificates of m inputs, as arrays of length m.

    ``certificates[3]`` is the `Certificate` of one input, and so is what iteration yields; a slice, a mask or an
    array of positions gives the `Certificates` of several.

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
    cautions : tuple of str
        What is odd about the inputs, the votes or the numbers of samples, in words. The claims hold all the same,
        of what was sampled: that may not be what was meant.

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
    >>> certificates
    Certificates(2 inputs: 1 certified, mean radius 0.21; n = 1,000, alpha = 0.001, sigma = 0.5, method = 'cohen')
    >>> certificates[0].radius, certificates[:1].prediction
    (0.42, array([2]))
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
    cautions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        m = len(self.prediction)
        for name in _ARRAYS:
            values = getattr(self, name)
            if values is not None and values.shape != (m,):
                raise ValueError(f"{name} has shape {values.shape}, but there are {m} predictions: give ({m},)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts()})"

    def __len__(self) -> int:
        """Return the number of inputs."""
        return len(self.prediction)

    @overload
    def __getitem__(self, rows: Row) -> Certificate: ...
    @overload
    def __getitem__(self, rows: Rows) -> Certificates: ...
    def __getitem__(self, rows: Row | Rows) -> Certificate | Certificates:
        """Return the certificate of one input, or those of several."""
        if isinstance(rows, int | np.integer):
            row = {name: _plain(values[rows]) for name, values in self.columns().items()}
            shared = {f.name: getattr(self, f.name) for f in fields(Certificate) if f.name not in _ARRAYS}
            return Certificate(**row, **shared)
        chosen = rows if isinstance(rows, slice) else np.asarray(rows, None if len(rows) else np.int64)
        columns: dict[str, Any] = {name: values[chosen] for name, values in self.columns().items()}
        return replace(self, **columns)

    def __iter__(self) -> Iterator[Certificate]:
        """Yield the certificate of each input."""
        return (self[i] for i in range(len(self)))

    @property
    def certified(self) -> NDArray[np.bool_]:
        """Where a class and a radius are claimed, shape (m,)."""
        certified: NDArray[np.bool_] = self.prediction != ABSTAIN
        return certified

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name, those that are set, one entry per input in each."""
        return {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}

    def claim(self) -> str:
        """Say in one line what is claimed and how surely."""
        how_surely = {
            "certified": f"each wrong with probability at most {self.alpha:g}",
            "calibrated": f"wrong for a share of at most {self.alpha:g} of inputs like those that calibrated it",
            "estimated": "without a guarantee",
        }
        return f"{self.guarantee}: {int(self.certified.sum())} of {len(self)} inputs, {how_surely[self.guarantee]}"

    def summary(self) -> str:
        """Say in one line what is claimed and how surely, and in a line each what to be cautious about."""
        return "\n".join([self.claim(), *(f"caution: {text}" for text in self.cautions)])

    def facts(self) -> str:
        """Say in a few words how many inputs are certified, how far on average, and from what."""
        m = len(self)
        if not m:
            return f"0 inputs; alpha = {self.alpha:g}, sigma = {self.sigma:g}, method = {self.method!r}"
        radius = math.floor(1e3 * float(self.radius.mean())) / 1e3
        n = f"{self.n[0]:,}" if (self.n == self.n[0]).all() else f"{self.n.mean():,.0f} on average"
        word = "caution" if len(self.cautions) == 1 else "cautions"
        cautions = f"; {len(self.cautions)} {word}, see summary()" if self.cautions else ""
        return (
            f"{m} inputs: {int(self.certified.sum())} {self.guarantee}, mean radius {radius:g}; n = {n}, alpha = "
            f"{self.alpha:g}, sigma = {self.sigma:g}, method = {self.method!r}{cautions}"
        )

    def with_cautions(self, *cautions: str) -> Certificates:
        """Return the same certificates with more to be cautious about."""
        return replace(self, cautions=(*self.cautions, *cautions)) if cautions else self

    def _frame(self) -> dict[str, Any]:
        # The scalars that a claim depends on are repeated, so that a row can stand by itself.
        scalars = ("alpha", "sigma", "method", "noise", "guarantee")
        return {**self.columns(), **{name: np.full(len(self), getattr(self, name)) for name in scalars}}


def _plain(value: Any) -> Any:
    """Turn a NumPy scalar into Python's; not a number is None."""
    return None if value != value else value.item()
