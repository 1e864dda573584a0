"""Calibrating a surrogate's radii on inputs whose votes were sampled."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smoothcert._folders import exists
from smoothcert._records import RecordFormat, is_bool, is_hex, is_int, is_list, is_number, is_share
from smoothcert._results import Brief
from smoothcert.bounds import smallest_calibration_set, smallest_n
from smoothcert.errors import CheckpointError, InvalidArgumentError
from smoothcert.sampling import Identity
from smoothcert.surrogate.model import Surrogate
from smoothcert.surrogate.prediction import Prediction, sampling_probit
from smoothcert.surrogate.scores import group_edges, group_of, lowered_probit, miss_scores, thresholds
from smoothcert.surrogate.votes import VoteData, read_votes
from smoothcert.votes import require_count, require_probability

__all__ = [
    "Calibration",
    "calibrate_surrogate",
    "calibrated_probit",
    "load_calibration",
    "save_calibration",
]

CALIBRATION_FILE = "calibration.json"

_is_numbers = is_list(is_number(-math.inf, math.inf))
_FORMAT = RecordFormat(
    name="smoothcert-calibration",
    version=1,
    legal={
        "surrogate": is_hex,
        "miss": is_share,
        "beta": is_share,
        "n": is_int(1, 1 << 40),
        "alpha": is_share,
        "scaled": is_bool,
        "edges": lambda v: _is_numbers(v) and v == sorted(v),
        "thresholds": _is_numbers,
        "counts": is_list(is_int(1, 1 << 40)),
        "keys": is_list(is_hex),
    },
    at_most=1 << 26,
    unreadable=CheckpointError,
    other=CheckpointError,
    unwritable=CheckpointError,
)

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, repr=False)
class Calibration(Brief):
    """How far a surrogate's radii are lowered, and what they then promise.

    Attributes
    ----------
    surrogate : str
        Digest of the surrogate's record.
    miss : float
        Share of inputs, in each group, whose radius may exceed the one that sampling certifies.
    beta : float
        Probability that the calibration set was so unlucky that more do, in any group.
    n, alpha : int, float
        Samples and failure probability of the sampling that the radii are held against.
    scaled : bool
        Whether radii are lowered in proportion to the learned error.
    edges : list of float
        Where groups of predicted radius are cut, in units of sigma: one less than there are groups.
    thresholds : list of float
        For each group by how much the radius is lowered: in units of sigma, or of the learned error.
    counts : list of int
        Calibration inputs in each group.
    keys : list of str
        Keys of the calibration inputs, in hexadecimal.
    """

    surrogate: str
    miss: float
    beta: float
    n: int
    alpha: float
    scaled: bool
    edges: list[float]
    thresholds: list[float]
    counts: list[int]
    keys: list[str]

    def summary(self) -> str:
        """Say in one line what is promised."""
        groups = f" in each of {len(self.counts)} groups of radius" if len(self.counts) > 1 else ""
        return (
            f"of inputs drawn like the {sum(self.counts)} that calibrated it, at most a share {self.miss:g}"
            f"{groups} gets a radius above what sampling certifies (n = {self.n}, alpha = {self.alpha:g}), "
            f"with confidence {1 - self.beta:g}"
        )


def calibrate_surrogate(
    surrogate: Surrogate,
    votes: str | Path | VoteData,
    x: Any = None,
    *,
    miss: float = 0.05,
    beta: float = 0.05,
    groups: int = 3,
    scaled: bool = True,
    alpha: float = 0.001,
    out: str | Path | None = None,
) -> Calibration:
    """Calibrate a surrogate's radii on inputs that it was not fitted to and whose votes were sampled.

    An input's score is by how much the surrogate's radius exceeds the one that CERTIFY gives to its class from the
    votes, which is 0 where it certifies nothing. In each group of predicted radius, radii are lowered by an order
    statistic of the scores; ``docs/surrogates.md`` has the details and the proof.

    What is promised: with probability 1 - beta over the draw of the calibration inputs, in each group at most a
    share `miss` of new inputs, drawn independently from the same source, gets a positive calibrated radius that
    exceeds the one that sampling with n votes certifies for its class. As CERTIFY's own radius is wrong with
    probability at most `alpha`, a positive calibrated radius is wrong, about the class or the radius, for at most
    a share miss + alpha.

    What is not promised: anything about a single input, or an input chosen because of its radius or by an
    attacker; anything for inputs from another source than the calibration set's, such as corrupted, filtered or
    adversarial ones; anything once the classifier, the noise or the surrogate changes. It is a frequency, not a
    certificate.

    Parameters
    ----------
    surrogate : Surrogate
        From `fit_surrogate` or `load_surrogate`.
    votes : str, Path or VoteData
        A cache of votes of the same classifier under the same noise, from `collect_votes` or `certify`.
    x : array, tensor, sequence, data set or loader, shape (m, *shape)
        Inputs to calibrate on, all of them in the cache; left out with VoteData.
    miss : float
        Share of inputs that may be missed.
    beta : float
        Failure probability of the calibration.
    groups : int
        Groups of predicted radius, cut so that the inputs held out from the fit fall into them evenly.
    scaled : bool
        Whether to lower radii in proportion to the learned error.
    alpha : float
        Failure probability of the radii that sampling certifies.
    out : str or Path, optional
        Folder of the surrogate, to keep the calibration in.

    Returns
    -------
    Calibration

    Raises
    ------
    InvalidArgumentError
        When the votes are of another classifier, noise or sigma, an input was fitted to, or a group has too few
        inputs for (miss, beta); names the number that would do.
    CacheError
        When an input has no votes, or the cache is damaged.

    References
    ----------
    Vovk, "Conditional validity of inductive conformal predictors", ACML 2012.
    Papadopoulos, Gammerman, Vovk, "Normalized nonconformity measures for regression conformal prediction", 2008.
    """
    miss, beta, alpha = (
        require_probability(name, value) for name, value in (("miss", miss), ("beta", beta), ("alpha", alpha))
    )
    groups = require_count("groups", groups)
    data = votes if isinstance(votes, VoteData) else read_votes(votes, x)
    _check(surrogate, data, alpha)
    edges = group_edges(surrogate, groups)
    predicted = surrogate.predict(data.inputs)
    scores = miss_scores(predicted, data, alpha, scaled=scaled)
    members = [scores[group_of(predicted, edges) == g] for g in range(groups)]
    _require_enough([len(each) for each in members], len(data), miss, beta)
    calibration = Calibration(
        surrogate=surrogate.record.digest,
        miss=miss,
        beta=beta,
        n=data.manifest.n,
        alpha=alpha,
        scaled=scaled,
        edges=edges.tolist(),
        thresholds=thresholds(members, miss, beta),
        counts=[len(each) for each in members],
        keys=[key.hex() for key in data.keys],
    )
    if out is not None:
        save_calibration(out, calibration)
    return calibration


def calibrated_probit(calibration: Calibration, predicted: Prediction) -> Array:
    """Return the calibrated radii in units of sigma, (m,); nothing is claimed where they are not positive."""
    n, alpha = calibration.n, calibration.alpha
    group = group_of(predicted, np.array(calibration.edges))
    lowered = np.array(calibration.thresholds)[group] * (predicted.spread if calibration.scaled else 1.0)
    return lowered_probit(sampling_probit(predicted.top_share, n, alpha), lowered, group, n, alpha)


def _require_enough(counts: list[int], inputs: int, miss: float, beta: float) -> None:
    needed = smallest_calibration_set(miss, beta / len(counts))
    if min(counts) >= needed:
        return
    worst = int(np.argmin(counts))
    where = f"in group {worst + 1} of {len(counts)} (by predicted radius)" if len(counts) > 1 else "with a radius"
    total = f"about {math.ceil(inputs * needed / counts[worst])} in all" if counts[worst] else "more in all"
    raise InvalidArgumentError(
        f"votes hold {inputs} calibration inputs, {counts[worst]} of them {where}: miss = {miss:g} and beta = "
        f"{beta:g} need {needed} there, so {total}; or give a larger miss or beta, or fewer groups"
    )


def _check(surrogate: Surrogate, data: VoteData, alpha: float) -> None:
    """Refuse votes that the surrogate was not fitted for, and inputs that it was fitted to."""
    manifest = data.manifest
    surrogate.record.require(
        "the calibration's votes",
        num_classes=manifest.num_classes,
        input_shape=manifest.input_shape,
        sigma=manifest.sigma,
        noise_law=manifest.noise_law,
        noise_digest=manifest.noise_digest,
        fingerprint=manifest.fingerprint,
    )
    if manifest.identity:
        identity = Identity(**manifest.identity)
        surrogate.record.require_identity(identity, "that of the calibration's votes", manifest.classifier)
    if manifest.n < smallest_n(alpha):
        raise InvalidArgumentError(
            f"votes have n = {manifest.n}: at alpha = {alpha:g} sampling certifies nothing with fewer than "
            f"{smallest_n(alpha)}, so nothing can be calibrated"
        )
    seen = int(surrogate.was_fitted_to(data.keys).sum())
    if seen:
        raise InvalidArgumentError(
            f"{seen} of {len(data)} calibration inputs were used to fit the surrogate, which is better on them "
            "than on new ones: calibrate on others"
        )


def save_calibration(folder: str | Path, calibration: Calibration) -> None:
    """Write a calibration beside its surrogate, as ``calibration.json``."""
    _FORMAT.write(Path(folder), CALIBRATION_FILE, dataclasses.asdict(calibration))


def load_calibration(folder: str | Path, surrogate: Surrogate) -> Calibration | None:
    """Read the calibration beside a surrogate; None when there is none.

    Raises
    ------
    CheckpointError
        When the file is damaged.
    InvalidArgumentError
        When it belongs to another surrogate.
    """
    path = Path(folder) / CALIBRATION_FILE
    if not exists(path):
        return None
    calibration = Calibration(**_FORMAT.read(path.parent, path.name))
    edges, thresholds, counts = calibration.edges, calibration.thresholds, calibration.counts
    if not len(edges) + 1 == len(thresholds) == len(counts) or sum(counts) > len(calibration.keys):
        raise CheckpointError(f"{path} was changed: its groups do not fit together; calibrate again")
    if calibration.surrogate != surrogate.record.digest:
        raise InvalidArgumentError(f"{path} calibrates another surrogate than the one beside it: calibrate again")
    return calibration
