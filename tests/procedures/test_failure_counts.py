"""Certificates of linear classifiers fail no more often than they say."""

from __future__ import annotations

import chosen_failures
import closed_form_failures
import numpy as np
import pytest
import simulated_failures
from counts import PairedWorld


@pytest.mark.parametrize("world", closed_form_failures.WORLDS, ids=lambda w: w.name)
def test_no_more_false_certificates_than_alpha(world: closed_form_failures.World) -> None:
    for count in closed_form_failures.count_failures(world, 1000, seed=10):
        assert count.p_value > 1e-4, f"{count.kind}: {count.failures} of {count.inputs} at alpha = {count.alpha}"


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


def test_certify_uses_its_alpha() -> None:
    """The count can fail: close to alpha of CERTIFY's claims are false, as an exact bound's are."""
    counts = closed_form_failures.count_failures(closed_form_failures.WORLDS[0], 4000, seed=11)
    certify = next(c for c in counts if c.kind == "CERTIFY")
    assert 0.03 * certify.inputs < certify.failures < 0.065 * certify.inputs


def test_every_branch_is_taken() -> None:
    gate = closed_form_failures.count_failures(closed_form_failures.WORLDS[5], 1000, seed=12)
    in_branch = {c.kind: c.certificates for c in gate}
    assert min(in_branch["IRS, zeta branch"], in_branch["IRS, direct branch"]) > 200
