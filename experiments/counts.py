"""Failures that were counted, and whether there are more than a failure probability allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from scipy.stats import binomtest

__all__ = ["Count", "PairedWorld", "count_worlds"]

_World = TypeVar("_World")


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


@dataclass(frozen=True)
class PairedWorld:
    """f votes for the class with probability p; f^p loses a share of these votes and wins one of the others."""

    name: str
    p: float
    lost: float
    won: float

    @property
    def truth(self) -> float:
        """Probability of the class under f^p."""
        return self.p * (1 - self.lost) + (1 - self.p) * self.won


def count_worlds(
    worlds: Iterable[_World],
    count_world: Callable[[_World, int, int], list[Count]],
    inputs: int,
    report: Callable[[Count], None],
) -> list[Count]:
    """Count the failures in all worlds, each under a seed of its own."""
    counts = []
    for seed, world in enumerate(worlds):
        for count in count_world(world, inputs, seed):
            report(count)
            counts.append(count)
    return counts
