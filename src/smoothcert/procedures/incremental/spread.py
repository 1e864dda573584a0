"""How the samples of a changed classifier are spread over the inputs: evenly, or where they buy radius."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from smoothcert.bounds import allocate_paired, prefers_direct, smallest_mean
from smoothcert.errors import InvalidArgumentError
from smoothcert.procedures.incremental.methods import Irs, Joint
from smoothcert.procedures.incremental.opening import Opened

__all__ = ["Spread", "spread_of", "with_budget"]

Spread = Literal["budget", "even"]


def spread_of(spread: Spread | None, bound: Joint | Irs, *, held_out: bool) -> Spread:
    """Return how samples are spread: by the budget where the bound allows it, if nothing is asked for.

    Raises
    ------
    InvalidArgumentError
        When a budget is asked for that the bound's proof does not cover, or that a range of samples cannot give.
    """
    if spread not in (None, *get_args(Spread)):
        raise InvalidArgumentError(f"spread is {spread!r}: it must be 'budget' or 'even'")
    fixed = ""
    if isinstance(bound, Irs) or bound.runner_up:
        which = "bound 'irs'" if isinstance(bound, Irs) else "the runner-up's bound"
        fixed = f"{which} is proven for an n_p that was fixed without looking at the cached votes"
    elif held_out:
        fixed = "n_p is a range, which is all that an input can get"
    if spread == "budget" and fixed:
        raise InvalidArgumentError(f"spread is 'budget', but {fixed}: use 'even', or leave it out")
    return spread or ("even" if fixed else "budget")


def with_budget(opened: Opened, bound: Joint) -> Opened:
    """Divide n_p samples an input, on average, by the cached counts.

    Raises
    ------
    InvalidArgumentError
        When they certify no input, and more would.
    """
    store, quota = opened.store, opened.quota
    n, alpha = store.manifest.n, quota.alpha / bound.together
    count = np.array([store[key].count for key in opened.g.keys])
    sizes = allocate_paired(count, n, quota.n, alpha, afresh=bound.afresh)
    if not sizes.any() and (enough := smallest_mean(count, n, alpha, afresh=bound.afresh)):
        raise InvalidArgumentError(
            f"n_p is {quota.n} for {len(count)} inputs, which certifies none of them at alpha = "
            f"{quota.alpha:g} in all: use n_p >= {enough}"
        )
    paired = sizes if not bound.afresh else sizes[~prefers_direct(count, n)]
    looked_at = range(max(1, int(paired.max(initial=0))))
    return replace(opened, quota=replace(quota, sizes=sizes), samples=looked_at)
