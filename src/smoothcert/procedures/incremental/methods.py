"""The bounds that a changed classifier can be certified by, and what they presuppose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from smoothcert.errors import InvalidArgumentError
from smoothcert.procedures.incremental.holdout import HELD_OUT, PREMISE
from smoothcert.votes import require_count, require_probability
from smoothcert.votes.store import CandidateRecord

__all__ = ["Bound", "BoundName", "Irs", "Joint", "Terms", "named_bound", "terms_of"]

BoundName = Literal["auto", "joint", "irs"]

_DEFAULT_GAMMA = 0.99
_FIXED_N_P = "n_p was fixed without looking at the cached votes"


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Invert the cached count and the paired votes together.

    Certification from scratch does better where n_p is above half of n, or f^p changes more than about a tenth of
    the votes.

    Attributes
    ----------
    afresh : bool
        Whether to start from scratch, on noise beyond the cache, where the cached votes were unanimous. Bound
        ``"auto"`` does, ``"joint"`` does not.
    runner_up : bool
        Also bound the probability of every other class, at half of the failure probability each.
    together : int
        Candidates that were fixed together and are all recertified from this cache: with C of them, alpha +
        alpha_zeta bounds the probability that for an input the certificate of any is false, so that also the best
        of them may be picked. A failure of the base's votes, which is one of all candidates at once, is paid once.
        All have the same `together` and alpha_zeta, and each may have an n_p of its own. Not with `runner_up`: all
        must divide the failure probability alike.

    Raises
    ------
    InvalidArgumentError
        When `together` is no positive integer, or is above 1 with `runner_up`.

    Examples
    --------
    >>> Joint().name, Joint(afresh=False, together=3).name
    ('auto', 'joint')
    """

    afresh: bool = True
    runner_up: bool = False
    together: int = 1

    def __post_init__(self) -> None:
        require_count("together", self.together)
        if self.together > 1 and self.runner_up:
            raise InvalidArgumentError(
                f"together is {self.together}, which is not proven with the runner-up, as all candidates must "
                "divide alpha alike: leave it out, or use alpha / together for each candidate"
            )

    @property
    def name(self) -> BoundName:
        """Its name in records and certificates."""
        return "auto" if self.afresh else "joint"


@dataclass(frozen=True, kw_only=True)
class Irs:
    """The paper's bound: p_A - zeta with all disagreement in zeta, or f^p's own votes where p_A >= gamma.

    Attributes
    ----------
    gamma : float or "auto"
        The threshold, in (1/2, 1]. With ``"auto"`` the first tenth of the inputs is used to select it by grid
        search (Section 5.4) and keeps 0.99 itself; it serves the others, whose votes it did not see.

    Raises
    ------
    InvalidArgumentError
        When `gamma` is out of range.

    References
    ----------
    Ugare et al., "Incremental randomized smoothing certification", ICLR 2024, Algorithms 2 and 3.
    """

    gamma: float | Literal["auto"] = _DEFAULT_GAMMA

    def __post_init__(self) -> None:
        gamma = self.gamma
        if gamma != "auto" and not (isinstance(gamma, (int, float, np.floating)) and 0.5 < gamma <= 1):
            raise InvalidArgumentError(f"gamma is {gamma!r}: it must be in (1/2, 1], such as 0.99, or 'auto'")

    @property
    def name(self) -> BoundName:
        """Its name in records and certificates."""
        return "irs"

    @property
    def untuned(self) -> float:
        """The threshold of inputs that none is selected for."""
        return _DEFAULT_GAMMA if self.gamma == "auto" else self.gamma


Bound = BoundName | Joint | Irs


def named_bound(bound: Bound) -> Joint | Irs:
    """Return the bound of a name, with the defaults.

    Raises
    ------
    InvalidArgumentError
        When there is none of that name.
    """
    if isinstance(bound, (Joint, Irs)):
        return bound
    if bound not in get_args(BoundName):
        names = ", ".join(map(repr, get_args(BoundName)))
        raise InvalidArgumentError(f"bound is {bound!r}: it must be one of {names}, or a Joint or Irs")
    return Irs() if bound == "irs" else Joint(afresh=bound == "auto")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms recertificates follow from counts.

    Attributes
    ----------
    bound : Joint or Irs
        Which bound.
    alpha_zeta : float
        What is spent beyond the cache's alpha.
    candidate : str
        What the guarantee presupposes about the candidate.
    """

    bound: Joint | Irs = Joint()
    alpha_zeta: float = 0.001
    candidate: str = PREMISE

    def __post_init__(self) -> None:
        require_probability("alpha_zeta", self.alpha_zeta)

    @property
    def together(self) -> int:
        """Candidates whose certificates hold at once."""
        return self.bound.together if isinstance(self.bound, Joint) else 1

    def premises(self, of_noise: str) -> Iterator[str]:
        """Yield what the guarantee presupposes."""
        yield self.candidate
        if self.together > 1:
            yield f"so were the other {self.together - 1} of the {self.together} that it holds together with"
        if isinstance(self.bound, Irs) or self.bound.runner_up:
            yield _FIXED_N_P
        yield of_noise


def terms_of(record: CandidateRecord) -> Terms:
    """Return the terms on which a candidate was recertified.

    Older records can name a bound "one-sided": their candidates get "joint" now, whatever the votes are. They can
    also have `together` with a bound that is not proven for several: then each candidate counts by itself.

    Raises
    ------
    InvalidArgumentError
        When the record names a bound that this version does not know.
    """
    if record.bound not in (*get_args(BoundName), "one-sided"):
        raise InvalidArgumentError(
            f"bound of candidate {record.name!r} is {record.bound!r}: it must be one of "
            f"{', '.join(get_args(BoundName))}"
        )
    proven = record.bound in ("auto", "joint") and not record.runner_up
    bound: Joint | Irs = Joint(
        afresh=record.bound == "auto",
        runner_up=record.runner_up,
        together=record.together if proven else 1,
    )
    if record.bound == "irs":
        bound = Irs(gamma="auto" if record.gamma == "auto" else float(record.gamma))
    stop = record.start + record.n_p
    candidate = HELD_OUT.format(start=record.start, stop=stop) if record.holdout else PREMISE
    return Terms(bound=bound, alpha_zeta=record.alpha_zeta, candidate=candidate)
