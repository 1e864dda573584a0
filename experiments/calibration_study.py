"""Whether a calibrated surrogate keeps its promise, on random splits, and what that costs in radius."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from smoothcert.errors import InvalidArgumentError
from smoothcert.reporting import Column, Table
from smoothcert.surrogate import Surrogate, VoteData
from smoothcert.surrogate.prediction import sampling_probit
from smoothcert.surrogate.scores import group_edges, group_of, lowered_probit, miss_scores, thresholds

__all__ = ["CalibrationStudy", "study_calibration", "study_table"]


@dataclass(frozen=True, kw_only=True)
class CalibrationStudy:
    """What random splits into calibration and test inputs showed.

    Attributes
    ----------
    splits : int
        Number of splits.
    miss, beta : float
        What was promised.
    miss_rates : ndarray of float64, shape (splits, 1 + groups)
        Share of the test inputs that were missed: of all, and of each group of predicted radius.
    radius : float
        Mean calibrated radius over all test inputs and splits, in the units of the input; no label enters.
    raw_radius, sampled_radius : float
        Mean radius of the raw surrogate, and what sampling certifies for its class, on the same inputs.
    counts : tuple of int
        Inputs in each group.
    """

    splits: int
    miss: float
    beta: float
    miss_rates: NDArray[np.float64]
    radius: float
    raw_radius: float
    sampled_radius: float
    counts: tuple[int, ...]

    @property
    def failures(self) -> NDArray[np.int64]:
        """Splits whose miss rate exceeds `miss`: overall, and in each group."""
        return np.asarray((self.miss_rates > self.miss).sum(axis=0))

    @property
    def p_values(self) -> NDArray[np.float64]:
        """Probability of at least so many failures if each had probability beta (exact binomial test)."""
        found = [
            binomtest(int(failed), self.splits, self.beta, alternative="greater").pvalue
            for failed in self.failures
        ]
        return np.array(found)


def study_calibration(
    surrogate: Surrogate,
    data: VoteData,
    *,
    miss: float,
    beta: float,
    groups: int = 3,
    scaled: bool = True,
    alpha: float = 0.001,
    splits: int = 200,
    seed: int = 0,
) -> CalibrationStudy:
    """Split sampled inputs into two halves again and again; calibrate on one, count misses on the other.

    The halves are exchangeable, so that the thresholds are chosen for as many new inputs as the test half has in
    each group (`conformal_rank` with `future`): then the share of splits in which the miss rate of the test half
    exceeds `miss`, in any group, is at most beta exactly, for these very inputs.

    Parameters
    ----------
    surrogate : Surrogate
        The surrogate.
    data : VoteData
        Inputs that it was not fitted to, with their votes.
    miss, beta, groups, scaled, alpha
        As for `calibrate_surrogate`.
    splits : int
        Number of splits.
    seed : int
        Seed of the splits.

    Returns
    -------
    CalibrationStudy

    Raises
    ------
    InvalidArgumentError
        When half of a group is too small for (miss, beta), or an input was fitted to.
    """
    if surrogate.was_fitted_to(data.keys).any():
        raise InvalidArgumentError("data has inputs that the surrogate was fitted to: give others")
    predicted = surrogate.predict(data.inputs)
    scores = miss_scores(predicted, data, alpha, scaled=scaled)
    group = group_of(predicted, group_edges(surrogate, groups))
    n, rng = data.manifest.n, np.random.default_rng(seed)
    asked = sampling_probit(predicted.top_share, n, alpha)
    unit = predicted.spread if scaled else np.ones(len(data))
    rates, radii = np.empty((splits, 1 + groups)), np.empty(splits)
    for s in range(splits):
        order = rng.permutation(len(data))
        half, test = order[: len(order) // 2], order[len(order) // 2 :]
        members = [scores[half[group[half] == g]] for g in range(groups)]
        futures = [max(1, int((group[test] == g).sum())) for g in range(groups)]
        lowered = np.array(thresholds(members, miss, beta, futures))
        claimed = lowered_probit(asked[test], lowered[group[test]] * unit[test], group[test], n, alpha)
        missed = (claimed > 0) & (scores[test] > lowered[group[test]])
        rates[s] = [missed.mean(), *(missed[group[test] == g].sum() / futures[g] for g in range(groups))]
        radii[s] = np.maximum(claimed, 0).mean()
    sigma = surrogate.record.sigma
    certified = np.maximum(asked - scores * unit, 0.0)
    return CalibrationStudy(
        splits=splits,
        miss=miss,
        beta=beta,
        miss_rates=rates,
        radius=sigma * float(radii.mean()),
        raw_radius=sigma * float(np.maximum(asked, 0).mean()),
        sampled_radius=sigma * float(certified.mean()),
        counts=tuple(int((group == g).sum()) for g in range(groups)),
    )


def study_table(studies: Mapping[str, CalibrationStudy]) -> Table:
    """Return what random splits showed of calibrations: misses, how often they exceed, and the mean radius."""
    groups = max(len(s.counts) for s in studies.values())
    columns = (
        Column("calibration"),
        Column("mean miss rate", 4),
        *(Column(f"splits over miss{', group ' + str(g) if g else ''}") for g in range(groups + 1)),
        Column("smallest p-value", 4),
        Column("mean radius", 4, "lower"),
        Column("raw radius", 4),
        Column("sampled radius", 4),
    )
    rows = []
    for name, s in studies.items():
        failures: list[int | None] = [int(f) for f in s.failures]
        failures += [None] * (groups + 1 - len(failures))
        mean = float(s.miss_rates[:, 0].mean())
        rows.append((name, mean, *failures, float(s.p_values.min()), s.radius, s.raw_radius, s.sampled_radius))
    first = next(iter(studies.values()))
    title = f"{first.splits} splits, miss = {first.miss:g}, beta = {first.beta:g}"
    return Table(title=title, columns=columns, rows=tuple(rows))
