"""Certificates of linear classifiers fail no more often than they say."""

from __future__ import annotations

import chosen_failures
import closed_form_failures
import numpy as np
import pytest
import simulated_failures
from counts import PairedWorld

LINEAR = closed_form_failures.WORLDS
SIZE = 600  # twice the failures that alpha = 0.05 allows are noticed with probability 0.94, in every world alone


@pytest.mark.parametrize(("seed", "world"), list(enumerate(LINEAR, start=10)), ids=[w.name for w in LINEAR])
def test_no_more_false_certificates_than_alpha(seed: int, world: closed_form_failures.World) -> None:
    counts = {count.kind: count for count in closed_form_failures.count_failures(world, SIZE, seed=seed)}
    for count in counts.values():
        assert count.p_value > 1e-3, f"{count.kind}: {count.failures} of {count.inputs} at alpha = {count.alpha}"
    assert counts["CERTIFY"].failures > 0.01 * SIZE, "the count can fail: an exact bound uses its alpha"
    if "at the gate" in world.name and "gamma" not in world.name:
        assert min(counts[f"IRS, {branch} branch"].certificates for branch in ("zeta", "direct")) > SIZE / 5


@pytest.mark.parametrize("world", simulated_failures.WORLDS, ids=lambda w: w.name)
def test_no_more_false_bounds_than_alpha(world: simulated_failures.World) -> None:
    for count in simulated_failures.count_world(world, 250, seed=20):
        assert count.p_value > 1e-4, f"{count.kind}: {count.failures} of {count.inputs} at alpha = {count.alpha}"


@pytest.mark.parametrize("world", chosen_failures.WORLDS[::3], ids=lambda w: w.name)
def test_no_more_than_alpha_where_n_p_was_chosen_to_do_harm(world: PairedWorld) -> None:
    for count in chosen_failures.count_world(world, 250, seed=30):
        assert count.p_value > 1e-4, f"{count.kind}: {count.failures} of {count.inputs} at alpha = {count.alpha}"


def test_the_gate_is_where_both_sides_are_taken() -> None:
    for world in simulated_failures.WORLDS:
        if "gate" in world.name:
            rng = np.random.default_rng(0)
            auto = simulated_failures.gated(simulated_failures.draw(world, 2000, rng), world, rng)
            assert 0.2 < auto.fresh.mean() < 0.8, world.name
