"""Failures that were counted, and whether there are more than a failure probability allows."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest

__all__ = ["Count"]


@dataclass(frozen=True)
class Count:
    """False certificates of one kind.

    Attributes
    ----------
    world : str
        Its name.
    kind : str
        Procedure, and branch where only one is counted.
    inputs : int
        Inputs of the world.
    certificates : int
        Those that took the branch.
    failures : int
        Those whose claim is false.
    alpha : float
        Total failure probability that the certificates carry. It covers an input whichever branch it takes, so
        failures in one branch are compared with it over all inputs.
    """

    world: str
    kind: str
    inputs: int
    certificates: int
    failures: int
    alpha: float

    @property
    def p_value(self) -> float:
        """Probability of at least so many failures if each had probability alpha."""
        return float(binomtest(self.failures, self.inputs, self.alpha, alternative="greater").pvalue)
